// The packed kernels: one time step of an LSTM read as one stream of weights.
//
// Two kernels differ in one rounding: kernel_packed multiplies, rounds, adds and rounds; kernel_packed_fma uses the
// fused multiply-add. On the Cortex-M4F they are assembler (packed_armv7em.S), elsewhere C with the same
// operations in the same order (packed_twin.c): the same bits.
//
// Stream, written by harness/model/pack.py: units in blocks of 3, the last block with what is left. In a block, for
// each column of [h, x] the weights of its units (unit-major; gates i, f, c, o), at last the biases (zeros without).
// Where the activations are tanh and sigmoid, the gates i, f and o are stored halved:
// sigmoid(z) = 1/2 + 1/2 tanh(z / 2) makes one table serve both.
#ifndef PACKED_H
#define PACKED_H

#include <stddef.h>
#include <stdint.h>

typedef struct packed_lstm packed_lstm_t;

// The addresses are places in the assembler; 0 in C.
typedef struct {
    void (*step)(const packed_lstm_t *lstm);
    uintptr_t block;            // the computation of a block of 3 units
    uintptr_t rest;             // of the last block, if that has fewer
    uintptr_t done;             // the end
    uintptr_t loop;             // over columns; entered in the middle
    uint32_t columns_per_turn;  // of the loop
    uint32_t column_code_bytes; // its code for one column
} packed_kernel_t;

extern const packed_kernel_t kernel_packed;
extern const packed_kernel_t kernel_packed_fma;

// Everything that a step needs. The assembler loads the fields by their order, the first 4 and the next 14 at once.
struct packed_lstm {
    uint32_t magic;          // bits of the float that rounds to a multiple of the table's step
    const float *first_load; // from where a block loads its first columns behind column 0; may lie before hx
    uint32_t turns;          // of the loop over columns
    const float *column_0;   // hx

    const float *stream;
    const float *x;  // what the layer reads: set before a step
    float *x_place;  // hx + units
    uint32_t x_size; // floats of x
    uintptr_t start; // the kernel's block, or rest where there is no full one
    float *z;        // where pre-activations go if the table's functions are not the ones wanted, else NULL
    float *c;        // cell state
    float *h_out;    // output: h as the next layer reads it
    float *hx;       // h of the step before, then x
    uintptr_t end;   // the kernel's rest or done
    uintptr_t entry; // into the loop
    const float *table;
    uint32_t index_offset; // bits of `magic` at index 0
    int32_t last_full;     // units - 3

    float *h; // h_out again
    uint32_t units;
    uint32_t columns;                        // units + x_size
    float *spare;                            // PACKED_BLOCK_ROWS floats
    void (*step)(const packed_lstm_t *lstm); // the kernel's
    uint8_t activation;
    uint8_t recurrent_activation;
};

enum { PACKED_BLOCK_UNITS = 3, PACKED_BLOCK_ROWS = 12, PACKED_PIECE = 16 };

// State of a layer in floats: output and c, each for whole blocks, then [h, x] and slack, because the assembler copies
// in pieces. In this order, output first: it also loads up to 6 floats before hx.
uint32_t packed_state_floats(uint32_t input_size, uint32_t units);

// Scratch in floats, a piece at least; layers may share it. The second is for packed_gates, and enough for any.
uint32_t packed_scratch_floats(uint32_t units, uint8_t activation, uint8_t recurrent_activation);
uint32_t packed_gates_scratch_floats(uint32_t units);

typedef struct {
    const float *stream;
    uint32_t input_size;
    uint32_t units;
    uint8_t activation;           // enum wire_act
    uint8_t recurrent_activation; // enum wire_act
} packed_shape_t;

// Makes a layer ready but for `x`. `state` and `scratch` as sized above, 4-byte aligned; `state` is zeroed by the
// caller, here and to reset it.
void packed_prepare(packed_lstm_t *lstm, const packed_kernel_t *kernel, const packed_shape_t *shape, float *state,
                    float *scratch);

// One time step: hx, c and h are replaced. Of x whole pieces are read: what lies behind it must be readable.
void packed_step(const packed_lstm_t *lstm);

// What the next packed_step makes of the gates: `gates` is 4 units floats before activation, in gate order i, f, c, o,
// and 4 units floats behind it. The sums are the kernel's own, the activations what it does. Changes neither h nor c
// nor the output. To be called with packed_gates_scratch_floats of scratch. Cost: a little more than the step.
void packed_gates(const packed_lstm_t *lstm, float *gates);

// For the kernels only: activations of up to one block from its pre-activations, of any value, NaN and infinity
// included. `z` is overwritten. `c` says which block it is.
void packed_careful_block(const packed_lstm_t *lstm, float *z, float *c, float *h);

#endif
