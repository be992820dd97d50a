#include "loader.h"

#include "wire_framing.h"

#define ALIGNMENT 8u

static uint64_t aligned(uint64_t size) {
    return (size + ALIGNMENT - 1u) & ~(uint64_t)(ALIGNMENT - 1u);
}

static uint64_t slot_bytes(const loader_slot_t *slot) {
    return slot->start == NULL ? 0 : aligned(slot->image_bytes) + aligned(slot->work_bytes);
}

void loader_init(loader_t *loader, uint8_t *arena, size_t arena_bytes) {
    *loader = (loader_t){
        .arena = arena,
        .arena_bytes = (uint32_t)arena_bytes & ~(ALIGNMENT - 1u),
    };
}

image_error_t loader_begin(loader_t *loader, const wire_image_begin_t *begin, wire_image_begin_reply_t *reply) {
    if ((begin->flags & WIRE_BEGIN_DROP_OLD) != 0) {
        loader->current.start = NULL;
    }
    const uint64_t needed = aligned(begin->image_bytes) + aligned(begin->work_bytes);
    const uint64_t free_bytes = loader->arena_bytes - slot_bytes(&loader->current);
    loader->loading.start = NULL;
    *reply = (wire_image_begin_reply_t){
        .needed_bytes = needed > UINT32_MAX ? UINT32_MAX : (uint32_t)needed,
        .free_bytes = (uint32_t)free_bytes,
        .arena_bytes = loader->arena_bytes,
    };
    if (needed > free_bytes) {
        return (image_error_t){
            .code = WIRE_ERR_TOO_LARGE, .detail = reply->needed_bytes, .detail2 = reply->free_bytes};
    }
    const bool current_is_low = loader->current.start == loader->arena;
    loader->loading = (loader_slot_t){
        .start = current_is_low ? loader->arena + loader->arena_bytes - needed : loader->arena,
        .image_bytes = begin->image_bytes,
        .work_bytes = begin->work_bytes,
    };
    return (image_error_t){.code = 0};
}

image_error_t loader_commit(loader_t *loader, uint32_t crc32) {
    const loader_slot_t slot = loader->loading;
    if (slot.start == NULL) {
        return (image_error_t){.code = WIRE_ERR_NO_LOAD};
    }
    loader->loading.start = NULL;
    const image_error_t error = image_open(&loader->opening, slot.start, slot.image_bytes,
                                           slot.start + aligned(slot.image_bytes), slot.work_bytes);
    if (error.code != 0) {
        return error;
    }
    if (loader->opening.crc32 != crc32) {
        return (image_error_t){.code = WIRE_ERR_CRC_MISMATCH, .detail = crc32, .detail2 = loader->opening.crc32};
    }
    loader->current = slot;
    loader->image = loader->opening;
    return error;
}

image_t *loader_image(loader_t *loader) {
    return loader->current.start == NULL ? NULL : &loader->image;
}
