// The packed kernels in C: what packed_armv7em.S does, operation by operation, for machines that are no Cortex-M4F.
#include "packed.h"

#ifndef __ARM_ARCH_7EM__

#include <stdbool.h>
#include <string.h>

#include "gates.h"
#include "packed_table.h"

static const float *block_sums(bool fused, const packed_lstm_t *lstm, const float *stream, uint32_t rows, float *z) {
    for (uint32_t row = 0; row < rows; row++) {
        z[row] = stream[row] * lstm->hx[0];
    }
    for (uint32_t column = 1; column < lstm->columns; column++) {
        stream += rows;
        for (uint32_t row = 0; row < rows; row++) {
            z[row] = packed_multiply_add(fused, stream[row], lstm->hx[column], z[row]);
        }
    }
    stream += rows;
    for (uint32_t row = 0; row < rows; row++) {
        z[row] += stream[row];
    }
    return stream + rows;
}

static void step(bool fused, const packed_lstm_t *lstm) {
    const float *stream = lstm->stream;
    memcpy(lstm->x_place, lstm->x, lstm->x_size * sizeof(float));
    for (uint32_t unit = 0; unit < lstm->units; unit += PACKED_BLOCK_UNITS) {
        const uint32_t left = lstm->units - unit;
        const uint32_t count = left < PACKED_BLOCK_UNITS ? left : PACKED_BLOCK_UNITS;
        float *const z = lstm->z != NULL ? lstm->z + GATES * unit : lstm->spare;
        float *const c = lstm->c + unit;
        float *const h = lstm->h + unit;
        stream = block_sums(fused, lstm, stream, GATES * count, z);
        if (lstm->z == NULL && packed_table_block(fused, z, c, h, count)) {
            packed_careful_block(lstm, z, c, h);
        }
    }
    memcpy(lstm->hx, lstm->h, lstm->units * sizeof(float));
}

static void step_separate(const packed_lstm_t *lstm) {
    step(false, lstm);
}

static void step_fused(const packed_lstm_t *lstm) {
    step(true, lstm);
}

const packed_kernel_t kernel_packed = {.step = step_separate, .columns_per_turn = 8};
const packed_kernel_t kernel_packed_fma = {.step = step_fused, .columns_per_turn = 16};

#endif
