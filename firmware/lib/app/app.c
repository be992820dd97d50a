#include "app.h"

#include <string.h>

#include "baud.h"
#include "board.h"
#include "handlers.h"

void app_init(app_t *app) {
    size_t arena_bytes = 0;
    size_t store_bytes = 0;
    uint8_t *const arena = board_arena(&arena_bytes);
    const uint8_t *const store = board_store(&store_bytes);
    memset(app, 0, sizeof *app);
    app->reply = app->replies;
    link_init(&app->link);
    loader_init(&app->loader, arena, arena_bytes, store, store_bytes);
    notices_init(&app->notices);
    loader_open_store(&app->loader);
    note_image(app);
}

static wire_header_t header_for(const app_t *app, uint8_t type, uint16_t sequence) {
    return (wire_header_t){.type = type | WIRE_REPLY_BIT, .sequence = sequence, .session = app->session};
}

// Sends a short frame that is not kept: it answers no request that was taken on.
static void send_aside(const app_t *app, uint8_t type, uint16_t sequence, const void *payload, size_t size) {
    const wire_header_t header = header_for(app, type, sequence);
    link_send_short(&header, payload, size);
}

static void refuse_aside(const app_t *app, const link_frame_t *frame, image_error_t why) {
    notices_tell_fault(&app->notices);
    const wire_error_reply_t error = error_reply(frame->header.type, why);
    send_aside(app, WIRE_MSG_ERROR, frame->header.sequence, &error, sizeof error);
}

void app_send_busy(const app_t *app, uint32_t busy_ms) {
    const wire_busy_t busy = {.busy_ms = busy_ms};
    send_aside(app, WIRE_MSG_BUSY, app->last_sequence, &busy, sizeof busy);
    board_uart_flush();
}

void app_send_reply(app_t *app, uint8_t type, size_t payload_size) {
    app_reply_t *const reply = app->reply;
    const wire_header_t header = header_for(app, type, app->last_sequence);
    memcpy(reply->frame, &header, sizeof header);
    reply->payload_size = payload_size;
    link_send(reply->frame, payload_size);
}

static uint16_t due_sequence(const app_t *app) {
    return (uint16_t)(app->last_sequence + 1u);
}

static link_frame_t *waiting_request(app_t *app, uint16_t sequence) {
    for (uint32_t i = 0; i < WIRE_WINDOW; i++) {
        if (app->waits[i] && app->waiting[i].header.sequence == sequence) {
            return &app->waiting[i];
        }
    }
    return NULL;
}

// Tells what is there and what is not: the host repeats the latter, and no more.
static void send_working(app_t *app, uint16_t sequence) {
    const uint16_t due = due_sequence(app);
    wire_working_t working = {.steps_done = app->run.active ? app->run.steps_done : 0u, .due = due};
    for (uint16_t ahead = 0; ahead < WIRE_WINDOW; ahead++) {
        const bool waits = waiting_request(app, (uint16_t)(due + ahead)) != NULL;
        working.held |= (uint16_t)((waits ? 1u : 0u) << ahead);
    }
    send_aside(app, WIRE_MSG_WORKING, sequence, &working, sizeof working);
}

static app_reply_t *kept_reply(app_t *app, const link_frame_t *frame) {
    for (uint32_t i = 0; i < WIRE_WINDOW; i++) {
        app_reply_t *const reply = &app->replies[i];
        if (reply->is_kept && reply->sequence == frame->header.sequence && reply->crc32 == frame->crc32) {
            return reply;
        }
    }
    return NULL;
}

// The host did not hear the answer, or not yet: it must not be worked on twice.
static void repeat_reply(app_t *app, app_reply_t *reply) {
    app->duplicates++;
    if (app->run.active && reply == app->reply) {
        send_working(app, reply->sequence);
    } else {
        link_send(reply->frame, reply->payload_size);
    }
}

