// The frame decoder under libFuzzer: `./hil test fuzz`. Any bytes do no harm, and what is encoded is decoded again.
#include <stdlib.h>
#include <string.h>

#include "wire_framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    wire_decoder_t decoder;
    size_t frames;
    size_t frame_size;
} receiver_t;

static void receive(void *context, const uint8_t *data, size_t size) {
    receiver_t *const receiver = context;
    for (size_t i = 0; i < size; i++) {
        size_t frame_size = 0;
        if (wire_decoder_put(&receiver->decoder, data[i], &frame_size) == WIRE_DECODER_FRAME) {
            receiver->frames++;
            receiver->frame_size = frame_size;
        }
    }
}

// Exactly as large as it is said to be, so that ASan sees every access beside it.
static uint8_t *new_memory(size_t size) {
    uint8_t *const memory = malloc(size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void check_round_trip(receiver_t *receiver, const uint8_t *received, const uint8_t *data, size_t size) {
    uint8_t *const frame = new_memory(size + WIRE_CRC_BYTES);
    const uint8_t delimiter = WIRE_FRAME_DELIMITER;
    memcpy(frame, data, size);
    receive(receiver, &delimiter, sizeof delimiter); // ends what was before
    receiver->frames = 0;
    wire_encode(frame, size, receive, receiver);
    if (receiver->frames != 1 || receiver->frame_size != size || memcmp(received, data, size) != 0) {
        abort();
    }
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const size_t capacity = size == 0 ? 0 : data[0] * 4u;
    uint8_t *const buffer = new_memory(capacity);
    receiver_t receiver = {.frames = 0};
    wire_decoder_init(&receiver.decoder, buffer, capacity);
    receive(&receiver, data, size);
    if (size >= sizeof(wire_header_t) && size + WIRE_CRC_BYTES <= capacity) {
        check_round_trip(&receiver, buffer, data, size);
    }
    free(buffer);
    return 0;
}
