#include "packed.h"

#include <stdbool.h>
#include <string.h>

#include "activation.h"
#include "engine.h"
#include "gates.h"
#include "tanh_table.h"
#include "wire_defs.h"

enum { COLUMNS_PER_LOAD = 8, LOAD_CODE_BYTES = 4 }; // x and h are loaded by eights, by one instruction

#ifdef __ARM_ARCH_7EM__
// What packed_armv7em.S goes by. It counts from behind the first 4 fields.
#define SEEN(field) (offsetof(packed_lstm_t, field) - 16u)
_Static_assert(SEEN(stream) == 0 && SEEN(last_full) == 52, "fields that are loaded at once");
_Static_assert(SEEN(z) == 20 && SEEN(index_offset) == 48 && SEEN(h) == 56 && SEEN(units) == 60, "offsets");
_Static_assert(SEEN(columns) == 64 && SEEN(spare) == 68, "offsets");
#endif

static uint32_t whole_blocks(uint32_t units) {
    return (units + PACKED_BLOCK_UNITS - 1u) / PACKED_BLOCK_UNITS * PACKED_BLOCK_UNITS;
}

static bool has_table(uint8_t activation, uint8_t recurrent_activation) {
    return activation == WIRE_ACT_TANH && recurrent_activation == WIRE_ACT_SIGMOID;
}

uint32_t packed_state_floats(uint32_t input_size, uint32_t units) {
    return 2u * whole_blocks(units) + units + input_size + PACKED_PIECE - 1u;
}

uint32_t packed_scratch_floats(uint32_t units, uint8_t activation, uint8_t recurrent_activation) {
    return has_table(activation, recurrent_activation) ? PACKED_PIECE : packed_gates_scratch_floats(units);
}

uint32_t packed_gates_scratch_floats(uint32_t units) {
    const uint32_t floats = GATES * whole_blocks(units);
    return floats < PACKED_PIECE ? PACKED_PIECE : floats;
}

void packed_prepare(packed_lstm_t *lstm, const packed_kernel_t *kernel, const packed_shape_t *shape, float *state,
                    float *scratch) {
    const bool table = has_table(shape->activation, shape->recurrent_activation);
    const uint32_t columns = shape->units + shape->input_size;
    // Column 0 is outside the loop. The first turn leaves out what the last one would lack.
    const uint32_t turns = (columns - 1u + kernel->columns_per_turn - 1u) / kernel->columns_per_turn;
    const uint32_t left_out = turns * kernel->columns_per_turn - (columns - 1u);
    const uint32_t loads = left_out / COLUMNS_PER_LOAD + 1u;
    float *const c = state + whole_blocks(shape->units);
    float *const hx = c + whole_blocks(shape->units);
    *lstm = (packed_lstm_t){
        .magic = TANH_TABLE_MAGIC,
        .first_load = hx + 1 - left_out % COLUMNS_PER_LOAD,
        .turns = turns,
        .column_0 = hx,
        .stream = shape->stream,
        .x_place = hx + shape->units,
        .x_size = shape->input_size,
        .start = shape->units < PACKED_BLOCK_UNITS ? kernel->rest : kernel->block,
        .z = table ? NULL : scratch,
        .c = c,
        .h_out = state,
        .hx = hx,
        .end = shape->units % PACKED_BLOCK_UNITS != 0 ? kernel->rest : kernel->done,
        .entry = kernel->loop + loads * LOAD_CODE_BYTES + left_out * kernel->column_code_bytes,
        .table = tanh_table[0],
        .index_offset = TANH_TABLE_INDEX_OFFSET,
        .last_full = (int32_t)shape->units - PACKED_BLOCK_UNITS,
        .h = state,
        .units = shape->units,
        .columns = columns,
        .spare = scratch,
        .step = kernel->step,
        .activation = shape->activation,
        .recurrent_activation = shape->recurrent_activation,
    };
}

static void apply_to_gate(uint8_t kind, float *z, uint32_t gate, uint32_t count, float *room) {
    for (uint32_t unit = 0; unit < count; unit++) {
        room[unit] = z[GATES * unit + gate];
    }
    activation_apply(kind, room, count);
    for (uint32_t unit = 0; unit < count; unit++) {
        z[GATES * unit + gate] = room[unit];
    }
}

// h serves as room for one gate of all units.
static void activate(const packed_lstm_t *lstm, float *z, float *c, float *h, uint32_t count) {
    apply_to_gate(lstm->recurrent_activation, z, GATE_I, count, h);
    apply_to_gate(lstm->recurrent_activation, z, GATE_F, count, h);
    apply_to_gate(lstm->activation, z, GATE_C, count, h);
    apply_to_gate(lstm->recurrent_activation, z, GATE_O, count, h);
    for (uint32_t unit = 0; unit < count; unit++) {
        const float *const gates = &z[GATES * unit];
        c[unit] = gates[GATE_F] * c[unit] + gates[GATE_I] * gates[GATE_C];
    }
    engine_canonical_nan(c, count);
    memcpy(h, c, count * sizeof(float));
    activation_apply(lstm->activation, h, count);
    for (uint32_t unit = 0; unit < count; unit++) {
        h[unit] *= z[GATES * unit + GATE_O];
    }
    engine_canonical_nan(h, count);
}

void packed_careful_block(const packed_lstm_t *lstm, float *z, float *c, float *h) {
    const uint32_t left = lstm->units - (uint32_t)(c - lstm->c);
    const uint32_t count = left < PACKED_BLOCK_UNITS ? left : PACKED_BLOCK_UNITS;
    for (uint32_t unit = 0; unit < count; unit++) {
        z[GATES * unit + GATE_I] *= 2.0f; // exact
        z[GATES * unit + GATE_F] *= 2.0f;
        z[GATES * unit + GATE_O] *= 2.0f;
    }
    activate(lstm, z, c, h, count);
}

void packed_step(const packed_lstm_t *lstm) {
    lstm->step(lstm);
    if (lstm->z != NULL) {
        activate(lstm, lstm->z, lstm->c, lstm->h, lstm->units);
        memcpy(lstm->hx, lstm->h, lstm->units * sizeof(float));
    }
}
