#include "image_layout.h"

#include <string.h>

#include "activation.h"
#include "wire_crc.h"

// CMSIS-DSP's matrix counts rows and columns in 16 bits.
#define MAX_ROWS 65535u
#define CRC_BYTES 4u
#define GATES 4u

static image_error_t ok(void) {
    return (image_error_t){.code = 0};
}

static image_error_t fail(uint16_t code, uint32_t detail, uint32_t detail2) {
    return (image_error_t){.code = code, .detail = detail, .detail2 = detail2};
}

static const wire_node_record_t *records_of(const uint8_t *bytes) {
    return (const wire_node_record_t *)(const void *)(bytes + sizeof(wire_image_header_t));
}

static bool tensor_fits(uint32_t offset, uint64_t floats, uint64_t start, uint64_t end) {
    return offset % sizeof(float) == 0 && offset >= start && offset + floats * sizeof(float) <= end;
}

static bool kind_is_sound(const wire_node_record_t *record) {
    const bool reserved_is_zero = record->reserved == 0 && record->reserved2 == 0;
    const bool phase_is_known = record->phase <= WIRE_PHASE_AFTER_LAST_STEP;
    const uint32_t known_flags =
        WIRE_NODE_FLAG_BIAS | WIRE_NODE_FLAG_OUTPUT | WIRE_NODE_FLAG_ZERO_OUTPUT_FOR_MASK | WIRE_NODE_FLAG_IGNORE_MASK;
    if (!reserved_is_zero || !phase_is_known || (record->flags & ~known_flags) != 0 ||
        record->weight_layout != WIRE_LAYOUT_ROWS || !activation_is_known(record->activation)) {
        return false;
    }
    switch (record->kind) {
        case WIRE_NODE_LSTM:
            return record->phase == WIRE_PHASE_EVERY_STEP && activation_is_known(record->recurrent_activation);
        case WIRE_NODE_DENSE: return true;
        case WIRE_NODE_ACTIVATION: // has no tensors
            return record->units == record->input_size && record->weights_offset == 0 && record->bias_offset == 0 &&
                   (record->flags & WIRE_NODE_FLAG_BIAS) == 0;
        default: return false;
    }
}

static bool source_is_sound(const wire_node_record_t *records, uint32_t index, uint32_t input_size) {
    const wire_node_record_t *const record = &records[index];
    if (record->source == WIRE_NO_NODE) {
        return record->phase == WIRE_PHASE_EVERY_STEP && record->input_size == input_size;
    }
    if (record->source >= index) {
        return false;
    }
    const wire_node_record_t *const source = &records[record->source];
    return source->units == record->input_size && source->phase <= record->phase;
}

static image_error_t check_node(const uint8_t *bytes, const wire_image_header_t *header, uint32_t index) {
    const wire_node_record_t *const records = records_of(bytes);
    const wire_node_record_t *const record = &records[index];
    if (!kind_is_sound(record) || !source_is_sound(records, index, header->input_size)) {
        return fail(WIRE_ERR_BAD_NODE, index, record->kind);
    }
    const bool is_lstm = record->kind == WIRE_NODE_LSTM;
    const uint64_t rows = (is_lstm ? GATES : 1u) * (uint64_t)record->units;
    const uint64_t columns = (uint64_t)record->input_size + (is_lstm ? record->units : 0u);
    if (record->units == 0 || record->input_size == 0 || rows > MAX_ROWS || columns > MAX_ROWS) {
        return fail(WIRE_ERR_BAD_SIZE, index, record->units);
    }
    if (record->kind == WIRE_NODE_ACTIVATION) {
        return ok();
    }
    const uint64_t start = sizeof *header + (uint64_t)header->node_count * sizeof *record;
    const uint64_t end = header->image_bytes - CRC_BYTES;
    const bool has_bias = (record->flags & WIRE_NODE_FLAG_BIAS) != 0;
    if (!tensor_fits(record->weights_offset, rows * columns, start, end) ||
        (has_bias && !tensor_fits(record->bias_offset, rows, start, end))) {
        return fail(WIRE_ERR_BAD_TENSOR, index, record->weights_offset);
    }
    return ok();
}

