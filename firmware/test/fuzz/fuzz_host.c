#include "fuzz_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "fuzz_input.h"
#include "wire_crc.h"

app_t fuzz_app;

static uint16_t sequence;
static uint32_t session;
static loader_slot_t fenced[2]; // the slots that the fence in force leaves out

static void must(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void check_slot(const loader_slot_t *slot, const char *what) {
    const loader_t *const loader = &fuzz_app.loader;
    if (slot->start != NULL) {
        must(slot->start >= loader->arena && slot->arena_bytes <= loader->arena_bytes &&
                 (size_t)(slot->start - loader->arena) <= loader->arena_bytes - slot->arena_bytes,
             what);
        must((uintptr_t)slot->image % 8u == 0 && (uintptr_t)slot->work % 8u == 0, "images and work memory are aligned");
    }
}

// Only what an image in force and one under way have of the arena may be touched.
static void fence_arena(void) {
    const loader_t *const loader = &fuzz_app.loader;
    const loader_slot_t slots[2] = {loader->current, loader->loading};
    if (memcmp(fenced, slots, sizeof slots) == 0) {
        return; // it takes longer than most requests
    }
    memcpy(fenced, slots, sizeof slots);
    fuzz_board_forbid_arena();
    if (loader->current.start != NULL) {
        fuzz_board_allow(loader->current.start, loader->current.arena_bytes);
    }
    if (loader->loading.start != NULL) {
        fuzz_board_allow(loader->loading.start, loader->loading.arena_bytes);
    }
}

static void check_memory(void) {
    const loader_slot_t *const current = &fuzz_app.loader.current;
    const loader_slot_t *const loading = &fuzz_app.loader.loading;
    check_slot(current, "the image in force lies in the arena");
    check_slot(loading, "the image under way lies in the arena");
    if (current->start != NULL && loading->start != NULL) {
        must(current->start + current->arena_bytes <= loading->start ||
                 loading->start + loading->arena_bytes <= current->start,
             "images do not overlap");
        must(!loading->to_store || current->image != fuzz_app.loader.store, "the image that runs is not overwritten");
    }
    uint32_t held = 0;
    for (uint32_t i = 0; i < LINK_RX_FRAMES; i++) {
        held += fuzz_app.link.in_use[i] ? 1u : 0u;
    }
    uint32_t wanted = fuzz_app.run.active ? 1u : 0u;
    for (uint32_t i = 0; i < WIRE_WINDOW; i++) {
        wanted += fuzz_app.waits[i] ? 1u : 0u;
    }
    must(held == wanted, "a frame is held by a run, or by a request that waits");
    must(held < LINK_RX_FRAMES, "there is room for a frame");
}

typedef struct {
    const float *start;
    size_t floats;
} span_t;

static size_t spans_of(const image_node_t *node, span_t *spans) {
    const uint32_t units = node->record->units;
    size_t count = 0;
    spans[count++] = (span_t){node->output, node->record->kind == WIRE_NODE_POOL ? 2u * units : units};
    if (node->kept != NULL) {
        spans[count++] = (span_t){node->kept, (size_t)node->record->keep_steps * units};
    }
    if (node->record->kind == WIRE_NODE_LSTM) {
        spans[count++] = (span_t){node->h, units + node->record->input_size};
        spans[count++] = (span_t){node->c, units};
    }
    if (node->gates != NULL) {
        spans[count++] = (span_t){node->gates, 8u * units};
    }
    return count;
}

// ASan sees the work memory as one piece.
static void check_layout(const image_t *image) {
    span_t spans[2u + 5u * WIRE_MAX_NODES];
    const float *const end = image->work + image->header->work_bytes / sizeof(float);
    size_t count = 0;
    spans[count++] = (span_t){image->input, (size_t)image->header->input_size + image->header->static_size};
    for (uint32_t i = 0; i < image->node_count; i++) {
        count += spans_of(&image->nodes[i], &spans[count]);
    }
    spans[count++] = (span_t){image->scratch, (size_t)(end - image->scratch)};
    for (size_t i = 0; i < count; i++) {
        must(spans[i].start >= image->work && spans[i].start + spans[i].floats <= end,
             "buffers are in the work memory");
        for (size_t j = 0; j < i; j++) {
            must(spans[i].start + spans[i].floats <= spans[j].start ||
                     spans[j].start + spans[j].floats <= spans[i].start,
                 "buffers do not overlap");
        }
    }
}

void host_check_image(void) {
    const image_t *const image = loader_image(&fuzz_app.loader);
    if (image != NULL) {
        check_layout(image);
        must(wire_crc32(0, image->bytes, image->header->image_bytes - 4u) == image->crc32, "the image is unchanged");
    }
}

void host_boot(void) {
    size_t arena_bytes = 0;
    fuzz_board_allow(board_arena(&arena_bytes), arena_bytes);
    app_init(&fuzz_app);
    memset(fenced, 0xFF, sizeof fenced);
    fence_arena();
}

// A reset ends what the firmware was doing, wherever that was.
static bool poll(void) {
    if (setjmp(fuzz_board_reset) != 0) {
        host_boot();
        return true;
    }
    return app_poll(&fuzz_app);
}

void host_wait(void) {
    while (poll()) {
        check_memory();
        fence_arena();
    }
    must(!fuzz_app.run.active, "a run ends");
    check_memory();
}

static size_t make_frame(uint8_t *frame, uint8_t type, const void *payload, size_t size) {
    const wire_header_t header = {.type = type, .sequence = sequence, .session = session};
    memcpy(frame, &header, sizeof header);
    memcpy(frame + sizeof header, payload, size);
    return sizeof header + size;
}

fuzz_reply_t host_request(uint8_t type, const void *payload, size_t size) {
    uint8_t frame[WIRE_MAX_FRAME_BYTES];
    sequence++;
    host_wait();
    (void)fuzz_board_take_reply();
    wire_encode(frame, make_frame(frame, type, payload, size), fuzz_board_send, NULL);
    host_wait();
    return fuzz_board_take_reply();
}

void host_hello(void) {
    const wire_hello_t hello = {.protocol_major = WIRE_PROTOCOL_MAJOR, .protocol_minor = WIRE_PROTOCOL_MINOR};
    const uint8_t delimiter = WIRE_FRAME_DELIMITER; // ends what noise has begun
    session = session % 0xFFFFu + 1u;
    fuzz_board_send(NULL, &delimiter, sizeof delimiter);
    const fuzz_reply_t reply = host_request(WIRE_MSG_HELLO, &hello, sizeof hello);
    must(reply.count == 1 && reply.header.type == (WIRE_MSG_HELLO | WIRE_REPLY_BIT) &&
             reply.header.session == session && reply.header.sequence == sequence,
         "a HELLO is always answered");
}

static void flip(void *context, const uint8_t *data, size_t size) {
    uint8_t bytes[256];
    memcpy(bytes, data, size);
    if (size > 0 && input_rarely(4)) {
        bytes[input_below((uint32_t)size)] ^= (uint8_t)(1u << input_below(8));
    }
    fuzz_board_send(context, bytes, size);
}

void host_request_somehow(uint8_t type, const void *payload, size_t size) {
    uint8_t frame[WIRE_MAX_FRAME_BYTES];
    const uint8_t delimiter = WIRE_FRAME_DELIMITER;
    const uint32_t how = input_below(16);
    sequence = (uint16_t)(sequence + (how == 1 ? input_half() : 1u));
    session ^= how == 2 ? 1u + input_byte() : 0u;
    const size_t sent = how == 3 ? input_below((uint32_t)(size < 255u ? size : 255u) + 1u) : size;
    if (how == 9) { // one that comes before its turn
        sequence++;
        wire_encode(frame, make_frame(frame, WIRE_MSG_ECHO, "", 0), fuzz_board_send, NULL);
        sequence--;
    }
    const size_t frame_bytes = make_frame(frame, how == 4 ? input_byte() : type, payload, sent);
    wire_encode(frame, frame_bytes, how == 5 ? flip : fuzz_board_send, NULL);
    if (how == 6) {
        wire_encode(frame, frame_bytes, fuzz_board_send, NULL);
    } else if (how == 7) {
        fuzz_board_send(NULL, frame, input_byte());
        fuzz_board_send(NULL, &delimiter, sizeof delimiter);
    }
    sequence = (uint16_t)(sequence + (how == 9 ? 1u : 0u));
    if (how != 8) { // else the next one comes right behind it
        host_wait();
    }
}
