// The numerical core: one step of an LSTM, of a Dense, of an Activation, composed of CMSIS-DSP's float32 functions.
//
// Knows vectors and weights, no image, no protocol, no chip. Caller owns all memory; `const` is the model, the rest is
// state. Compiled with -ffp-contract=off: each product and each sum rounds, so all targets give the same bits.
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const float *weights; // [4 units][units + input_size], rows in gate order i, f, c, o; columns h, then x
    const float *bias;    // [4 units], or NULL
    uint32_t input_size;
    uint32_t units;
    float *gates;                 // where a step leaves 4 units values before activation and 4 units behind it, or NULL
    uint8_t activation;           // enum wire_act
    uint8_t recurrent_activation; // enum wire_act
} engine_lstm_t;

typedef struct {
    const float *weights; // [units][input_size]
    const float *bias;    // [units], or NULL
    uint32_t input_size;
    uint32_t units;
    uint8_t activation; // enum wire_act
} engine_dense_t;

// One time step. `hx` holds h of the step before, then x; h is replaced by the new one. `c` is updated in place. h
// comes first because its part of a sum is mostly the smaller one, and what is added to a small sum is rounded less.
// `scratch` is 4 units floats of no meaning before and after.
// Cost: 4 units (input_size + units) multiplications and additions, 5 units activations.
void engine_lstm_step(const engine_lstm_t *lstm, float *hx, float *c, float *scratch);

// output[units] = activation(weights x + bias)
void engine_dense(const engine_dense_t *dense, const float *x, float *output);

// output[count] = activation(x)
void engine_activation(uint8_t activation, const float *x, uint32_t count, float *output);

// output[count] = output op x, for an operation of enum wire_op other than WIRE_OP_CONCATENATE; of WIRE_OP_AVERAGE the
// sum, to be divided when all have been added. NaN spreads through maximum and minimum as through the others.
void engine_combine(uint8_t operation, const float *x, uint32_t count, float *output);

// output[count] /= divisor
void engine_divide(float *output, uint32_t count, float divisor);

// Adds x to the sum that lies behind output[count], or zeros of the same NaNs and infinities where a step does not
// count; output = sum / steps.
void engine_average(const float *x, uint32_t count, bool counts, uint32_t steps, float *output);

// output[count] = x scale + offset
void engine_scale(const float *scale, const float *offset, const float *x, uint32_t count, float *output);

// Makes every NaN the same one, 0x7FC00000: targets give NaNs of different sign and payload.
void engine_canonical_nan(float *values, uint32_t count);

#endif