static void take_on(app_t *app, const link_frame_t *frame) {
    app->last_sequence = frame->header.sequence;
    app->reply = app->reply == &app->replies[WIRE_WINDOW - 1u] ? app->replies : app->reply + 1;
    app->reply->is_kept = true;
    app->reply->sequence = frame->header.sequence;
    app->reply->crc32 = frame->crc32;
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

// Requests that wait, the run and the kept replies are those of the session that ends.
static void forget_session(app_t *app) {
    if (app->run.active) {
        app->run.active = false;
        link_release(&app->link, app->run.request.slot);
    }
    for (uint32_t i = 0; i < WIRE_WINDOW; i++) {
        if (app->waits[i]) {
            app->waits[i] = false;
            link_release(&app->link, app->waiting[i].slot);
        }
        app->replies[i].is_kept = false;
    }
}

static void greet(app_t *app, const link_frame_t *frame) {
    const image_error_t error = check_hello(app, frame);
    if (error.code != 0) {
        refuse_aside(app, frame, error);
        return;
    }
    wire_hello_t hello;
    memcpy(&hello, frame->payload, sizeof hello);
    forget_session(app);
    app->session = frame->header.session;
    app->hello_crc32 = frame->crc32;
    notices_greeted(&app->notices, &app->link, app->session, hello.protocol_minor);
    take_on(app, frame);
    handle_hello(app);
}

// Keeps a request for its turn; false if it is there already. There is room: no more than WIRE_WINDOW are admitted.
static bool put_in_line(app_t *app, const link_frame_t *frame) {
    const uint16_t sequence = frame->header.sequence;
    const bool is_new = waiting_request(app, sequence) == NULL;
    for (uint32_t i = 0; is_new && i < WIRE_WINDOW; i++) {
        if (!app->waits[i]) {
            app->waits[i] = true;
            app->waiting[i] = *frame;
            break;
        }
    }
    if (!is_new || (!app->run.active && waiting_request(app, due_sequence(app)) == NULL)) {
        send_working(app, sequence);
    }
    return is_new;
}

// Whether the frame's buffer is still needed.
static bool receive(app_t *app, const link_frame_t *frame) {
    const wire_header_t *const header = &frame->header;
    const bool same_session = header->session == app->session && app->session != WIRE_SESSION_NONE;
    app_reply_t *const kept = same_session ? kept_reply(app, frame) : NULL;
    const uint16_t due = due_sequence(app);
    const uint16_t admitted = app->run.active ? WIRE_WINDOW - 1u : WIRE_WINDOW; // the run's request is one of them
    if (kept != NULL) {
        repeat_reply(app, kept);
    } else if (header->type == WIRE_MSG_HELLO) {
        // The one that opened the session, on its way for long: what follows it has been worked on already.
        const bool is_late = same_session && frame->crc32 == app->hello_crc32;
        if (!is_late) {
            greet(app, frame);
        }
    } else if (!same_session) {
        refuse_aside(app, frame,
                     (image_error_t){.code = WIRE_ERR_BAD_SESSION, .detail = app->session, .detail2 = header->session});
    } else if ((uint16_t)(header->sequence - due) >= admitted) {
        refuse_aside(app, frame,
                     (image_error_t){.code = WIRE_ERR_BAD_SEQUENCE, .detail = due, .detail2 = header->sequence});
    } else {
        return put_in_line(app, frame);
    }
    return false;
}

// Works on the request that is due, if it is there.
static bool work_on_next(app_t *app) {
    link_frame_t *const next = waiting_request(app, due_sequence(app));
    if (next == NULL) {
        return false;
    }
    const link_frame_t frame = *next;
    app->waits[next - app->waiting] = false;
    take_on(app, &frame);
    handle_request(app, &frame);
    if (!app->run.active) {
        link_release(&app->link, frame.slot);
    }
    return true;
}

bool app_poll(app_t *app) {
    link_frame_t frame;
    const bool received = link_poll(&app->link, &frame);
    notices_poll(&app->notices);
    if (received) {
        notices_watch_link(&app->notices, &app->link);
    }
    baud_watch(app);
    if (received && !receive(app, &frame)) {
        link_release(&app->link, frame.slot);
    }
    if (app->run.active) {
        run_step(app);
        return true;
    }
    return work_on_next(app) || received;
}
