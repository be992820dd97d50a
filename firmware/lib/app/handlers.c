#include "handlers.h"

#include <string.h>

#include "board.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "GCC " __VERSION__
#endif

_Static_assert(sizeof FIRMWARE_FLAGS <= sizeof((wire_hello_reply_t){0}.compiler_flags), "compiler_flags too short");
_Static_assert(sizeof FIRMWARE_VERSION <= sizeof((wire_hello_reply_t){0}.version), "version too short");

uint8_t *reply_payload(app_t *app) {
    return app->reply + sizeof(wire_header_t);
}

static void reply_with(app_t *app, uint8_t type, const void *payload, size_t size) {
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

static void refuse(app_t *app, uint8_t request_type, uint16_t code, uint32_t detail, uint32_t detail2) {
    reply_error(app, request_type, (image_error_t){.code = code, .detail = detail, .detail2 = detail2});
}

void handle_hello(app_t *app) {
    const board_info_t *const board = board_info();
    const image_t *const image = loader_image(&app->loader);
    wire_hello_reply_t reply = {
        .protocol_major = WIRE_PROTOCOL_MAJOR,
        .protocol_minor = WIRE_PROTOCOL_MINOR,
        .capabilities = board->capabilities | WIRE_CAP_MASK,
        .max_payload_bytes = WIRE_MAX_PAYLOAD_BYTES,
        .rx_frames = LINK_RX_FRAMES,
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
        .version = FIRMWARE_VERSION,
        .compiler_flags = FIRMWARE_FLAGS,
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
    };
    reply_with(app, WIRE_MSG_COUNTERS, &reply, sizeof reply);
}

static void handle_image_begin(app_t *app, const link_frame_t *frame) {
    wire_image_begin_t begin;
    wire_image_begin_reply_t reply;
    memcpy(&begin, frame->payload, sizeof begin);
    const image_error_t error = loader_begin(&app->loader, &begin, &reply);
    if (error.code != 0) {
        reply_error(app, WIRE_MSG_IMAGE_BEGIN, error);
    } else {
        reply_with(app, WIRE_MSG_IMAGE_BEGIN, &reply, sizeof reply);
    }
}

static void handle_image_commit(app_t *app, const link_frame_t *frame) {
    wire_image_commit_t commit;
    memcpy(&commit, frame->payload, sizeof commit);
    const image_error_t error = loader_commit(&app->loader, commit.crc32);
    if (error.code != 0) {
        reply_error(app, WIRE_MSG_IMAGE_COMMIT, error);
        return;
    }
    const image_t *const image = loader_image(&app->loader);
    const wire_image_commit_reply_t reply = {.crc32 = image->crc32, .node_count = image->node_count};
    reply_with(app, WIRE_MSG_IMAGE_COMMIT, &reply, sizeof reply);
}

// Where a region lies for writing; NULL if it may not be written.
static uint8_t *writable_region(app_t *app, uint8_t region, uint16_t node, size_t *size) {
    if (region == WIRE_REGION_IMAGE) {
        return loader_destination(&app->loader, size);
    }
    const image_t *const image = loader_image(&app->loader);
    const bool is_read_only = region == WIRE_REGION_OUTPUT;
    return image == NULL || is_read_only ? NULL : image_region(image, region, node, size);
}

static const uint8_t *readable_region(app_t *app, uint8_t region, uint16_t node, size_t *size) {
    const image_t *const image = loader_image(&app->loader);
    if (image != NULL && region == WIRE_REGION_IMAGE) {
        *size = image->header->image_bytes;
        return image->bytes;
    }
    return image == NULL ? NULL : image_region(image, region, node, size);
}

static void handle_write(app_t *app, const link_frame_t *frame) {
    wire_write_t write;
    size_t region_size = 0;
    memcpy(&write, frame->payload, sizeof write);
    const size_t size = frame->payload_size - sizeof write;
    uint8_t *const start = writable_region(app, write.region, write.node, &region_size);
    if (start == NULL) {
        refuse(app, WIRE_MSG_WRITE, WIRE_ERR_BAD_REGION, write.region, write.node);
    } else if (write.offset > region_size || size > region_size - write.offset) {
        refuse(app, WIRE_MSG_WRITE, WIRE_ERR_OUT_OF_RANGE, write.offset, (uint32_t)region_size);
    } else {
        memcpy(start + write.offset, frame->payload + sizeof write, size);
        const wire_write_reply_t reply = {.end_offset = write.offset + (uint32_t)size};
        reply_with(app, WIRE_MSG_WRITE, &reply, sizeof reply);
    }
}

static void handle_read(app_t *app, const link_frame_t *frame) {
    wire_read_t read;
    size_t region_size = 0;
    memcpy(&read, frame->payload, sizeof read);
    const uint8_t *const start = readable_region(app, read.region, read.node, &region_size);
    if (start == NULL) {
        refuse(app, WIRE_MSG_READ, WIRE_ERR_BAD_REGION, read.region, read.node);
    } else if (read.offset > region_size || read.length > region_size - read.offset) {
        refuse(app, WIRE_MSG_READ, WIRE_ERR_OUT_OF_RANGE, read.offset, (uint32_t)region_size);
    } else if (read.length > WIRE_MAX_PAYLOAD_BYTES) {
        refuse(app, WIRE_MSG_READ, WIRE_ERR_REPLY_TOO_LARGE, read.length, WIRE_MAX_PAYLOAD_BYTES);
    } else {
        reply_with(app, WIRE_MSG_READ, start + read.offset, read.length);
    }
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
        case WIRE_MSG_RESET:
            app_send_reply(app, WIRE_MSG_RESET, 0);
            board_uart_flush();
            board_reset();
        case WIRE_MSG_IMAGE_BEGIN: handle_image_begin(app, frame); break;
        case WIRE_MSG_IMAGE_COMMIT: handle_image_commit(app, frame); break;
        case WIRE_MSG_WRITE: handle_write(app, frame); break;
        case WIRE_MSG_READ: handle_read(app, frame); break;
        case WIRE_MSG_STATE_RESET: handle_state_reset(app); break;
        case WIRE_MSG_RUN: handle_run(app, frame); break;
        default: refuse(app, type, WIRE_ERR_UNKNOWN_MESSAGE, type, 0); break;
    }
}
