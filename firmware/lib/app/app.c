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

static void refuse(const app_t *app, const link_frame_t *frame, uint16_t code, uint32_t detail, uint32_t detail2) {
    const wire_error_reply_t error = {
        .group = WIRE_GROUP_PROTOCOL,
        .request_type = frame->header.type,
        .code = code,
        .detail = detail,
        .detail2 = detail2,
    };
    send_aside(app, WIRE_MSG_ERROR, frame->header.sequence, &error, sizeof error);
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

static void greet(app_t *app, const link_frame_t *frame) {
    if (frame->header.session == WIRE_SESSION_NONE) {
        refuse(app, frame, WIRE_ERR_BAD_SESSION, app->session, WIRE_SESSION_NONE);
        return;
    }
    if (frame->payload_size < sizeof(wire_hello_t)) {
        refuse(app, frame, WIRE_ERR_BAD_LENGTH, (uint32_t)frame->payload_size, sizeof(wire_hello_t));
        return;
    }
    if (app->run.active) {
        app->run.active = false;
        link_release(&app->link, app->run.request.slot);
    }
    app->session = frame->header.session;
    take_on(app, frame);
    handle_hello(app, frame);
}

static void receive(app_t *app, const link_frame_t *frame) {
    const wire_header_t *const header = &frame->header;
    const bool same_session = header->session == app->session && app->session != WIRE_SESSION_NONE;
    const bool repeated = same_session && header->sequence == app->last_sequence && frame->crc32 == app->last_crc32;
    if (repeated) {
        repeat_reply(app, frame);
    } else if (header->type == WIRE_MSG_HELLO) {
        greet(app, frame);
    } else if (!same_session) {
        refuse(app, frame, WIRE_ERR_BAD_SESSION, app->session, header->session);
    } else if (app->run.active) {
        refuse(app, frame, WIRE_ERR_BUSY, app->run.steps_done, 0);
    } else if (header->sequence != (uint16_t)(app->last_sequence + 1u)) {
        refuse(app, frame, WIRE_ERR_BAD_SEQUENCE, app->last_sequence + 1u, header->sequence);
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
