#include "image.h"

#include <string.h>

#include "engine.h"
#include "image_layout.h"

static engine_lstm_t lstm_of(const image_node_t *node) {
    const wire_node_record_t *const record = node->record;
    return (engine_lstm_t){
        .weights = node->weights,
        .bias = node->bias,
        .input_size = record->input_size,
        .units = record->units,
        .activation = record->activation,
        .recurrent_activation = record->recurrent_activation,
    };
}

static void lstm_step(const image_t *image, const image_node_t *node, bool masked) {
    const wire_node_record_t *const record = node->record;
    const size_t output_size = record->units * sizeof(float);
    if (!masked || (record->flags & WIRE_NODE_FLAG_IGNORE_MASK) != 0) {
        const engine_lstm_t lstm = lstm_of(node);
        memcpy(node->xh, node->source, record->input_size * sizeof(float));
        engine_lstm_step(&lstm, node->xh, node->c, image->scratch);
        memcpy(node->output, node->xh + record->input_size, output_size);
    } else if ((record->flags & WIRE_NODE_FLAG_ZERO_OUTPUT_FOR_MASK) != 0) {
        memset(node->output, 0, output_size);
    }
}

static void run_phase(const image_t *image, uint8_t phase, bool masked) {
    for (uint32_t i = 0; i < image->node_count; i++) {
        const image_node_t *const node = &image->nodes[i];
        const wire_node_record_t *const record = node->record;
        if (record->phase != phase) {
            continue;
        }
        switch (record->kind) {
            case WIRE_NODE_LSTM: lstm_step(image, node, masked); break;
            case WIRE_NODE_DENSE: {
                const engine_dense_t dense = {
                    .weights = node->weights,
                    .bias = node->bias,
                    .input_size = record->input_size,
                    .units = record->units,
                    .activation = record->activation,
                };
                engine_dense(&dense, node->source, node->output);
                break;
            }
            default: engine_activation(record->activation, node->source, record->units, node->output); break;
        }
    }
}

image_error_t image_open(image_t *image, const image_source_t *source, uint8_t *work, size_t work_size) {
    uint32_t work_bytes = 0;
    const image_error_t error = image_check(source, &work_bytes);
    if (error.code != 0) {
        return error;
    }
    if (work_bytes > work_size) {
        return (image_error_t){.code = WIRE_ERR_BAD_WORK_SIZE, .detail = work_bytes, .detail2 = (uint32_t)work_size};
    }
    // All of it, the input too: what was in RAM before must not get into a result.
    memset(work, 0, work_bytes);
    image_lay_out(image, source->bytes, work);
    return error;
}

void image_reset_state(image_t *image) {
    const size_t input_bytes = image->header->input_size * sizeof(float);
    memset((uint8_t *)image->work + input_bytes, 0, image->header->work_bytes - input_bytes);
}

void image_step(image_t *image, bool masked) {
    run_phase(image, WIRE_PHASE_EVERY_STEP, masked);
}

void image_finish(image_t *image) {
    run_phase(image, WIRE_PHASE_AFTER_LAST_STEP, false);
}

// What a node adds to a step's record or to the end's, in this order: the one list that sizes and copies share.
typedef struct {
    const float *parts[2];
    uint32_t count;
} node_values_t;

static void add(node_values_t *values, bool wanted, const float *part) {
    if (wanted) {
        values->parts[values->count++] = part;
    }
}

static node_values_t lstm_values(const image_node_t *node, uint32_t trace) {
    node_values_t values = {.count = 0};
    if (node->record->kind == WIRE_NODE_LSTM) {
        add(&values, (trace & WIRE_TRACE_H) != 0, node->output);
        add(&values, (trace & WIRE_TRACE_C) != 0, node->c);
    }
    return values;
}

static node_values_t final_states(const image_node_t *node, uint32_t trace) {
    node_values_t values = {.count = 0};
    if (node->record->kind == WIRE_NODE_LSTM) {
        add(&values, (trace & WIRE_TRACE_FINAL_STATE) != 0, node->xh + node->record->input_size);
        add(&values, (trace & WIRE_TRACE_FINAL_STATE) != 0, node->c);
    }
    return values;
}

static node_values_t outputs(const image_node_t *node, uint32_t trace, uint8_t phase) {
    node_values_t values = {.count = 0};
    const bool is_output = (node->record->flags & WIRE_NODE_FLAG_OUTPUT) != 0 && node->record->phase == phase;
    add(&values, is_output && (trace & WIRE_TRACE_OUTPUT) != 0, node->output);
    return values;
}

// Copies the values of a node behind `*to`, or only counts them where `to` is NULL.
static uint32_t take(const image_node_t *node, node_values_t values, uint8_t **to) {
    const uint32_t units = node->record->units;
    for (uint32_t i = 0; i < values.count && to != NULL; i++) {
        memcpy(*to, values.parts[i], units * sizeof(float));
        *to += units * sizeof(float);
    }
    return values.count * units;
}

static uint32_t take_step(const image_t *image, uint32_t trace, uint8_t **to) {
    uint32_t floats = 0;
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], lstm_values(&image->nodes[i], trace), to);
    }
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], outputs(&image->nodes[i], trace, WIRE_PHASE_EVERY_STEP), to);
    }
    return floats;
}

static uint32_t take_end(const image_t *image, uint32_t trace, uint8_t **to) {
    uint32_t floats = 0;
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], outputs(&image->nodes[i], trace, WIRE_PHASE_AFTER_LAST_STEP), to);
    }
    for (uint32_t i = 0; i < image->node_count; i++) {
        floats += take(&image->nodes[i], final_states(&image->nodes[i], trace), to);
    }
    return floats;
}

uint32_t image_step_floats(const image_t *image, uint32_t trace) {
    return take_step(image, trace, NULL);
}

uint32_t image_end_floats(const image_t *image, uint32_t trace) {
    return take_end(image, trace, NULL);
}

uint8_t *image_copy_step(const image_t *image, uint32_t trace, uint8_t *to) {
    take_step(image, trace, &to);
    return to;
}

uint8_t *image_copy_end(const image_t *image, uint32_t trace, uint8_t *to) {
    take_end(image, trace, &to);
    return to;
}

uint8_t *image_region(const image_t *image, uint8_t region, uint32_t node, size_t *size) {
    if (region == WIRE_REGION_INPUT) {
        *size = image->header->input_size * sizeof(float);
        return (uint8_t *)image->input;
    }
    if (node >= image->node_count) {
        return NULL;
    }
    const image_node_t *const named = &image->nodes[node];
    const bool is_lstm = named->record->kind == WIRE_NODE_LSTM;
    *size = named->record->units * sizeof(float);
    switch (region) {
        case WIRE_REGION_OUTPUT: return (uint8_t *)named->output;
        case WIRE_REGION_STATE_H: return is_lstm ? (uint8_t *)(named->xh + named->record->input_size) : NULL;
        case WIRE_REGION_STATE_C: return is_lstm ? (uint8_t *)named->c : NULL;
        default: return NULL;
    }
}
