#include "image_layout.h"

#include <string.h>

#include "activation.h"
#include "gates.h"
#include "image_sources.h"
#include "packed.h"
#include "wire_crc.h"

// CMSIS-DSP's matrix counts rows and columns in 16 bits.
#define MAX_ROWS 65535u
#define CRC_BYTES 4u

static image_error_t ok(void) {
    return (image_error_t){.code = 0};
}

static image_error_t fail(uint16_t code, uint32_t detail, uint32_t detail2) {
    return (image_error_t){.code = code, .detail = detail, .detail2 = detail2};
}

static bool tensor_fits(uint32_t offset, uint64_t floats, uint64_t start, uint64_t end) {
    return offset % sizeof(float) == 0 && offset >= start && offset + floats * sizeof(float) <= end;
}

static bool is_packed(const wire_node_record_t *record) {
    return record->weight_layout == WIRE_LAYOUT_PACKED;
}

static bool layout_is_sound(const wire_node_record_t *record) {
    if (is_packed(record)) { // the biases are in the stream
        return record->kind == WIRE_NODE_LSTM && record->bias_offset == 0 &&
               (record->flags & WIRE_NODE_FLAG_BIAS) == 0 &&
               (record->kernel == WIRE_KERNEL_PACKED || record->kernel == WIRE_KERNEL_PACKED_FMA);
    }
    return record->weight_layout == WIRE_LAYOUT_ROWS && record->kernel == WIRE_KERNEL_ARM_MATH;
}

static bool kind_is_sound(const wire_node_record_t *record) {
    const bool is_known = record->reserved == 0 && record->reserved2 == 0 &&
                          record->phase <= WIRE_PHASE_AFTER_LAST_STEP && activation_is_known(record->activation) &&
                          record->operation <= WIRE_OP_MINIMUM && layout_is_sound(record);
    const uint32_t known_flags = WIRE_NODE_FLAG_BIAS | WIRE_NODE_FLAG_OUTPUT | WIRE_NODE_FLAG_ZERO_OUTPUT_FOR_MASK |
                                 WIRE_NODE_FLAG_IGNORE_MASK | WIRE_NODE_FLAG_INITIAL_STATE | WIRE_NODE_FLAG_KEEP_GATES;
    const uint32_t lstm_flags = WIRE_NODE_FLAG_INITIAL_STATE | WIRE_NODE_FLAG_KEEP_GATES;
    const bool is_kept = record->keep_steps != 0; // there is one value behind the last step, and it stays anyway
    const bool has_tensors =
        record->weights_offset != 0 || record->bias_offset != 0 || (record->flags & WIRE_NODE_FLAG_BIAS) != 0;
    if (!is_known || (record->flags & ~known_flags) != 0 || (is_kept && record->phase == WIRE_PHASE_AFTER_LAST_STEP) ||
        (record->operation != 0 && record->kind != WIRE_NODE_MERGE && record->kind != WIRE_NODE_POOL) ||
        ((record->flags & lstm_flags) != 0 && record->kind != WIRE_NODE_LSTM)) {
        return false;
    }
    switch (record->kind) {
        case WIRE_NODE_LSTM:
            return record->phase == WIRE_PHASE_EVERY_STEP && activation_is_known(record->recurrent_activation);
        case WIRE_NODE_DENSE: return true;
        case WIRE_NODE_MERGE:
            return record->activation == WIRE_ACT_LINEAR && record->units == record->input_size && !has_tensors;
        case WIRE_NODE_ACTIVATION: return record->units == record->input_size && !has_tensors;
        case WIRE_NODE_SCALE:
            return record->activation == WIRE_ACT_LINEAR && record->units == record->input_size &&
                   (record->flags & WIRE_NODE_FLAG_BIAS) != 0;
        case WIRE_NODE_POOL: // its value is that of all steps so far: there is nothing to keep
            return record->phase == WIRE_PHASE_EVERY_STEP && record->activation == WIRE_ACT_LINEAR && !is_kept &&
                   (record->operation == WIRE_OP_AVERAGE || record->operation == WIRE_OP_MAXIMUM) &&
                   record->units == record->input_size && !has_tensors;
        default: return false;
    }
}

static bool has_weights(const wire_node_record_t *record) {
    return record->kind == WIRE_NODE_LSTM || record->kind == WIRE_NODE_DENSE || record->kind == WIRE_NODE_SCALE;
}

static uint64_t tables_bytes(const wire_image_header_t *header) {
    return sizeof *header + (uint64_t)header->node_count * sizeof(wire_node_record_t) +
           (uint64_t)header->source_count * sizeof(wire_source_record_t);
}

