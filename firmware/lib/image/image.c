#include "image.h"

#include <string.h>

#include "engine.h"
#include "image_layout.h"
#include "image_sources.h"

static engine_lstm_t lstm_of(const image_node_t *node) {
    const wire_node_record_t *const record = node->record;
    return (engine_lstm_t){
        .weights = node->weights,
        .bias = node->bias,
        .input_size = record->input_size,
        .units = record->units,
        .gates = node->gates,
        .activation = record->activation,
        .recurrent_activation = record->recurrent_activation,
    };
}

static const float *row(const image_input_t *input, uint32_t step) {
    return input->first + (ptrdiff_t)step * input->stride;
}

static void skip_step(const image_node_t *node) {
    const wire_node_record_t *const record = node->record;
    if ((record->flags & WIRE_NODE_FLAG_ZERO_OUTPUT_FOR_MASK) != 0) {
        memset(node->output, 0, record->units * sizeof(float));
    }
    if (node->gates != NULL) {
        memset(node->gates, 0, image_gates_floats(record) * sizeof(float));
    }
}

static void lstm_step(const image_t *image, image_node_t *node, uint32_t step, bool masked) {
    const wire_node_record_t *const record = node->record;
    const size_t output_size = record->units * sizeof(float);
    const bool runs = !masked || (record->flags & WIRE_NODE_FLAG_IGNORE_MASK) != 0;
    if (runs && record->weight_layout == WIRE_LAYOUT_PACKED) {
        node->packed.x = row(&node->inputs[0], step);
        if (node->gates != NULL) {
            packed_gates(&node->packed, node->gates);
        }
        packed_step(&node->packed);
    } else if (runs) {
        const engine_lstm_t lstm = lstm_of(node);
        memcpy(node->h + record->units, row(&node->inputs[0], step), record->input_size * sizeof(float));
        engine_lstm_step(&lstm, node->h, node->c, image->scratch);
        memcpy(node->output, node->h, output_size);
    } else {
        skip_step(node);
    }
}

static void merge_step(const image_t *image, const image_node_t *node, uint32_t step) {
    const wire_node_record_t *const record = node->record;
    const wire_source_record_t *const sources = &image->sources[record->first_source];
    const bool joins = record->operation == WIRE_OP_CONCATENATE;
    float *to = node->output;
    for (uint32_t i = 0; i < record->source_count; i++) {
        const float *const from = row(&node->inputs[i], step);
        if (joins || i == 0) {
            memcpy(to, from, sources[i].size * sizeof(float));
            to += joins ? sources[i].size : 0;
        } else {
            engine_combine(record->operation, from, record->units, to);
        }
    }
    if (record->operation == WIRE_OP_AVERAGE) {
        engine_divide(node->output, record->units, (float)record->source_count);
    }
    engine_canonical_nan(node->output, record->units);
}

static void pool_step(image_node_t *node, uint32_t step, bool masked) {
    const wire_node_record_t *const record = node->record;
    const float *const x = row(&node->inputs[0], step);
    const bool counts = !masked || (record->flags & WIRE_NODE_FLAG_IGNORE_MASK) != 0;
    node->pooled += counts ? 1u : 0u;
    if (record->operation == WIRE_OP_AVERAGE) {
        engine_average(x, record->units, counts, node->pooled, node->output);
    } else if (counts) {
        engine_combine(record->operation, x, record->units, node->output);
    }
    engine_canonical_nan(node->output, record->units);
}

static void node_step(const image_t *image, image_node_t *node, uint32_t step, bool masked) {
    const wire_node_record_t *const record = node->record;
    switch (record->kind) {
        case WIRE_NODE_LSTM: lstm_step(image, node, step, masked); break;
        case WIRE_NODE_MERGE: merge_step(image, node, step); break;
        case WIRE_NODE_POOL: pool_step(node, step, masked); break;
        case WIRE_NODE_SCALE: {
            engine_scale(node->weights, node->bias, row(&node->inputs[0], step), record->units, node->output);
            break;
        }
        case WIRE_NODE_DENSE: {
            const engine_dense_t dense = {
                .weights = node->weights,
                .bias = node->bias,
                .input_size = record->input_size,
                .units = record->units,
                .activation = record->activation,
            };
            engine_dense(&dense, row(&node->inputs[0], step), node->output);
            break;
        }
        default: {
            engine_activation(record->activation, row(&node->inputs[0], step), record->units, node->output);
            break;
        }
    }
    if (node->kept != NULL) {
        memcpy(node->kept + (size_t)step * record->units, node->output, record->units * sizeof(float));
    }
}

static bool is_of(const image_node_t *node, uint32_t pass_index, uint8_t phase) {
    return node->record->pass_index == pass_index && node->record->phase == phase;
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
    const size_t input_bytes = ((size_t)image->header->input_size + image->header->static_size) * sizeof(float);
    memset((uint8_t *)image->work + input_bytes, 0, image->state_bytes - input_bytes);
    image->ended = 0;
    image->running = false;
}

bool image_reads_input(const image_t *image, uint32_t pass_index) {
    return pass_index < image->pass_count && (image->input_passes >> pass_index & 1u) != 0;
}

