#include <string.h>

#include "board.h"
#include "handlers.h"

// A bit a step, padded to a multiple of 4 bytes.
static size_t mask_bytes(const wire_run_t *run) {
    return (run->flags & WIRE_RUN_MASK) == 0 ? 0 : ((size_t)run->steps + 31u) / 32u * 4u;
}

// In 64 bits, as the reply's size below: 65535 steps of 65535 floats do not fit into 32.
static uint64_t input_bytes(const wire_run_t *run, const image_t *image) {
    const bool carries_input = (run->flags & WIRE_RUN_STAGED_INPUT) == 0 && image_reads_input(image, run->pass_index);
    return carries_input ? (uint64_t)run->steps * image->header->input_size * sizeof(float) : 0;
}

static uint64_t reply_bytes(const wire_run_t *run, const image_t *image) {
    uint64_t floats = (uint64_t)run->steps * image_step_floats(image, run->pass_index, run->trace);
    if ((run->flags & WIRE_RUN_END) != 0) {
        floats += image_end_floats(image, run->pass_index, run->trace);
    }
    return sizeof(wire_run_reply_t) + floats * sizeof(float);
}

static bool is_sound(const wire_run_t *run) {
    const bool staged = (run->flags & WIRE_RUN_STAGED_INPUT) != 0;
    const uint32_t flags = WIRE_RUN_RESET_STATE | WIRE_RUN_END | WIRE_RUN_MASK | WIRE_RUN_STAGED_INPUT;
    const uint32_t trace = WIRE_TRACE_H | WIRE_TRACE_C | WIRE_TRACE_OUTPUT | WIRE_TRACE_FINAL_STATE |
                           WIRE_TRACE_LAST_OUTPUT | WIRE_TRACE_GATES;
    const bool does_something = run->steps > 0 || (run->flags & WIRE_RUN_END) != 0;
    const bool resets = (run->flags & WIRE_RUN_RESET_STATE) != 0;
    return (run->flags & ~flags) == 0 && (run->trace & ~trace) == 0 && run->reserved == 0 && run->reserved2 == 0 &&
           does_something && (!staged || run->steps == 1) && (!resets || run->pass_index == 0);
}

void handle_run(app_t *app, const link_frame_t *frame) {
    image_t *const image = loader_image(&app->loader);
    wire_run_t run;
    memcpy(&run, frame->payload, sizeof run);
    if (image == NULL) {
        refuse(app, WIRE_MSG_RUN, WIRE_ERR_NO_MODEL, 0, 0);
        return;
    }
    if (!is_sound(&run)) {
        refuse(app, WIRE_MSG_RUN, WIRE_ERR_BAD_RUN, run.flags, run.trace);
        return;
    }
    const image_error_t error = image_admits(image, &run);
    if (error.code != 0) {
        reply_error(app, WIRE_MSG_RUN, error);
        return;
    }
    const uint64_t wanted = sizeof run + mask_bytes(&run) + input_bytes(&run, image);
    if (frame->payload_size != wanted) {
        refuse(app, WIRE_MSG_RUN, WIRE_ERR_BAD_LENGTH, (uint32_t)frame->payload_size, image_saturated(wanted));
        return;
    }
    const uint64_t reply_size = reply_bytes(&run, image);
    if (reply_size > WIRE_MAX_PAYLOAD_BYTES) {
        refuse(app, WIRE_MSG_RUN, WIRE_ERR_REPLY_TOO_LARGE, image_saturated(reply_size), WIRE_MAX_PAYLOAD_BYTES);
        return;
    }
    if ((run.flags & WIRE_RUN_RESET_STATE) != 0) {
        image_reset_state(image);
    }
    image_begin(image, run.pass_index);
    const uint8_t *const mask = frame->payload + sizeof run;
    const uint8_t *const x = mask + mask_bytes(&run);
    app->run = (app_run_t){
        .active = true,
        .request = *frame,
        .run = run,
        .mask = (run.flags & WIRE_RUN_MASK) == 0 ? NULL : mask,
        .x = input_bytes(&run, image) == 0 ? NULL : x,
        .next = reply_payload(app) + sizeof(wire_run_reply_t),
    };
}

static void finish(app_t *app, image_t *image) {
    app_run_t *const run = &app->run;
    if ((run->run.flags & WIRE_RUN_END) != 0) {
        const uint32_t start = board_ticks();
        image_finish(image);
        run->ticks += (uint32_t)(board_ticks() - start);
        run->next = image_copy_end(image, run->run.pass_index, run->run.trace, run->next);
    }
    const wire_run_reply_t reply = {.steps = run->run.steps, .ticks = run->ticks};
    memcpy(reply_payload(app), &reply, sizeof reply);
    run->active = false;
    link_release(&app->link, run->request.slot);
    app_send_reply(app, WIRE_MSG_RUN, (size_t)(run->next - reply_payload(app)));
}

void run_step(app_t *app) {
    app_run_t *const run = &app->run;
    image_t *const image = loader_image(&app->loader);
    const uint32_t step = run->steps_done;
    if (step < run->run.steps) {
        if (run->x != NULL) {
            const size_t step_bytes = image->header->input_size * sizeof(float);
            memcpy(image->input, run->x + step * step_bytes, step_bytes);
        }
        const bool masked = run->mask != NULL && (run->mask[step / 8u] >> (step % 8u) & 1u) == 0;
        const uint32_t start = board_ticks();
        image_step(image, masked);
        run->ticks += (uint32_t)(board_ticks() - start);
        run->next = image_copy_step(image, run->run.pass_index, run->run.trace, run->next);
        run->steps_done++;
    }
    if (run->steps_done == run->run.steps) {
        finish(app, image);
    }
}
