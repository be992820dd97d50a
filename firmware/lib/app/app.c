#include "app.h"

#include <string.h>

#include "board.h"
#include "handlers.h"

void app_init(app_t *app) {
    size_t arena_bytes = 0;
    size_t store_bytes = 0;
    uint8_t *const arena = board_arena(&arena_bytes);
    const uint8_t *const store = board_store(&store_bytes);
    memset(app, 0, sizeof *app);
    link_init(&app->link);
    loader_init(&app->loader, arena, arena_bytes, store, store_bytes);
    loader_open_store(&app->loader);
}

static wire_header_t header_for(const app_t *app, uint8_t type, uint16_t sequence) {
    return (wire_header_t){.type = type | WIRE_REPLY_BIT, .sequence = sequence, .session = app->session};
}

// Sends a short frame that is not kept: it answers no request that was taken on.
static void send_aside(const app_t *app, uint8_t type, uint16_t sequence, const void *payload, size_t size) {
    uint8_t frame[sizeof(wire_header_t) + sizeof(wire_error_reply_t) + WIRE_CRC_BYTES];
    const wire_header_t header = header_for(app, type, sequence);
    memcpy(frame, &header, sizeof header);
    memcpy(frame + sizeof header, payload, size);
    link_send(frame, size);
}

static void refuse_aside(const app_t *app, const link_frame_t *frame, image_error_t why) {
    const wire_error_reply_t error = error_reply(frame->header.type, why);
    send_aside(app, WIRE_MSG_ERROR, frame->header.sequence, &error, sizeof error);
}

void app_send_busy(const app_t *app, uint32_t busy_ms) {
    const wire_busy_t busy = {.busy_ms = busy_ms};
    send_aside(app, WIRE_MSG_BUSY, app->last_sequence, &busy, sizeof busy);
    board_uart_flush();
}

void app_send_reply(app_t *app, uint8_t type, size_t payload_size) {
    const wire_header_t header = header_for(app, type, app->last_sequence);
    memcpy(app->reply, &header, sizeof header);
    app->reply_size = payload_size;
    link_send(app->reply, payload_size);
}

// The host did not hear the answer, or not yet: it must not be worked on twice.
static void repeat_reply(app_t *app, const link_frame_t *frame) {
    app->duplicates++;
    if (app->run.active) {
        const wire_working_t working = {.steps_done = app->run.steps_done};
        send_aside(app, WIRE_MSG_WORKING, frame->header.sequence, &working, sizeof working);
    } else {
        link_send(app->reply, app->reply_size);
    }
}

static void take_on(app_t *app, const link_frame_t *frame) {
    app->last_sequence = frame->header.sequence;
    app->last_crc32 = frame->crc32;
}

// What is wrong with a HELLO. A refused one must leave the session in force, and its run, alone.
static image_error_t check_hello(const app_t *app, const link_frame_t *frame) {
    wire_hello_t hello;
    if (frame->header.session == WIRE_SESSION_NONE) {
        return (image_error_t){.code = WIRE_ERR_BAD_SESSION, .detail = app->session, .detail2 = WIRE_SESSION_NONE};
    }
    if (frame->payload_size < sizeof hello) {
        const uint32_t size = (uint32_t)frame->payload_size;
        return (image_error_t){.code = WIRE_ERR_BAD_LENGTH, .detail = size, .detail2 = sizeof hello};
    }
    memcpy(&hello, frame->payload, sizeof hello);
    if (hello.protocol_major != WIRE_PROTOCOL_MAJOR) {
        return (image_error_t){
            .code = WIRE_ERR_BAD_VERSION, .detail = WIRE_PROTOCOL_MAJOR, .detail2 = WIRE_PROTOCOL_MINOR};
    }
    return (image_error_t){.code = 0};
}

static void greet(app_t *app, const link_frame_t *frame) {
    const image_error_t error = check_hello(app, frame);
    if (error.code != 0) {
        refuse_aside(app, frame, error);
        return;
    }
    if (app->run.active) {
        app->run.active = false;
        link_release(&app->link, app->run.request.slot);
    }
    app->session = frame->header.session;
    take_on(app, frame);
    handle_hello(app);
}

static void receive(app_t *app, const link_frame_t *frame) {
    const wire_header_t *const header = &frame->header;
    const bool same_session = header->session == app->session && app->session != WIRE_SESSION_NONE;
    const uint16_t due = (uint16_t)(app->last_sequence + 1u);
    const bool repeated = same_session && header->sequence == app->last_sequence && frame->crc32 == app->last_crc32;
    if (repeated) {
        repeat_reply(app, frame);
    } else if (header->type == WIRE_MSG_HELLO) {
        greet(app, frame);
    } else if (!same_session) {
        refuse_aside(app, frame,
                     (image_error_t){.code = WIRE_ERR_BAD_SESSION, .detail = app->session, .detail2 = header->session});
    } else if (app->run.active) {
        refuse_aside(app, frame, (image_error_t){.code = WIRE_ERR_BUSY, .detail = app->run.steps_done});
    } else if (header->sequence != due) {
        refuse_aside(app, frame,
                     (image_error_t){.code = WIRE_ERR_BAD_SEQUENCE, .detail = due, .detail2 = header->sequence});
    } else {
        take_on(app, frame);
        handle_request(app, frame);
    }
}

bool app_poll(app_t *app) {
    link_frame_t frame;
    const bool received = link_poll(&app->link, &frame);
    if (received) {
        receive(app, &frame);
        const bool kept_by_run = app->run.active && app->run.request.slot == frame.slot;
        if (!kept_by_run) {
            link_release(&app->link, frame.slot);
        }
    }
    if (app->run.active) {
        run_step(app);
        return true;
    }
    return received;
}
