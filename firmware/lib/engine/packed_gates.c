// The values of the gates, which the packed kernels keep in registers.
#include <stdbool.h>
#include <string.h>

#include "activation.h"
#include "engine.h"
#include "gates.h"
#include "packed.h"
#include "packed_table.h"

// All units' sums by the kernel itself, told to leave them. It copies its output to h at the end, which at this point
// is that of the step before, or older than an h that was written: h is put back.
static void find_sums(const packed_lstm_t *lstm, float *sums, float *room) {
    packed_lstm_t keeps_sums = *lstm;
    keeps_sums.z = sums;
    memcpy(room, lstm->hx, lstm->units * sizeof(float));
    lstm->step(&keeps_sums);
    memcpy(lstm->hx, room, lstm->units * sizeof(float));
}

static void activate(const packed_lstm_t *lstm, uint32_t first, uint32_t count, float *values) {
    for (uint32_t gate = 0; gate < GATES; gate++) {
        const uint8_t kind = gate == GATE_C ? lstm->activation : lstm->recurrent_activation;
        activation_apply(kind, values + gate * lstm->units + first, count);
    }
}

// As the kernel does it: by the table, block by block, unless something in the block is a NaN or infinite.
static void activate_by_table(const packed_lstm_t *lstm, const float *sums, float *values) {
    const bool fused = lstm->step == kernel_packed_fma.step;
    for (uint32_t first = 0; first < lstm->units; first += PACKED_BLOCK_UNITS) {
        const uint32_t left = lstm->units - first;
        const uint32_t count = left < PACKED_BLOCK_UNITS ? left : PACKED_BLOCK_UNITS;
        const float *const z = sums + GATES * first;
        float c[PACKED_BLOCK_UNITS];
        float h[PACKED_BLOCK_UNITS];
        memcpy(c, lstm->c + first, count * sizeof(float));
        if (packed_table_block(fused, z, c, h, count)) {
            activate(lstm, first, count, values);
            continue;
        }
        for (uint32_t i = 0; i < GATES * count; i++) {
            const uint32_t gate = i % GATES;
            const float y = packed_table_tanh(fused, z[i]);
            values[gate * lstm->units + first + i / GATES] = gate == GATE_C ? y : 0.5f + 0.5f * y;
        }
    }
}

void packed_gates(const packed_lstm_t *lstm, float *gates) {
    const uint32_t count = GATES * lstm->units;
    const bool by_table = lstm->z == NULL;
    float *const sums = lstm->spare;
    float *const activated = gates + count;
    find_sums(lstm, sums, gates);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t gate = i % GATES;
        const bool is_halved = by_table && gate != GATE_C;
        gates[gate * lstm->units + i / GATES] = is_halved ? 2.0f * sums[i] : sums[i];
    }
    memcpy(activated, gates, count * sizeof(float));
    if (by_table) {
        activate_by_table(lstm, sums, activated);
    } else {
        activate(lstm, 0, lstm->units, activated);
    }
    engine_canonical_nan(gates, 2u * count);
}
