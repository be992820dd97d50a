#include "image_sources.h"

// An LSTM's sources: x, and with WIRE_NODE_FLAG_INITIAL_STATE the h and c that it begins with.
#define INITIAL_STATE_SOURCES 3u

static image_error_t ok(void) {
    return (image_error_t){.code = 0};
}

static image_error_t bad_source(uint32_t node, uint32_t source) {
    return (image_error_t){.code = WIRE_ERR_BAD_SOURCE, .detail = node, .detail2 = source};
}

const wire_node_record_t *image_node_records(const uint8_t *bytes) {
    return (const wire_node_record_t *)(const void *)(bytes + sizeof(wire_image_header_t));
}

const wire_source_record_t *image_source_records(const uint8_t *bytes) {
    const wire_image_header_t *const header = (const wire_image_header_t *)(const void *)bytes;
    return (const wire_source_record_t *)(const void *)(image_node_records(bytes) + header->node_count);
}

// Floats that can be read of a node at most: its kept outputs, or its output alone.
static uint64_t capacity(const wire_node_record_t *node) {
    return node->keep_steps == 0 ? node->units : (uint64_t)node->keep_steps * node->units;
}

// Of the model's input a step has both parts; before the first step and behind the last one only the second is sound.
static bool input_is_sound(const wire_source_record_t *source, const wire_image_header_t *header, bool at_steps) {
    const uint64_t start = at_steps ? 0 : header->input_size;
    const uint64_t end = (uint64_t)header->input_size + header->static_size;
    return source->tap == WIRE_TAP_OUTPUT && source->read == WIRE_READ_NOW && source->stride == 0 &&
           source->offset >= start && (uint64_t)source->offset + source->size <= end;
}

// `at_steps`: it is read at every step of pass `pass_index`; `before`: when that pass begins; else when it ends.
static bool value_is_sound(const wire_source_record_t *source, const wire_node_record_t *from, uint32_t pass_index,
                           bool at_steps, bool before) {
    const bool at_end = !at_steps && !before;
    const bool from_earlier_pass = from->pass_index < pass_index;
    const bool has_ended = from_earlier_pass || (at_end && from->pass_index == pass_index);
    const uint64_t end = (uint64_t)source->offset + source->size;
    if (source->read == WIRE_READ_NOW) {
        const bool is_state = source->tap != WIRE_TAP_OUTPUT;
        const bool in_this_step =
            at_steps && !is_state && from->pass_index == pass_index && from->phase == WIRE_PHASE_EVERY_STEP;
        return (has_ended || in_this_step) && (!is_state || from->kind == WIRE_NODE_LSTM) && source->stride == 0 &&
               end <= from->units;
    }
    const bool moves = source->stride != 0;
    const bool is_backwards = source->read == WIRE_READ_REVERSED;
    return has_ended && source->tap == WIRE_TAP_OUTPUT && end <= capacity(from) && (at_steps || !moves) &&
           source->stride <= capacity(from) && (moves || !is_backwards); // ptrdiff_t can count that far
}

static bool source_is_sound(const uint8_t *bytes, uint32_t index, const wire_source_record_t *source, bool is_state) {
    const wire_image_header_t *const header = (const wire_image_header_t *)(const void *)bytes;
    const wire_node_record_t *const nodes = image_node_records(bytes);
    const wire_node_record_t *const node = &nodes[index];
    const bool at_steps = node->phase == WIRE_PHASE_EVERY_STEP && !is_state;
    if (source->size == 0 || source->tap > WIRE_TAP_STATE_C || source->read > WIRE_READ_REVERSED) {
        return false;
    }
    if (source->node == WIRE_NO_NODE) {
        return input_is_sound(source, header, at_steps);
    }
    return source->node < index && value_is_sound(source, &nodes[source->node], node->pass_index, at_steps, is_state);
}