static image_error_t check_node(const uint8_t *bytes, const wire_image_header_t *header, uint32_t index) {
    const wire_node_record_t *const record = &image_node_records(bytes)[index];
    if (!kind_is_sound(record) || record->pass_index >= header->node_count) {
        return fail(WIRE_ERR_BAD_NODE, index, record->kind);
    }
    const bool is_lstm = record->kind == WIRE_NODE_LSTM;
    const uint64_t rows = (is_lstm ? GATES : 1u) * (uint64_t)record->units;
    const uint64_t columns = (uint64_t)record->input_size + (is_lstm ? record->units : 0u);
    if (record->units == 0 || record->input_size == 0 || rows > MAX_ROWS || columns > MAX_ROWS) {
        return fail(WIRE_ERR_BAD_SIZE, index, record->units);
    }
    const image_error_t error = image_check_sources(bytes, index);
    if (error.code != 0 || !has_weights(record)) {
        return error;
    }
    const uint64_t start = tables_bytes(header);
    const uint64_t end = header->image_bytes - CRC_BYTES;
    const bool has_bias = (record->flags & WIRE_NODE_FLAG_BIAS) != 0;
    const uint64_t biases = is_packed(record) ? rows : 0u; // in the stream
    const uint64_t weights = record->kind == WIRE_NODE_SCALE ? rows : rows * columns;
    if (!tensor_fits(record->weights_offset, weights + biases, start, end) ||
        (has_bias && !tensor_fits(record->bias_offset, rows, start, end))) {
        return fail(WIRE_ERR_BAD_TENSOR, index, record->weights_offset);
    }
    return ok();
}

static bool keeps_gates(const wire_node_record_t *record) {
    return (record->flags & WIRE_NODE_FLAG_KEEP_GATES) != 0;
}

uint32_t image_gates_floats(const wire_node_record_t *record) {
    return keeps_gates(record) ? 2u * GATES * record->units : 0u;
}

// Work memory of one node in floats, and the scratch that it wants while it runs. docs/PROTOCOL.md, "Work memory".
static uint32_t state_floats(const wire_node_record_t *record) {
    if (is_packed(record)) {
        return packed_state_floats(record->input_size, record->units);
    }
    if (record->kind == WIRE_NODE_LSTM) {
        return record->input_size + 3u * record->units; // x and h, c, output
    }
    return record->kind == WIRE_NODE_POOL ? 2u * record->units : record->units; // output, sum
}

static uint32_t node_floats(const wire_node_record_t *record) {
    return state_floats(record) + image_gates_floats(record);
}

static uint32_t scratch_floats(const wire_node_record_t *record) {
    if (is_packed(record) && keeps_gates(record)) {
        return packed_gates_scratch_floats(record->units);
    }
    if (is_packed(record)) {
        return packed_scratch_floats(record->units, record->activation, record->recurrent_activation);
    }
    return record->kind == WIRE_NODE_LSTM ? GATES * record->units : 0u;
}

image_error_t image_check(const image_source_t *source, uint32_t *work_bytes) {
    const uint8_t *const bytes = source->bytes;
    const size_t size = source->size;
    const wire_image_header_t *const header = (const wire_image_header_t *)(const void *)bytes;
    if (size < sizeof *header + CRC_BYTES) {
        return fail(WIRE_ERR_BAD_SIZE, (uint32_t)size, 0);
    }
    if (header->magic != WIRE_IMAGE_MAGIC) {
        return fail(WIRE_ERR_BAD_MAGIC, header->magic, WIRE_IMAGE_MAGIC);
    }
    if (header->version != WIRE_IMAGE_VERSION) {
        return fail(WIRE_ERR_BAD_IMAGE_VERSION, header->version, WIRE_IMAGE_VERSION);
    }
    if (header->image_bytes != size) {
        return fail(WIRE_ERR_BAD_SIZE, header->image_bytes, (uint32_t)size);
    }
    uint32_t sent = 0;
    memcpy(&sent, bytes + size - CRC_BYTES, sizeof sent);
    const size_t summed = source->summed_bytes;
    if (summed > size - CRC_BYTES) {
        return fail(WIRE_ERR_BAD_SIZE, (uint32_t)summed, (uint32_t)size);
    }
    const uint32_t computed = wire_crc32(source->sum, bytes + summed, size - CRC_BYTES - summed);
    if (sent != computed || source->crc32 != computed) {
        return fail(WIRE_ERR_CRC_MISMATCH, sent != computed ? sent : source->crc32, computed);
    }
    const bool counts_are_sound = header->node_count > 0 && header->node_count <= WIRE_MAX_NODES &&
                                  header->source_count > 0 && header->source_count <= WIRE_MAX_SOURCES;
    const bool reserved_is_zero = header->reserved == 0 && header->reserved2 == 0;
    if (!counts_are_sound || !reserved_is_zero || tables_bytes(header) + CRC_BYTES > size ||
        header->input_size > MAX_ROWS || header->static_size > MAX_ROWS) {
        return fail(WIRE_ERR_BAD_SIZE, header->node_count, header->input_size);
    }

    // In 64 bits: 32 nodes may ask for 65535 floats of 2^32 steps each.
    uint64_t floats = (uint64_t)header->input_size + header->static_size;
    uint32_t scratch = 0;
    bool has_output = false;
    for (uint32_t i = 0; i < header->node_count; i++) {
        const image_error_t error = check_node(bytes, header, i);
        if (error.code != 0) {
            return error;
        }
        const wire_node_record_t *const record = &image_node_records(bytes)[i];
        floats += (uint64_t)node_floats(record) + (uint64_t)record->keep_steps * record->units;
        scratch = scratch_floats(record) > scratch ? scratch_floats(record) : scratch;
        has_output = has_output || (record->flags & WIRE_NODE_FLAG_OUTPUT) != 0;
    }
    if (!has_output) {
        return fail(WIRE_ERR_BAD_NODE, header->node_count, 0);
    }
    const uint64_t needed = (floats + scratch) * sizeof(float);
    if (header->work_bytes != needed) {
        return fail(WIRE_ERR_BAD_WORK_SIZE, header->work_bytes, image_saturated(needed));
    }
    *work_bytes = header->work_bytes;
    return ok();
}

