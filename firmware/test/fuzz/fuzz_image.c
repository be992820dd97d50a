#include "fuzz_image.h"

#include <stdbool.h>
#include <string.h>

#include "fuzz_input.h"
#include "packed.h"
#include "wire_crc.h"
#include "wire_defs.h"

#define NODES 12u  // enough for every pair of kinds
#define UNITS 20u  // more than a turn of the packed kernels' loops, and every rest of their blocks
#define STEPS 6u   // kept at most
#define WIDEST 64u // that nodes joined may be, so that all tensors have room
#define WRONG 200u // one field in so many: most images are to be accepted

static _Alignas(8) uint8_t bytes[FUZZ_IMAGE_BYTES];
static wire_image_header_t header;
static wire_node_record_t nodes[NODES];
static wire_source_record_t sources[WIRE_MAX_SOURCES];
static uint32_t source_count;
static uint64_t work_floats;
static uint32_t scratch_floats;
static uint32_t tensor_floats;

static uint32_t or_wrong(uint32_t right) {
    return input_rarely(WRONG) ? input_edge() : right;
}

static uint8_t byte_or_wrong(uint32_t right) {
    return (uint8_t)or_wrong(right);
}

static wire_source_record_t *add_source(uint32_t node, uint32_t size) {
    wire_source_record_t *const source = &sources[source_count++ % WIRE_MAX_SOURCES];
    *source = (wire_source_record_t){.node = (uint16_t)node, .size = size};
    return source;
}

static uint32_t input_floats(const wire_node_record_t *node) {
    return header.static_size + (node->phase == WIRE_PHASE_EVERY_STEP ? header.input_size : 0u);
}

static void add_model_input(const wire_node_record_t *node) {
    const uint32_t all = input_floats(node);
    wire_source_record_t *const source = add_source(WIRE_NO_NODE, all == 0 ? 1 : 1 + input_below(all));
    source->offset = header.input_size + header.static_size - source->size;
    if (node->phase == WIRE_PHASE_EVERY_STEP && input_below(2) == 0) {
        source->offset = 0;
    }
}

// Kept rows, from the first or the last, or windows of them of any size.
static void add_kept(uint32_t from_index, bool at_steps) {
    wire_node_record_t *const from = &nodes[from_index];
    wire_source_record_t *const source = add_source(from_index, from->units);
    source->read = (uint8_t)(WIRE_READ_FORWARD + (at_steps ? input_below(2) : 0u));
    source->stride = at_steps ? from->units : 0u;
    if (from->phase == WIRE_PHASE_EVERY_STEP && from->kind != WIRE_NODE_POOL && from->keep_steps == 0 &&
        input_below(4) != 0) {
        from->keep_steps = 1 + input_below(STEPS);
    }
    if (input_below(3) == 1) {
        source->size = 1 + input_below(2 * UNITS);
        source->stride = at_steps ? 1 + input_below(2 * UNITS) : 0u;
        source->offset = input_below(UNITS);
    }
}

static void add_from(const wire_node_record_t *node, uint32_t from_index) {
    const wire_node_record_t *const from = &nodes[from_index];
    const bool at_steps = node->phase == WIRE_PHASE_EVERY_STEP;
    const bool has_ended = from->pass_index < node->pass_index || (!at_steps && from->pass_index == node->pass_index);
    if (has_ended && input_below(2) == 0) {
        add_kept(from_index, at_steps);
        return;
    }
    wire_source_record_t *const source = add_source(from_index, from->units);
    if (from->kind == WIRE_NODE_LSTM && has_ended) {
        source->tap = (uint8_t)input_below(3);
    }
    if (from->units > 1 && input_below(4) == 1) {
        source->size = 1 + input_below(from->units - 1);
        source->offset = from->units - source->size;
    }
}