// Whether the sources of a node are as many, and as large, as its kind wants.
static bool sizes_are_sound(const wire_node_record_t *node, const wire_source_record_t *sources) {
    const bool is_merge = node->kind == WIRE_NODE_MERGE;
    const bool has_initial_state = (node->flags & WIRE_NODE_FLAG_INITIAL_STATE) != 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < node->source_count; i++) {
        sum += sources[i].size;
    }
    if (is_merge && node->operation == WIRE_OP_CONCATENATE) {
        return sum == node->units;
    }
    for (uint32_t i = 1; i < node->source_count; i++) {
        if (sources[i].size != node->units) {
            return false;
        }
    }
    const bool is_difference = is_merge && node->operation == WIRE_OP_SUBTRACT;
    const bool count_is_right = is_difference ? node->source_count == 2u
                                : is_merge    ? true
                                              : node->source_count == (has_initial_state ? INITIAL_STATE_SOURCES : 1u);
    return count_is_right && sources[0].size == node->input_size;
}

image_error_t image_check_sources(const uint8_t *bytes, uint32_t index) {
    const wire_image_header_t *const header = (const wire_image_header_t *)(const void *)bytes;
    const wire_node_record_t *const node = &image_node_records(bytes)[index];
    const wire_source_record_t *const sources = image_source_records(bytes) + node->first_source;
    if (node->source_count == 0 || (uint32_t)node->first_source + node->source_count > header->source_count ||
        !sizes_are_sound(node, sources)) {
        return bad_source(index, node->first_source);
    }
    for (uint32_t i = 0; i < node->source_count; i++) {
        const bool is_state = node->kind == WIRE_NODE_LSTM && i > 0;
        if (!source_is_sound(bytes, index, &sources[i], is_state)) {
            return bad_source(index, node->first_source + i);
        }
    }
    return ok();
}

// Rows of a source that are there, when the node that it reads has run `steps` steps.
static uint64_t rows_there(const wire_source_record_t *source, const image_node_t *from, uint64_t steps) {
    const uint64_t floats = (from->kept == NULL ? 1u : steps) * from->record->units;
    const uint64_t end = (uint64_t)source->offset + source->size;
    if (end > floats) {
        return 0;
    }
    return source->stride == 0 ? UINT64_MAX : (floats - end) / source->stride + 1u;
}

image_error_t image_check_stored(const image_t *image, const image_node_t *node, uint64_t steps) {
    const wire_node_record_t *const record = node->record;
    const bool at_steps = record->phase == WIRE_PHASE_EVERY_STEP;
    for (uint32_t i = 0; i < record->source_count; i++) {
        const wire_source_record_t *const source = &image->sources[record->first_source + i];
        if (source->read == WIRE_READ_NOW) {
            continue;
        }
        const image_node_t *const from = &image->nodes[source->node];
        const uint32_t from_pass = from->record->pass_index;
        const uint64_t there =
            rows_there(source, from, from_pass == record->pass_index ? steps : image->steps[from_pass]);
        if (there < (at_steps ? steps : 1u)) {
            return (image_error_t){
                .code = WIRE_ERR_BEYOND_SEQUENCE, .detail = (uint32_t)steps, .detail2 = (uint32_t)there};
        }
    }
    return ok();
}

static const float *start_of(const image_t *image, const wire_source_record_t *source) {
    if (source->node == WIRE_NO_NODE) {
        return image->input;
    }
    const image_node_t *const from = &image->nodes[source->node];
    switch (source->tap) {
        case WIRE_TAP_STATE_H: return from->h;
        case WIRE_TAP_STATE_C: return from->c;
        default: return source->read == WIRE_READ_NOW || from->kept == NULL ? from->output : from->kept;
    }
}

void image_find_inputs(const image_t *image, const image_node_t *node) {
    for (uint32_t i = 0; i < node->record->source_count; i++) {
        const wire_source_record_t *const source = &image->sources[node->record->first_source + i];
        image_input_t *const input = &node->inputs[i];
        input->first = start_of(image, source) + source->offset;
        input->stride = (ptrdiff_t)source->stride;
        if (source->read == WIRE_READ_REVERSED) {
            const image_node_t *const from = &image->nodes[source->node];
            const uint64_t rows = rows_there(source, from, image->steps[from->record->pass_index]);
            input->first += rows == 0 ? 0 : (ptrdiff_t)(rows - 1u) * input->stride;
            input->stride = -input->stride;
        }
    }
}
