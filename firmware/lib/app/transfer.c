// Bytes into the device and out of it: images, and the regions that READ and WRITE address.
#include <string.h>

#include "board.h"
#include "handlers.h"

// In place of the hardware's error bits, above which it lies.
#define STORE_READ_BACK_DIFFERS 0x20000000u

// What an operation on the store ended with. `result` is 0 or what the hardware said.
static image_error_t store_error(app_t *app, uint32_t offset, uint32_t result) {
    if (result == 0u) {
        return (image_error_t){.code = 0};
    }
    loader_abort(&app->loader);
    const uint32_t address = (uint32_t)(uintptr_t)app->loader.store + offset;
    return (image_error_t){.code = WIRE_ERR_STORE_FAILED, .detail = address, .detail2 = result};
}

static image_error_t erase_store(app_t *app) {
    const size_t size = loader_store_bytes(&app->loader);
    if (size == 0u) {
        return (image_error_t){.code = 0};
    }
    app_send_busy(app, board_store_erase_ms(size));
    const uint32_t result = board_store_erase(size);
    if (result == 0u) {
        notices_log(&app->notices, WIRE_LOG_LEVEL_INFO, WIRE_LOG_STORE_ERASED, (uint32_t)size, 0, 0);
    }
    return store_error(app, 0, result);
}

void handle_image_begin(app_t *app, const link_frame_t *frame) {
    wire_image_begin_t begin;
    wire_image_begin_reply_t reply;
    memcpy(&begin, frame->payload, sizeof begin);
    const bool to_store = (begin.flags & WIRE_BEGIN_TO_STORE) != 0u;
    if (to_store && (board_info()->capabilities & WIRE_CAP_STORE_WRITE) == 0u) {
        refuse(app, WIRE_MSG_IMAGE_BEGIN, WIRE_ERR_BAD_FLAGS, begin.flags, 0);
        return;
    }
    image_error_t error = loader_begin(&app->loader, &begin, &reply);
    if (error.code == 0) {
        error = erase_store(app);
    }
    if (error.code != 0) {
        reply_error(app, WIRE_MSG_IMAGE_BEGIN, error);
    } else {
        reply_with(app, WIRE_MSG_IMAGE_BEGIN, &reply, sizeof reply);
    }
}

void handle_image_commit(app_t *app, const link_frame_t *frame) {
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
    note_image(app);
}

void note_image(app_t *app) {
    const image_t *const image = loader_image(&app->loader);
    if (image != NULL) {
        const bool in_store = image->bytes == app->loader.store;
        notices_log(&app->notices, WIRE_LOG_LEVEL_INFO, WIRE_LOG_IMAGE_IN_FORCE, image->crc32,
                    image->header->image_bytes, in_store);
    }
}

// Where a region lies for writing; NULL if it may not be written.
static uint8_t *writable_region(app_t *app, uint8_t region, uint16_t node, size_t *size) {
    if (region == WIRE_REGION_IMAGE) {
        return loader_destination(&app->loader, size);
    }
    const image_t *const image = loader_image(&app->loader);
    const bool is_read_only = region == WIRE_REGION_OUTPUT || region == WIRE_REGION_GATES;
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

// Flash takes whole words. What was programmed is read back: a worn cell must not become a weight.
static image_error_t program_store(app_t *app, uint32_t offset, const uint8_t *data, size_t size) {
    if (offset % sizeof(uint32_t) != 0u || size % sizeof(uint32_t) != 0u) {
        return (image_error_t){.code = WIRE_ERR_OUT_OF_RANGE, .detail = offset, .detail2 = (uint32_t)size};
    }
    const image_error_t error = store_error(app, offset, board_store_program(offset, data, size));
    if (error.code == 0 && memcmp(app->loader.store + offset, data, size) != 0) {
        return store_error(app, offset, STORE_READ_BACK_DIFFERS);
    }
    return error;
}

void handle_write(app_t *app, const link_frame_t *frame) {
    wire_write_t write;
    size_t region_size = 0;
    memcpy(&write, frame->payload, sizeof write);
    const uint8_t *const data = frame->payload + sizeof write;
    const size_t size = frame->payload_size - sizeof write;
    const size_t store_bytes = write.region == WIRE_REGION_IMAGE ? loader_store_bytes(&app->loader) : 0u;
    uint8_t *const start = writable_region(app, write.region, write.node, &region_size);
    region_size = store_bytes > 0u ? store_bytes : region_size;
    image_error_t error = {.code = 0};
    if (start == NULL && store_bytes == 0u) {
        error = (image_error_t){.code = WIRE_ERR_BAD_REGION, .detail = write.region, .detail2 = write.node};
    } else if (write.offset > region_size || size > region_size - write.offset) {
        error =
            (image_error_t){.code = WIRE_ERR_OUT_OF_RANGE, .detail = write.offset, .detail2 = (uint32_t)region_size};
    } else if (store_bytes > 0u) {
        error = program_store(app, write.offset, data, size);
    } else {
        memcpy(start + write.offset, data, size);
    }
    if (error.code == 0 && write.region == WIRE_REGION_IMAGE) {
        loader_wrote(&app->loader, write.offset, size);
    }
    if (error.code != 0) {
        reply_error(app, WIRE_MSG_WRITE, error);
    } else {
        const wire_write_reply_t reply = {.end_offset = write.offset + (uint32_t)size};
        reply_with(app, WIRE_MSG_WRITE, &reply, sizeof reply);
    }
}

void handle_read(app_t *app, const link_frame_t *frame) {
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