static void add_any(const wire_node_record_t *node, uint32_t index) {
    for (uint32_t tries = 0; tries < 4; tries++) {
        const uint32_t from = input_below(index + 1);
        const bool is_later =
            from < index && (nodes[from].pass_index > node->pass_index ||
                             (nodes[from].pass_index == node->pass_index && nodes[from].phase > node->phase));
        if (from < index && !is_later) {
            add_from(node, from);
            return;
        }
    }
    add_model_input(node);
}

// Another value of this size for a merge or an initial state: one before it again, or whatever happens to fit.
static void add_of_size(const wire_node_record_t *node, uint32_t index, uint32_t size, bool is_state) {
    for (uint32_t from = index; from-- > 0;) {
        const bool is_there = is_state ? nodes[from].pass_index < node->pass_index
                                       : nodes[from].pass_index == node->pass_index && nodes[from].phase <= node->phase;
        if (is_there && nodes[from].units >= size) {
            add_source(from, size)->offset = nodes[from].units - size;
            return;
        }
    }
    add_source(WIRE_NO_NODE, size)->offset = header.input_size;
}

static void choose_lstm(wire_node_record_t *node, uint32_t index) {
    node->recurrent_activation = WIRE_ACT_SIGMOID;
    node->activation = WIRE_ACT_TANH;
    if (input_below(2) == 1) {
        node->recurrent_activation = byte_or_wrong(input_below(WIRE_ACT_LOG_SOFTMAX + 1u));
        node->activation = byte_or_wrong(input_below(WIRE_ACT_LOG_SOFTMAX + 1u));
    }
    node->kernel = byte_or_wrong(input_below(3));
    node->weight_layout = byte_or_wrong(node->kernel == WIRE_KERNEL_ARM_MATH ? WIRE_LAYOUT_ROWS : WIRE_LAYOUT_PACKED);
    const uint32_t flags = WIRE_NODE_FLAG_ZERO_OUTPUT_FOR_MASK | WIRE_NODE_FLAG_IGNORE_MASK | WIRE_NODE_FLAG_KEEP_GATES;
    node->flags = (uint16_t)(node->flags | (input_byte() & flags));
    if (input_below(4) == 1) {
        node->flags |= WIRE_NODE_FLAG_INITIAL_STATE;
        add_of_size(node, index, node->units, true);
        add_of_size(node, index, node->units, true);
    }
}

static void choose_merge(wire_node_record_t *node, uint32_t index) {
    node->operation = (uint8_t)input_below(WIRE_OP_MINIMUM + 1u);
    const uint32_t more = node->operation == WIRE_OP_SUBTRACT ? 1 : input_below(3);
    uint32_t sum = node->input_size;
    for (uint32_t i = 0; i < more; i++) {
        add_of_size(node, index, node->input_size, false);
        sum += node->input_size;
    }
    if (node->operation == WIRE_OP_CONCATENATE && sum > WIDEST) {
        node->operation = WIRE_OP_ADD;
    }
    node->units = node->operation == WIRE_OP_CONCATENATE ? sum : node->input_size;
    node->input_size = node->units;
}

static bool has_weights(const wire_node_record_t *node) {
    return node->kind == WIRE_NODE_LSTM || node->kind == WIRE_NODE_DENSE || node->kind == WIRE_NODE_SCALE;
}

static void choose_tensors(wire_node_record_t *node) {
    const bool is_lstm = node->kind == WIRE_NODE_LSTM;
    const uint32_t rows = (is_lstm ? 4u : 1u) * node->units;
    const uint32_t columns = node->kind == WIRE_NODE_SCALE ? 1u : node->input_size + (is_lstm ? node->units : 0u);
    const bool is_packed = node->weight_layout == WIRE_LAYOUT_PACKED;
    if (node->kind == WIRE_NODE_SCALE || (!is_packed && input_below(4) != 1)) {
        node->flags |= WIRE_NODE_FLAG_BIAS;
    }
    const bool has_bias = (node->flags & WIRE_NODE_FLAG_BIAS) != 0;
    node->weights_offset = tensor_floats; // from the first tensor: where that lies is known when all nodes are
    tensor_floats += rows * columns + (is_packed ? rows : 0u);
    node->bias_offset = has_bias ? tensor_floats : 0u;
    tensor_floats += has_bias ? rows : 0u;
}