image_error_t image_admits(const image_t *image, const wire_run_t *run) {
    const bool resets = (run->flags & WIRE_RUN_RESET_STATE) != 0;
    const bool ends = (run->flags & WIRE_RUN_END) != 0;
    const uint32_t next = resets ? 0 : image->ended;
    const uint32_t pass_index = run->pass_index;
    if (pass_index >= image->pass_count || pass_index > next) {
        return (image_error_t){.code = WIRE_ERR_BAD_PASS, .detail = pass_index, .detail2 = next};
    }
    const bool goes_on = !resets && image->running && pass_index == image->ended;
    const uint64_t steps = (goes_on ? (uint64_t)image->steps[pass_index] : 0u) + run->steps;
    for (uint32_t i = 0; i < image->node_count; i++) {
        const image_node_t *const node = &image->nodes[i];
        if (node->record->pass_index != pass_index || (node->record->phase == WIRE_PHASE_AFTER_LAST_STEP && !ends)) {
            continue;
        }
        if (node->kept != NULL && steps > node->record->keep_steps) {
            return (image_error_t){
                .code = WIRE_ERR_BEYOND_SEQUENCE, .detail = (uint32_t)steps, .detail2 = node->record->keep_steps};
        }
        const image_error_t error = image_check_stored(image, node, steps);
        if (error.code != 0) {
            return error;
        }
    }
    return (image_error_t){.code = 0};
}

static void begin_lstm(const image_node_t *node) {
    const wire_node_record_t *const record = node->record;
    const size_t state_bytes = record->units * sizeof(float);
    if ((record->flags & WIRE_NODE_FLAG_INITIAL_STATE) != 0) {
        memcpy(node->h, node->inputs[1].first, state_bytes);
        memcpy(node->c, node->inputs[2].first, state_bytes);
    }
}

// Lists the nodes of a step of a pass if there is nothing to be done for them but their kernels' step.
static void list_quick(image_t *image, uint32_t pass_index) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < image->node_count; i++) {
        image_node_t *const node = &image->nodes[i];
        if (!is_of(node, pass_index, WIRE_PHASE_EVERY_STEP)) {
            continue;
        }
        const bool is_quick = node->record->weight_layout == WIRE_LAYOUT_PACKED && node->packed.z == NULL &&
                              node->kept == NULL && node->gates == NULL && node->inputs[0].stride == 0;
        if (!is_quick) {
            count = 0;
            break;
        }
        node->packed.x = node->inputs[0].first;
        image->quick[count++] = &node->packed;
    }
    image->quick[count] = NULL;
}

static void begin_pool(image_node_t *node) {
    static const uint32_t minus_infinity = 0xFF800000u; // below any first step
    for (uint32_t i = 0; i < node->record->units; i++) {
        memcpy(&node->output[i], &minus_infinity, sizeof minus_infinity);
    }
    memset(node->output + node->record->units, 0, node->record->units * sizeof(float)); // the sum
    node->pooled = 0;
}

void image_begin(image_t *image, uint32_t pass_index) {
    if (image->running && image->ended == pass_index) {
        return;
    }
    image->ended = pass_index;
    image->running = true;
    image->steps[pass_index] = 0;
    for (uint32_t i = 0; i < image->node_count; i++) {
        image_node_t *const node = &image->nodes[i];
        if (is_of(node, pass_index, WIRE_PHASE_EVERY_STEP)) {
            image_find_inputs(image, node);
            memset(node->output, 0, node->record->units * sizeof(float));
            if (node->record->kind == WIRE_NODE_LSTM) {
                begin_lstm(node);
            } else if (node->record->kind == WIRE_NODE_POOL) {
                begin_pool(node);
            }
        }
    }
    list_quick(image, pass_index);
}

void image_step(image_t *image, bool masked) {
    const uint32_t step = image->steps[image->ended]++;
    const packed_lstm_t *const *quick = image->quick;
    if (!masked && *quick != NULL) {
        do {
            (*quick)->step(*quick);
        } while (*++quick != NULL);
        return;
    }
    for (uint32_t i = 0; i < image->node_count; i++) {
        image_node_t *const node = &image->nodes[i];
        if (is_of(node, image->ended, WIRE_PHASE_EVERY_STEP)) {
            node_step(image, node, step, masked);
        }
    }
}

void image_finish(image_t *image) {
    for (uint32_t i = 0; i < image->node_count; i++) {
        image_node_t *const node = &image->nodes[i];
        if (is_of(node, image->ended, WIRE_PHASE_AFTER_LAST_STEP)) {
            image_find_inputs(image, node);
            node_step(image, node, 0, false);
        }
    }
    image->ended++;
    image->running = false;
}

uint8_t *image_region(const image_t *image, uint8_t region, uint32_t node, size_t *size) {
    if (region == WIRE_REGION_INPUT) {
        *size = ((size_t)image->header->input_size + image->header->static_size) * sizeof(float);
        return (uint8_t *)image->input;
    }
    if (node >= image->node_count) {
        return NULL;
    }
    const image_node_t *const named = &image->nodes[node];
    const bool is_lstm = named->record->kind == WIRE_NODE_LSTM;
    *size = (region == WIRE_REGION_GATES ? image_gates_floats(named->record) : named->record->units) * sizeof(float);
    switch (region) {
        case WIRE_REGION_GATES: return (uint8_t *)named->gates;
        case WIRE_REGION_OUTPUT: return (uint8_t *)named->output;
        case WIRE_REGION_STATE_H: return is_lstm ? (uint8_t *)named->h : NULL;
        case WIRE_REGION_STATE_C: return is_lstm ? (uint8_t *)named->c : NULL;
        default: return NULL;
    }
}
