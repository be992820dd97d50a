#include "engine.h"

#include <stddef.h>
#include <string.h>

#include "activation.h"
#include "dsp/basic_math_functions.h"
#include "dsp/matrix_functions.h"
#include "dsp/support_functions.h"
#include "gates.h"
#include "wire_defs.h"

static void matrix_vector(const float *rows, uint32_t row_count, uint32_t columns, const float *x, float *y) {
    // CMSIS-DSP's matrix holds a pointer to non-const data that it does not write.
    const arm_matrix_instance_f32 matrix = {
        .numRows = (uint16_t)row_count, .numCols = (uint16_t)columns, .pData = (float *)(uintptr_t)rows};
    arm_mat_vec_mult_f32(&matrix, x, y);
}

void engine_lstm_step(const engine_lstm_t *lstm, float *hx, float *c, float *scratch) {
    const uint32_t units = lstm->units;
    float *const h = hx;
    float *const i_gate = scratch + GATE_I * units;
    float *const f_gate = scratch + GATE_F * units;
    float *const candidate = scratch + GATE_C * units;
    float *const o_gate = scratch + GATE_O * units;

    matrix_vector(lstm->weights, GATES * units, lstm->input_size + units, hx, scratch);
    if (lstm->bias != NULL) {
        arm_add_f32(scratch, lstm->bias, scratch, GATES * units);
    }
    if (lstm->gates != NULL) {
        arm_copy_f32(scratch, lstm->gates, GATES * units);
    }
    activation_apply(lstm->recurrent_activation, i_gate, units);
    activation_apply(lstm->recurrent_activation, f_gate, units);
    activation_apply(lstm->activation, candidate, units);
    activation_apply(lstm->recurrent_activation, o_gate, units);
    if (lstm->gates != NULL) {
        arm_copy_f32(scratch, lstm->gates + GATES * units, GATES * units);
        engine_canonical_nan(lstm->gates, 2u * GATES * units);
    }

    arm_mult_f32(f_gate, c, c, units);
    arm_mult_f32(i_gate, candidate, candidate, units);
    arm_add_f32(c, candidate, c, units);
    engine_canonical_nan(c, units);

    arm_copy_f32(c, candidate, units);
    activation_apply(lstm->activation, candidate, units);
    arm_mult_f32(o_gate, candidate, h, units);
    engine_canonical_nan(h, units);
}

void engine_dense(const engine_dense_t *dense, const float *x, float *output) {
    matrix_vector(dense->weights, dense->units, dense->input_size, x, output);
    if (dense->bias != NULL) {
        arm_add_f32(output, dense->bias, output, dense->units);
    }
    activation_apply(dense->activation, output, dense->units);
    engine_canonical_nan(output, dense->units);
}

void engine_activation(uint8_t activation, const float *x, uint32_t count, float *output) {
    arm_copy_f32(x, output, count);
    activation_apply(activation, output, count);
    engine_canonical_nan(output, count);
}

void engine_combine(uint8_t operation, const float *x, uint32_t count, float *output) {
    for (uint32_t i = 0; i < count; i++) {
        const float a = output[i];
        const float b = x[i];
        switch (operation) {
            case WIRE_OP_SUBTRACT: output[i] = a - b; break;
            case WIRE_OP_MULTIPLY: output[i] = a * b; break;
            case WIRE_OP_MAXIMUM: output[i] = a > b || a != a ? a : b; break;
            case WIRE_OP_MINIMUM: output[i] = a < b || a != a ? a : b; break;
            default: output[i] = a + b; break;
        }
    }
}

void engine_divide(float *output, uint32_t count, float divisor) {
    for (uint32_t i = 0; i < count; i++) {
        output[i] /= divisor;
    }
}

void engine_average(const float *x, uint32_t count, bool counts, uint32_t steps, float *output) {
    float *const sum = output + count;
    for (uint32_t i = 0; i < count; i++) {
        sum[i] += counts ? x[i] : x[i] * 0.0f;
        output[i] = sum[i] / (float)steps;
    }
}

void engine_scale(const float *scale, const float *offset, const float *x, uint32_t count, float *output) {
    for (uint32_t i = 0; i < count; i++) {
        output[i] = x[i] * scale[i] + offset[i];
    }
    engine_canonical_nan(output, count);
}

void engine_canonical_nan(float *values, uint32_t count) {
    static const uint32_t quiet_nan = 0x7FC00000u;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] != values[i]) {
            memcpy(&values[i], &quiet_nan, sizeof quiet_nan);
        }
    }
}