static void note_work(const wire_node_record_t *node) {
    const bool keeps_gates = (node->flags & WIRE_NODE_FLAG_KEEP_GATES) != 0;
    uint32_t scratch = 0;
    work_floats += keeps_gates ? 8u * node->units : 0u;
    if (node->kind == WIRE_NODE_LSTM && node->weight_layout == WIRE_LAYOUT_PACKED) {
        work_floats += packed_state_floats(node->input_size, node->units);
        scratch = keeps_gates ? packed_gates_scratch_floats(node->units)
                              : packed_scratch_floats(node->units, node->activation, node->recurrent_activation);
    } else {
        work_floats += node->units + (node->kind == WIRE_NODE_LSTM ? node->input_size + 2u * node->units : 0u);
        work_floats += node->kind == WIRE_NODE_POOL ? node->units : 0u; // the sum
        scratch = node->kind == WIRE_NODE_LSTM ? 4u * node->units : 0u;
    }
    scratch_floats = scratch > scratch_floats ? scratch : scratch_floats;
}

static void choose_node(uint32_t index) {
    wire_node_record_t *const node = &nodes[index];
    const uint32_t pass_before = index == 0 ? 0 : nodes[index - 1].pass_index;
    *node = (wire_node_record_t){
        .kind = input_below(2) == 0 ? WIRE_NODE_LSTM : (uint8_t)(WIRE_NODE_LSTM + input_below(WIRE_NODE_POOL)),
        .pass_index = (uint8_t)(pass_before + (index > 0 && input_below(3) == 1)),
        .first_source = (uint16_t)source_count,
        .units = 1 + input_below(UNITS),
    };
    if (node->kind != WIRE_NODE_LSTM && node->kind != WIRE_NODE_POOL && input_below(4) == 1) {
        node->phase = WIRE_PHASE_AFTER_LAST_STEP;
    }
    node->flags = input_below(2) == 0 ? WIRE_NODE_FLAG_OUTPUT : 0;
    if (node->phase == WIRE_PHASE_EVERY_STEP && node->kind != WIRE_NODE_POOL && input_below(3) == 1) {
        node->keep_steps = 1 + input_below(STEPS);
    }
    add_any(node, index);
    node->input_size = sources[(source_count - 1u) % WIRE_MAX_SOURCES].size;
    switch (node->kind) {
        case WIRE_NODE_LSTM: choose_lstm(node, index); break;
        case WIRE_NODE_MERGE: choose_merge(node, index); break;
        case WIRE_NODE_POOL:
            node->operation = input_below(2) == 0 ? WIRE_OP_AVERAGE : WIRE_OP_MAXIMUM;
            node->units = node->input_size;
            break;
        case WIRE_NODE_SCALE: node->units = node->input_size; break;
        case WIRE_NODE_ACTIVATION: node->units = node->input_size; // then as a Dense:
        default: node->activation = byte_or_wrong(input_below(WIRE_ACT_LOG_SOFTMAX + 1u)); break;
    }
    node->source_count = (uint8_t)(source_count - node->first_source);
    if (has_weights(node)) {
        choose_tensors(node);
    }
    note_work(node);
}

