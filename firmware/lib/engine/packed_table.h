// The packed kernels' activations in C: what the assembler does, operation by operation.
#ifndef PACKED_TABLE_H
#define PACKED_TABLE_H

#include <math.h> // fmaf, which is one instruction on the Cortex-M4F
#include <stdbool.h>
#include <stdint.h>

static inline float packed_multiply_add(bool fused, float a, float b, float sum) {
    return fused ? fmaf(a, b, sum) : sum + a * b;
}

// tanh by the table; of a NaN or an infinity a NaN.
float packed_table_tanh(bool fused, float x);

// New c and h of `count` units, at most PACKED_BLOCK_UNITS, from the sums of their gates (i, f and o halved). Gives
// true if something was a NaN or infinite: then nothing was changed, and it is for packed_careful_block.
bool packed_table_block(bool fused, const float *z, float *c, float *h, uint32_t count);

#endif
