#include "handlers.h"

#include <string.h>

#include "baud.h"
#include "board.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "GCC " __VERSION__
#endif

_Static_assert(sizeof FIRMWARE_FLAGS <= sizeof((wire_hello_reply_t){0}.compiler_flags), "compiler_flags too short");
_Static_assert(sizeof FIRMWARE_BOARD <= sizeof((wire_hello_reply_t){0}.board), "board too short");
_Static_assert(sizeof FIRMWARE_VERSION <= sizeof((wire_hello_reply_t){0}.version), "version too short");

uint8_t *reply_payload(app_t *app) {
    return app->reply->frame + sizeof(wire_header_t);
}

void reply_with(app_t *app, uint8_t type, const void *payload, size_t size) {
    memcpy(reply_payload(app), payload, size);
    app_send_reply(app, type, size);
}

static uint8_t group_of(uint16_t code) {
    if (code >= WIRE_ERR_NO_MODEL) {
        return WIRE_GROUP_RUN;
    }
    return code >= WIRE_ERR_TOO_LARGE ? WIRE_GROUP_IMAGE : WIRE_GROUP_PROTOCOL;
}

wire_error_reply_t error_reply(uint8_t request_type, image_error_t error) {
    return (wire_error_reply_t){
        .group = group_of(error.code),
        .request_type = request_type,
        .code = error.code,
        .detail = error.detail,
        .detail2 = error.detail2,
    };
}

void reply_error(app_t *app, uint8_t request_type, image_error_t error) {
    const wire_error_reply_t reply = error_reply(request_type, error);
    reply_with(app, WIRE_MSG_ERROR, &reply, sizeof reply);
}

void refuse(app_t *app, uint8_t request_type, uint16_t code, uint32_t detail, uint32_t detail2) {
    reply_error(app, request_type, (image_error_t){.code = code, .detail = detail, .detail2 = detail2});
}

void handle_hello(app_t *app) {
    const board_info_t *const board = board_info();
    const image_t *const image = loader_image(&app->loader);
    const wire_fault_t *const fault = board_fault();
    // Without the time of a line between two of the largest frames the receive ring takes one of them.
    const bool comes_in_bursts = board->runs_on == WIRE_RUNS_ON_RENODE;
    wire_hello_reply_t reply = {
        .protocol_major = WIRE_PROTOCOL_MAJOR,
        .protocol_minor = WIRE_PROTOCOL_MINOR,
        .capabilities = board->capabilities | WIRE_CAP_MASK,
        .max_payload_bytes = WIRE_MAX_PAYLOAD_BYTES,
        .rx_frames = comes_in_bursts ? 1u : WIRE_WINDOW,
        .runs_on = board->runs_on,
        .arena_bytes = app->loader.arena_bytes,
        .max_nodes = WIRE_MAX_NODES,
        .clock_source = board->clock_source,
        .tick_source = board->tick_source,
        .sysclk_hz = board->sysclk_hz,
        .uart_clock_hz = board->uart_clock_hz,
        .baud = board->baud,
        .cpuid = board->cpuid,
        .idcode = board->idcode,
        .model_crc32 = image == NULL ? 0 : image->crc32,
        .model_bytes = image == NULL ? 0 : image->header->image_bytes,
        .store_address = (uint32_t)(uintptr_t)app->loader.store,
        .store_bytes = app->loader.store_bytes,
        .reset_cause = board->reset_cause,
        .fault_crc32 = fault == NULL ? 0 : fault->crc32,
        .version = FIRMWARE_VERSION,
        .compiler_flags = FIRMWARE_FLAGS,
        .board = FIRMWARE_BOARD,
    };
    const size_t compiler_size = sizeof COMPILER < sizeof reply.compiler ? sizeof COMPILER : sizeof reply.compiler;
    memcpy(reply.compiler, COMPILER, compiler_size);
    memcpy(reply.unique_id, board->unique_id, sizeof reply.unique_id);
    memcpy(reply.build_id, board->build_id, sizeof reply.build_id);
    reply_with(app, WIRE_MSG_HELLO, &reply, sizeof reply);
}