// One wrong field, anywhere in the tables.
static void damage(wire_node_record_t *records, wire_source_record_t *source_records) {
    wire_node_record_t *const node = &records[input_below(header.node_count)];
    wire_source_record_t *const source = &source_records[input_below(header.source_count)];
    switch (input_below(16)) {
        case 0: node->kind = input_byte(); break;
        case 1: node->phase = input_byte(); break;
        case 2: node->flags = input_half(); break;
        case 3: node->first_source = (uint16_t)input_edge(); break;
        case 4: node->source_count = input_byte(); break;
        case 5: node->pass_index = input_byte(); break;
        case 6: node->input_size = input_edge(); break;
        case 7: node->units = input_edge(); break;
        case 8: node->weights_offset += input_edge(); break;
        case 9: node->bias_offset += input_edge(); break;
        case 10: node->keep_steps = input_edge(); break;
        case 11: source->node = (uint16_t)input_edge(); break;
        case 12: source->offset = input_edge(); break;
        case 13: source->stride = input_edge(); break;
        case 14: source->size = input_edge(); break;
        default: source->read = input_byte(); break;
    }
}

static void fill_tensors(float *tensors, uint32_t count) {
    uint32_t state = input_word();
    const bool wild = input_below(4) == 1; // any bits: NaN, infinity, denormals
    for (uint32_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u; // Numerical Recipes
        const float small = (float)(int32_t)state * 0x1p-31f;
        const uint32_t bits = state ^ state >> 15;
        memcpy(&tensors[i], &small, sizeof small);
        if (wild && state >> 27 == 0) {
            memcpy(&tensors[i], &bits, sizeof bits);
        }
    }
}

static uint32_t put_together(void) {
    wire_node_record_t *const node_records = (wire_node_record_t *)(void *)(bytes + sizeof header);
    wire_source_record_t *const source_records = (wire_source_record_t *)(void *)(node_records + header.node_count);
    uint8_t *const tensors = (uint8_t *)(source_records + header.source_count);
    const uint32_t start = (uint32_t)(tensors - bytes);
    for (uint32_t i = 0; i < header.node_count; i++) {
        nodes[i].weights_offset = has_weights(&nodes[i]) ? start + 4u * nodes[i].weights_offset : 0u;
        nodes[i].bias_offset = (nodes[i].flags & WIRE_NODE_FLAG_BIAS) != 0 ? start + 4u * nodes[i].bias_offset : 0u;
    }
    memcpy(node_records, nodes, header.node_count * sizeof nodes[0]);
    memcpy(source_records, sources, header.source_count * sizeof sources[0]);
    if (input_rarely(3)) {
        damage(node_records, source_records);
    }
    fill_tensors((float *)(void *)tensors, tensor_floats);
    return start + 4u * tensor_floats;
}

fuzz_image_t fuzz_image_make(void) {
    header = (wire_image_header_t){
        .magic = WIRE_IMAGE_MAGIC,
        .version = WIRE_IMAGE_VERSION,
        .node_count = (uint16_t)(1u + input_below(input_below(2) == 0 ? 3u : NODES)), // a few cost less time
        .input_size = input_below(UNITS),
        .static_size = input_below(2) == 1 ? input_below(UNITS) : 0u,
    };
    source_count = tensor_floats = scratch_floats = 0;
    work_floats = header.input_size + header.static_size;
    for (uint32_t i = 0; i < header.node_count; i++) {
        choose_node(i);
    }
    nodes[header.node_count - 1].flags |= WIRE_NODE_FLAG_OUTPUT;
    for (uint32_t i = 0; i < header.node_count; i++) {
        work_floats += (uint64_t)nodes[i].keep_steps * nodes[i].units;
    }
    header.source_count = (uint16_t)(source_count < WIRE_MAX_SOURCES ? source_count : WIRE_MAX_SOURCES);
    const uint32_t end = put_together();
    header.image_bytes = or_wrong(end + 4u);
    header.work_bytes = or_wrong((uint32_t)((work_floats + scratch_floats) * sizeof(float)));
    memcpy(bytes, &header, sizeof header);
    const uint32_t crc32 = wire_crc32(0, bytes, end);
    memcpy(bytes + end, &crc32, sizeof crc32);
    return (fuzz_image_t){.bytes = bytes, .size = end + 4u, .work_bytes = header.work_bytes, .crc32 = or_wrong(crc32)};
}
