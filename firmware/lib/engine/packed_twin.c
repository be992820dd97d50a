// The packed kernels in C: what packed_armv7em.S does, operation by operation, for machines that are no Cortex-M4F.
#include "packed.h"

#ifndef __ARM_ARCH_7EM__

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tanh_table.h"

enum { GATE_I, GATE_F, GATE_C, GATE_O, GATES };

static float multiply_add(bool fused, float a, float b, float sum) {
    return fused ? fmaf(a, b, sum) : sum + a * b;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t index_of(float rounded) { // QSUB and USAT
    int32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    const int64_t index = (int64_t)bits - TANH_TABLE_INDEX_OFFSET;
    return index < 0 ? 0u : index >= TANH_TABLE_ENTRIES ? TANH_TABLE_ENTRIES - 1u : (uint32_t)index;
}

// For a NaN or an infinity a NaN.
static float table_tanh(bool fused, float x) {
    const float magic = float_of(TANH_TABLE_MAGIC);
    const float rounded = x + magic;
    const float distance = x - (rounded - magic);
    const float *const p = tanh_table[index_of(rounded)];
    float y = multiply_add(fused, p[3], distance, p[2]);
    y = multiply_add(fused, y, distance, p[1]);
    return multiply_add(fused, y, distance, p[0]);
}

// Gives true if something was a NaN or infinite: then nothing was changed.
static bool block_activations(bool fused, const float *z, float *c, float *h, uint32_t count) {
    float new_c[PACKED_BLOCK_UNITS];
    float new_h[PACKED_BLOCK_UNITS];
    bool odd = false;
    for (uint32_t unit = 0; unit < count; unit++) {
        const float *const gates = &z[GATES * unit];
        const float i = table_tanh(fused, gates[GATE_I]);
        const float f = table_tanh(fused, gates[GATE_F]);
        const float g = table_tanh(fused, gates[GATE_C]);
        const float o = table_tanh(fused, gates[GATE_O]);
        new_c[unit] = (multiply_add(fused, f, c[unit], c[unit]) + multiply_add(fused, i, g, g)) * 0.5f;
        const float t = table_tanh(fused, new_c[unit]);
        new_h[unit] = multiply_add(fused, o, t, t) * 0.5f;
        odd = odd || new_h[unit] != new_h[unit];
    }
    if (!odd) {
        memcpy(c, new_c, count * sizeof(float));
        memcpy(h, new_h, count * sizeof(float));
    }
    return odd;
}

static const float *block_sums(bool fused, const packed_lstm_t *lstm, const float *stream, uint32_t rows, float *z) {
    for (uint32_t row = 0; row < rows; row++) {
        z[row] = stream[row] * lstm->hx[0];
    }
    for (uint32_t column = 1; column < lstm->columns; column++) {
        stream += rows;
        for (uint32_t row = 0; row < rows; row++) {
            z[row] = multiply_add(fused, stream[row], lstm->hx[column], z[row]);
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
        if (lstm->z == NULL && block_activations(fused, z, c, h, count)) {
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
