#include "packed_table.h"

#include <string.h>

#include "gates.h"
#include "packed.h"
#include "tanh_table.h"

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

float packed_table_tanh(bool fused, float x) {
    const float magic = float_of(TANH_TABLE_MAGIC);
    const float rounded = x + magic;
    const float distance = x - (rounded - magic);
    const float *const p = tanh_table[index_of(rounded)];
    float y = packed_multiply_add(fused, p[3], distance, p[2]);
    y = packed_multiply_add(fused, y, distance, p[1]);
    return packed_multiply_add(fused, y, distance, p[0]);
}

bool packed_table_block(bool fused, const float *z, float *c, float *h, uint32_t count) {
    float new_c[PACKED_BLOCK_UNITS];
    float new_h[PACKED_BLOCK_UNITS];
    bool odd = false;
    for (uint32_t unit = 0; unit < count; unit++) {
        const float *const gates = &z[GATES * unit];
        const float i = packed_table_tanh(fused, gates[GATE_I]);
        const float f = packed_table_tanh(fused, gates[GATE_F]);
        const float g = packed_table_tanh(fused, gates[GATE_C]);
        const float o = packed_table_tanh(fused, gates[GATE_O]);
        new_c[unit] = (packed_multiply_add(fused, f, c[unit], c[unit]) + packed_multiply_add(fused, i, g, g)) * 0.5f;
        const float t = packed_table_tanh(fused, new_c[unit]);
        new_h[unit] = packed_multiply_add(fused, o, t, t) * 0.5f;
        odd = odd || new_h[unit] != new_h[unit];
    }
    if (!odd) {
        memcpy(c, new_c, count * sizeof(float));
        memcpy(h, new_h, count * sizeof(float));
    }
    return odd;
}