// Work memory of one node in floats, and the scratch that it wants while it runs. docs/PROTOCOL.md, "Work memory".
static uint32_t node_floats(const wire_node_record_t *record) {
    if (record->kind == WIRE_NODE_LSTM) {
        return record->input_size + 3u * record->units; // x and h, c, output
    }
    return record->units;
}

static uint32_t scratch_floats(const wire_node_record_t *record) {
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
    const uint32_t computed = wire_crc32(0, bytes, size - CRC_BYTES);
    if (sent != computed || source->crc32 != computed) {
        return fail(WIRE_ERR_CRC_MISMATCH, sent != computed ? sent : source->crc32, computed);
    }
    const uint64_t tables = sizeof *header + (uint64_t)header->node_count * sizeof(wire_node_record_t);
    if (header->node_count == 0 || header->node_count > WIRE_MAX_NODES || tables + CRC_BYTES > size ||
        header->input_size == 0 || header->input_size > MAX_ROWS || header->reserved != 0) {
        return fail(WIRE_ERR_BAD_SIZE, header->node_count, header->input_size);
    }

    // No sum below overflows 32 bits: at most 33 terms of at most 4 * 65535.
    uint32_t floats = header->input_size;
    uint32_t scratch = 0;
    bool has_output = false;
    for (uint32_t i = 0; i < header->node_count; i++) {
        const image_error_t error = check_node(bytes, header, i);
        if (error.code != 0) {
            return error;
        }
        const wire_node_record_t *const record = &records_of(bytes)[i];
        floats += node_floats(record);
        scratch = scratch_floats(record) > scratch ? scratch_floats(record) : scratch;
        has_output = has_output || (record->flags & WIRE_NODE_FLAG_OUTPUT) != 0;
    }
    if (!has_output) {
        return fail(WIRE_ERR_BAD_NODE, header->node_count, 0);
    }
    *work_bytes = (floats + scratch) * (uint32_t)sizeof(float);
    if (header->work_bytes != *work_bytes) {
        return fail(WIRE_ERR_BAD_WORK_SIZE, header->work_bytes, *work_bytes);
    }
    return ok();
}

static const float *tensor_at(const uint8_t *bytes, uint32_t offset) {
    return (const float *)(const void *)(bytes + offset);
}

void image_lay_out(image_t *image, const uint8_t *bytes, uint8_t *work) {
    const wire_image_header_t *const header = (const wire_image_header_t *)(const void *)bytes;
    *image = (image_t){
        .bytes = bytes,
        .header = header,
        .work = (float *)(void *)work,
        .node_count = header->node_count,
    };
    memcpy(&image->crc32, bytes + header->image_bytes - CRC_BYTES, sizeof image->crc32);
    float *next = image->work;
    image->input = next;
    next += header->input_size;
    for (uint32_t i = 0; i < image->node_count; i++) {
        const wire_node_record_t *const record = &records_of(bytes)[i];
        image_node_t *const node = &image->nodes[i];
        node->record = record;
        node->weights = record->kind == WIRE_NODE_ACTIVATION ? NULL : tensor_at(bytes, record->weights_offset);
        node->bias = (record->flags & WIRE_NODE_FLAG_BIAS) != 0 ? tensor_at(bytes, record->bias_offset) : NULL;
        node->source = record->source == WIRE_NO_NODE ? image->input : image->nodes[record->source].output;
        if (record->kind == WIRE_NODE_LSTM) {
            node->xh = next;
            node->c = node->xh + record->input_size + record->units;
            node->output = node->c + record->units;
        } else {
            node->output = next;
        }
        next += node_floats(record);
    }
    image->scratch = next;
}
