// Images in the arena: the one in force, and the one that is being loaded beside it.
//
// The two grow from opposite ends of the arena, so that what is free is always one piece. The one in force is given up
// only when its successor has passed every check, or when the host says so because both do not fit.
#ifndef LOADER_H
#define LOADER_H

#include "image.h"

typedef struct {
    uint8_t *start;       // of what it has of the arena; NULL: none
    const uint8_t *image; // at `start`, or in the store
    uint8_t *work;
    uint32_t image_bytes;
    uint32_t work_bytes;
    uint32_t arena_bytes;  // what it takes of the arena
    bool to_store;         // its bytes are to be written to the store
    uint32_t summed_bytes; // written in order so far, of which `sum` is the CRC-32
    uint32_t sum;
} loader_slot_t;

typedef struct {
    uint8_t *arena;
    uint32_t arena_bytes;
    const uint8_t *store; // NULL where there is none
    uint32_t store_bytes;
    loader_slot_t current;
    loader_slot_t loading;
    image_t image; // valid where current.start is not NULL
} loader_t;

// `arena` is 8-byte aligned, and so is `store`.
void loader_init(loader_t *loader, uint8_t *arena, size_t arena_bytes, const uint8_t *store, size_t store_bytes);

// Puts a sound image in force that has been in the store since before this boot. None is no error.
void loader_open_store(loader_t *loader);

// Makes room for an image; `*reply` holds the numbers on success, the error on failure.
image_error_t loader_begin(loader_t *loader, const wire_image_begin_t *begin, wire_image_begin_reply_t *reply);

// To be told of every write to the image that is being loaded, once its bytes are in place. So its CRC is made while
// the next ones are on their way, and not in one long piece at the end.
void loader_wrote(loader_t *loader, uint32_t offset, size_t size);

// Checks the loaded bytes and puts them in force. On failure the old image stays in force and the load is over.
image_error_t loader_commit(loader_t *loader, uint32_t crc32);

// The image in force, or NULL.
image_t *loader_image(loader_t *loader);

// Where the bytes of the image that is being loaded go in RAM, or NULL if none is, or if it goes to or lies in the
// store.
uint8_t *loader_destination(const loader_t *loader, size_t *size);

// Bytes of the image that is being written to the store, 0 if none is.
size_t loader_store_bytes(const loader_t *loader);

// Gives up the load that is under way.
void loader_abort(loader_t *loader);

#endif