static void handle_counters(app_t *app) {
    const link_counters_t *const link = &app->link.counters;
    const board_uart_counters_t uart = board_uart_counters();
    const wire_counters_reply_t reply = {
        .frames_received = link->frames_received,
        .crc_errors = link->crc_errors,
        .framing_errors = link->framing_errors,
        .oversized_frames = link->oversized_frames,
        .duplicates = app->duplicates,
        .ring_overflows = uart.ring_overflows,
        .uart_overruns = uart.uart_overruns,
        .uart_noise = uart.uart_noise,
        .bytes_received = uart.bytes_received,
        .bytes_sent = uart.bytes_sent,
        .stack_bytes = board_stack_bytes(),
        .logs_dropped = app->notices.dropped,
        .fpscr = board_fpscr(),
    };
    reply_with(app, WIRE_MSG_COUNTERS, &reply, sizeof reply);
}

// The host names the record that it clears: a newer one, which it has not read, stays.
static void handle_read_fault(app_t *app, const link_frame_t *frame) {
    wire_read_fault_t request;
    memcpy(&request, frame->payload, sizeof request);
    const wire_fault_t *const fault = board_fault();
    const wire_fault_t reply = fault == NULL ? (wire_fault_t){.cause = WIRE_FAULT_CAUSE_NONE} : *fault;
    if (fault != NULL && reply.crc32 == request.clear_crc32) {
        board_clear_fault();
    }
    reply_with(app, WIRE_MSG_READ_FAULT, &reply, sizeof reply);
}

static void handle_state_reset(app_t *app) {
    image_t *const image = loader_image(&app->loader);
    if (image == NULL) {
        refuse(app, WIRE_MSG_STATE_RESET, WIRE_ERR_NO_MODEL, 0, 0);
        return;
    }
    image_reset_state(image);
    app_send_reply(app, WIRE_MSG_STATE_RESET, 0);
}

// Bytes that a request has at least. What stands behind them is its tail, or a field of a later version.
static size_t least_bytes(uint8_t type) {
    switch (type) {
        case WIRE_MSG_SET_BAUD: return sizeof(wire_set_baud_t);
        case WIRE_MSG_READ_FAULT: return sizeof(wire_read_fault_t);
        case WIRE_MSG_IMAGE_BEGIN: return sizeof(wire_image_begin_t);
        case WIRE_MSG_IMAGE_COMMIT: return sizeof(wire_image_commit_t);
        case WIRE_MSG_WRITE: return sizeof(wire_write_t);
        case WIRE_MSG_READ: return sizeof(wire_read_t);
        case WIRE_MSG_RUN: return sizeof(wire_run_t);
        default: return 0;
    }
}

void handle_request(app_t *app, const link_frame_t *frame) {
    const uint8_t type = frame->header.type;
    if (frame->payload_size < least_bytes(type)) {
        refuse(app, type, WIRE_ERR_BAD_LENGTH, (uint32_t)frame->payload_size, (uint32_t)least_bytes(type));
        return;
    }
    switch (type) {
        case WIRE_MSG_ECHO: reply_with(app, WIRE_MSG_ECHO, frame->payload, frame->payload_size); break;
        case WIRE_MSG_COUNTERS: handle_counters(app); break;
        case WIRE_MSG_READ_FAULT: handle_read_fault(app, frame); break;
        case WIRE_MSG_RESET:
            app_send_reply(app, WIRE_MSG_RESET, 0);
            board_uart_flush();
            board_reset();
        case WIRE_MSG_SET_BAUD: handle_set_baud(app, frame); break;
        case WIRE_MSG_IMAGE_BEGIN: handle_image_begin(app, frame); break;
        case WIRE_MSG_IMAGE_COMMIT: handle_image_commit(app, frame); break;
        case WIRE_MSG_WRITE: handle_write(app, frame); break;
        case WIRE_MSG_READ: handle_read(app, frame); break;
        case WIRE_MSG_STATE_RESET: handle_state_reset(app); break;
        case WIRE_MSG_RUN: handle_run(app, frame); break;
        default: refuse(app, type, WIRE_ERR_UNKNOWN_MESSAGE, type, 0); break;
    }
}
