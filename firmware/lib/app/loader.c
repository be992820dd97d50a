#include "loader.h"

#include <string.h>

#include "wire_crc.h"
#include "wire_framing.h"

#define ALIGNMENT 8u

static uint64_t aligned(uint64_t size) {
    return (size + ALIGNMENT - 1u) & ~(uint64_t)(ALIGNMENT - 1u);
}

void loader_init(loader_t *loader, uint8_t *arena, size_t arena_bytes, const uint8_t *store, size_t store_bytes) {
    *loader = (loader_t){
        .arena = arena,
        .arena_bytes = (uint32_t)arena_bytes & ~(ALIGNMENT - 1u),
        .store = store,
        .store_bytes = (uint32_t)store_bytes,
    };
}

static image_error_t too_large(uint64_t needed, uint64_t free_bytes) {
    return (image_error_t){
        .code = WIRE_ERR_TOO_LARGE, .detail = image_saturated(needed), .detail2 = image_saturated(free_bytes)};
}

image_error_t loader_begin(loader_t *loader, const wire_image_begin_t *begin, wire_image_begin_reply_t *reply) {
    const bool drop_old = (begin->flags & WIRE_BEGIN_DROP_OLD) != 0;
    const bool to_store = (begin->flags & WIRE_BEGIN_TO_STORE) != 0;
    const bool in_store = to_store || (begin->flags & WIRE_BEGIN_IN_STORE) != 0;
    const bool has_current = loader->current.start != NULL && !drop_old;
    const bool runs_from_store = has_current && loader->current.image == loader->store;
    const uint64_t image_needs = in_store ? 0 : aligned(begin->image_bytes);
    const uint64_t needed = image_needs + aligned(begin->work_bytes);
    const uint32_t free_bytes = loader->arena_bytes - (has_current ? loader->current.arena_bytes : 0);
    const uint32_t known_flags = WIRE_BEGIN_DROP_OLD | WIRE_BEGIN_IN_STORE | WIRE_BEGIN_TO_STORE;
    if ((begin->flags & ~known_flags) != 0) {
        return (image_error_t){.code = WIRE_ERR_BAD_FLAGS, .detail = begin->flags};
    }
    const bool store_is_in_use = to_store && runs_from_store;
    const uint32_t store_free_bytes = store_is_in_use ? 0u : loader->store_bytes;
    if (store_is_in_use || (in_store && begin->image_bytes > store_free_bytes)) {
        return too_large(begin->image_bytes, store_free_bytes);
    }
    if (needed > free_bytes) {
        return too_large(needed, free_bytes);
    }
    if (drop_old) {
        loader->current.start = NULL;
    }
    const bool current_is_low = loader->current.start == loader->arena;
    uint8_t *const start = current_is_low ? loader->arena + loader->arena_bytes - needed : loader->arena;
    loader->loading = (loader_slot_t){
        .start = start,
        .image = in_store ? loader->store : start,
        .work = start + image_needs,
        .image_bytes = begin->image_bytes,
        .work_bytes = begin->work_bytes,
        .arena_bytes = (uint32_t)needed,
        .to_store = to_store,
    };
    *reply = (wire_image_begin_reply_t){
        .needed_bytes = (uint32_t)needed,
        .free_bytes = free_bytes,
        .arena_bytes = loader->arena_bytes,
    };
    return (image_error_t){.code = 0};
}

void loader_open_store(loader_t *loader) {
    wire_image_header_t header;
    wire_image_begin_reply_t reply;
    uint32_t crc32 = 0;
    if (loader->store_bytes < sizeof header + sizeof crc32) {
        return;
    }
    memcpy(&header, loader->store, sizeof header);
    const bool has_end =
        header.image_bytes >= sizeof header + sizeof crc32 && header.image_bytes <= loader->store_bytes;
    if (header.magic != WIRE_IMAGE_MAGIC || !has_end) {
        return;
    }
    memcpy(&crc32, loader->store + header.image_bytes - sizeof crc32, sizeof crc32);
    const wire_image_begin_t begin = {
        .image_bytes = header.image_bytes, .work_bytes = header.work_bytes, .flags = WIRE_BEGIN_IN_STORE};
    if (loader_begin(loader, &begin, &reply).code == 0) {
        (void)loader_commit(loader, crc32);
    }
}

void loader_wrote(loader_t *loader, uint32_t offset, size_t size) {
    loader_slot_t *const slot = &loader->loading;
    const uint32_t end = slot->image_bytes - (uint32_t)sizeof slot->sum; // the image's own CRC is not part of it
    const uint32_t left = offset < end ? end - offset : 0u;
    const uint32_t count = size < left ? (uint32_t)size : left;
    if (offset < slot->summed_bytes) {
        slot->summed_bytes = 0; // something in it has changed
        slot->sum = 0;
    } else if (offset == slot->summed_bytes) {
        slot->sum = wire_crc32(slot->sum, slot->image + offset, count);
        slot->summed_bytes = offset + count;
    }
}

image_error_t loader_commit(loader_t *loader, uint32_t crc32) {
    const loader_slot_t slot = loader->loading;
    if (slot.start == NULL) {
        return (image_error_t){.code = WIRE_ERR_NO_LOAD};
    }
    loader->loading.start = NULL;
    const image_source_t source = {
        .bytes = slot.image,
        .size = slot.image_bytes,
        .crc32 = crc32,
        .summed_bytes = slot.summed_bytes,
        .sum = slot.sum,
    };
    const image_error_t error = image_open(&loader->image, &source, slot.work, slot.work_bytes);
    if (error.code == 0) {
        loader->current = slot;
    }
    return error;
}

image_t *loader_image(loader_t *loader) {
    return loader->current.start == NULL ? NULL : &loader->image;
}

uint8_t *loader_destination(const loader_t *loader, size_t *size) {
    const loader_slot_t *const slot = &loader->loading;
    const bool in_arena = slot->start != NULL && slot->image == slot->start;
    *size = slot->image_bytes;
    return in_arena ? slot->start : NULL;
}

size_t loader_store_bytes(const loader_t *loader) {
    return loader->loading.start != NULL && loader->loading.to_store ? loader->loading.image_bytes : 0u;
}

void loader_abort(loader_t *loader) {
    loader->loading.start = NULL;
}
