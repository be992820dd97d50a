// What the reply to a run holds: values of a step and of the end, in the order of docs/PROTOCOL.md, "Running".
#include <string.h>

#include "image.h"
#include "image_layout.h"

// What a node adds to a step's record or to the end's, in this order: the one list that sizes and copies share.
typedef struct {
    const float *parts[3];
    uint32_t sizes[3]; // floats
    uint32_t count;
} node_values_t;

static void add(node_values_t *values, bool wanted, const float *part, uint32_t size) {
    if (wanted && size > 0) {
        values->parts[values->count] = part;
        values->sizes[values->count++] = size;
    }
}

static node_values_t lstm_values(const image_node_t *node, uint32_t trace) {
    node_values_t values = {.count = 0};
    if (node->record->kind == WIRE_NODE_LSTM) {
        add(&values, (trace & WIRE_TRACE_H) != 0, node->output, node->record->units);
        add(&values, (trace & WIRE_TRACE_C) != 0, node->c, node->record->units);
        add(&values, (trace & WIRE_TRACE_GATES) != 0, node->gates, image_gates_floats(node->record));
    }
    return values;
}

static node_values_t final_states(const image_node_t *node, uint32_t trace) {
    node_values_t values = {.count = 0};
    if (node->record->kind == WIRE_NODE_LSTM) {
        add(&values, (trace & WIRE_TRACE_FINAL_STATE) != 0, node->h, node->record->units);
        add(&values, (trace & WIRE_TRACE_FINAL_STATE) != 0, node->c, node->record->units);
    }
    return values;
}

static node_values_t outputs(const image_node_t *node, bool wanted, uint8_t phase) {
    node_values_t values = {.count = 0};
    const bool is_output = (node->record->flags & WIRE_NODE_FLAG_OUTPUT) != 0 && node->record->phase == phase;
    add(&values, is_output && wanted, node->output, node->record->units);
    return values;
}

// Copies the values of a node of the pass behind `*to`, or only counts them where `to` is NULL.
static uint32_t take(const image_node_t *node, uint32_t pass_index, node_values_t values, uint8_t **to) {
    uint32_t floats = 0;
    if (node->record->pass_index != pass_index) {
        return 0;
    }
    for (uint32_t i = 0; i < values.count; i++) {
        if (to != NULL) {
            memcpy(*to, values.parts[i], values.sizes[i] * sizeof(float));
            *to += values.sizes[i] * sizeof(float);
        }
        floats += values.sizes[i];
    }
    return floats;
}

static uint32_t take_step(const image_t *image, uint32_t pass_index, uint32_t trace, uint8_t **to) {
    const bool output = (trace & WIRE_TRACE_OUTPUT) != 0;
    uint32_t floats = 0;
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], pass_index, lstm_values(&image->nodes[i], trace), to);
    }
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], pass_index, outputs(&image->nodes[i], output, WIRE_PHASE_EVERY_STEP), to);
    }
    return floats;
}

static uint32_t take_end(const image_t *image, uint32_t pass_index, uint32_t trace, uint8_t **to) {
    const bool output = (trace & WIRE_TRACE_OUTPUT) != 0;
    const bool last_output = (trace & WIRE_TRACE_LAST_OUTPUT) != 0;
    uint32_t floats = 0;
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], pass_index, outputs(&image->nodes[i], last_output, WIRE_PHASE_EVERY_STEP), to);
    }
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], pass_index, outputs(&image->nodes[i], output, WIRE_PHASE_AFTER_LAST_STEP), to);
    }
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], pass_index, final_states(&image->nodes[i], trace), to);
    }
    return floats;
}

uint32_t image_step_floats(const image_t *image, uint32_t pass_index, uint32_t trace) {
    return take_step(image, pass_index, trace, NULL);
}

uint32_t image_end_floats(const image_t *image, uint32_t pass_index, uint32_t trace) {
    return take_end(image, pass_index, trace, NULL);
}

uint8_t *image_copy_step(const image_t *image, uint32_t pass_index, uint32_t trace, uint8_t *to) {
    take_step(image, pass_index, trace, &to);
    return to;
}

uint8_t *image_copy_end(const image_t *image, uint32_t pass_index, uint32_t trace, uint8_t *to) {
    take_end(image, pass_index, trace, &to);
    return to;
}