static const float *tensor_at(const uint8_t *bytes, uint32_t offset) {
    return (const float *)(const void *)(bytes + offset);
}

// Counts the passes, and marks those whose steps read the input of a step.
static void note_pass(image_t *image, const wire_node_record_t *record) {
    const uint32_t pass_index = record->pass_index;
    image->pass_count = pass_index >= image->pass_count ? pass_index + 1u : image->pass_count;
    for (uint32_t i = 0; i < record->source_count; i++) {
        const wire_source_record_t *const source = &image->sources[record->first_source + i];
        if (source->node == WIRE_NO_NODE && source->offset < image->header->input_size) {
            image->input_passes |= 1u << pass_index;
        }
    }
}

static void lay_out_packed(image_node_t *node, float *state, float *scratch) {
    const wire_node_record_t *const record = node->record;
    const packed_shape_t shape = {
        .stream = node->weights,
        .input_size = record->input_size,
        .units = record->units,
        .activation = record->activation,
        .recurrent_activation = record->recurrent_activation,
    };
    const packed_kernel_t *const kernel = record->kernel == WIRE_KERNEL_PACKED ? &kernel_packed : &kernel_packed_fma;
    packed_prepare(&node->packed, kernel, &shape, state, scratch);
    node->h = node->packed.hx;
    node->c = node->packed.c;
    node->output = node->packed.h;
}

// Floats of the work memory in front of the scratch, which is the last of it: a packed kernel may read a little more
// than an input that lies anywhere else.
static size_t floats_before_scratch(const image_t *image) {
    size_t floats = image->header->input_size + image->header->static_size;
    for (uint32_t i = 0; i < image->node_count; i++) {
        const wire_node_record_t *const record = &image_node_records(image->bytes)[i];
        floats += node_floats(record) + (size_t)record->keep_steps * record->units;
    }
    return floats;
}

void image_lay_out(image_t *image, const uint8_t *bytes, uint8_t *work) {
    const wire_image_header_t *const header = (const wire_image_header_t *)(const void *)bytes;
    *image = (image_t){
        .bytes = bytes,
        .header = header,
        .sources = image_source_records(bytes),
        .work = (float *)(void *)work,
        .node_count = header->node_count,
    };
    memcpy(&image->crc32, bytes + header->image_bytes - CRC_BYTES, sizeof image->crc32);
    float *next = image->work;
    image->input = next;
    image->scratch = next + floats_before_scratch(image);
    next += header->input_size + header->static_size;
    for (uint32_t i = 0; i < image->node_count; i++) {
        const wire_node_record_t *const record = &image_node_records(bytes)[i];
        image_node_t *const node = &image->nodes[i];
        node->record = record;
        node->weights = has_weights(record) ? tensor_at(bytes, record->weights_offset) : NULL;
        node->bias = (record->flags & WIRE_NODE_FLAG_BIAS) != 0 ? tensor_at(bytes, record->bias_offset) : NULL;
        node->inputs = &image->inputs[record->first_source];
        if (is_packed(record)) {
            lay_out_packed(node, next, image->scratch);
        } else if (record->kind == WIRE_NODE_LSTM) {
            node->h = next;
            node->c = node->h + record->units + record->input_size;
            node->output = node->c + record->units;
        } else {
            node->output = next;
        }
        node->gates = keeps_gates(record) ? next + state_floats(record) : NULL;
        next += node_floats(record);
        note_pass(image, record);
    }
    image->state_bytes = (size_t)(next - image->work) * sizeof(float);
    for (uint32_t i = 0; i < image->node_count; i++) {
        image_node_t *const node = &image->nodes[i];
        node->kept = node->record->keep_steps == 0 ? NULL : next;
        next += (size_t)node->record->keep_steps * node->record->units;
    }
}
