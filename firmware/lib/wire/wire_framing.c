#include "wire_framing.h"

#include <string.h>

#include "wire_crc.h"

// A COBS block holds at most 254 bytes; its code 0xFF says that no zero follows (Cheshire and Baker, 1999).
#define FULL_BLOCK 0xFFu

static void restart(wire_decoder_t *decoder) {
    decoder->size = 0;
    decoder->block = 0;
    decoder->remaining = 0;
}

static void append(wire_decoder_t *decoder, uint8_t byte) {
    if (decoder->size < decoder->capacity) {
        decoder->buffer[decoder->size] = byte;
    }
    decoder->size++;
}

static wire_decoder_status_t end_of_frame(const wire_decoder_t *decoder, size_t *frame_size) {
    if (decoder->size > decoder->capacity) {
        return WIRE_DECODER_OVERSIZED;
    }
    if (decoder->remaining != 0 || decoder->size < sizeof(wire_header_t) + WIRE_CRC_BYTES) {
        return WIRE_DECODER_BAD_COBS;
    }
    const size_t size = decoder->size - WIRE_CRC_BYTES;
    uint32_t sent = 0;
    memcpy(&sent, &decoder->buffer[size], sizeof sent);
    if (sent != wire_crc32(0, decoder->buffer, size)) {
        return WIRE_DECODER_BAD_CRC;
    }
    *frame_size = size;
    return WIRE_DECODER_FRAME;
}

void wire_decoder_init(wire_decoder_t *decoder, uint8_t *buffer, size_t capacity) {
    decoder->buffer = buffer;
    decoder->capacity = capacity;
    restart(decoder);
}

wire_decoder_status_t wire_decoder_put(wire_decoder_t *decoder, uint8_t byte, size_t *frame_size) {
    if (byte == WIRE_FRAME_DELIMITER) {
        const bool empty = decoder->block == 0;
        const wire_decoder_status_t status = empty ? WIRE_DECODER_MORE : end_of_frame(decoder, frame_size);
        restart(decoder);
        return status;
    }
    if (decoder->remaining > 0) {
        append(decoder, byte);
        decoder->remaining--;
        return WIRE_DECODER_MORE;
    }
    if (decoder->block != 0 && decoder->block != FULL_BLOCK) {
        append(decoder, 0);
    }
    decoder->block = byte;
    decoder->remaining = (uint8_t)(byte - 1u);
    return WIRE_DECODER_MORE;
}

void wire_encode(uint8_t *frame, size_t size, wire_sink_t sink, void *context) {
    const uint32_t crc = wire_crc32(0, frame, size);
    memcpy(&frame[size], &crc, sizeof crc);
    const uint8_t *next = frame;
    const uint8_t *const end = frame + size + WIRE_CRC_BYTES;
    const uint8_t delimiters[2] = {WIRE_FRAME_DELIMITER, WIRE_FRAME_DELIMITER};

    sink(context, delimiters, 1);
    bool zero_before = true; // a block is due: at the start, and behind every zero
    while (next < end || zero_before) {
        const size_t left = (size_t)(end - next);
        const size_t most = left < FULL_BLOCK - 1u ? left : FULL_BLOCK - 1u;
        size_t run = 0;
        while (run < most && next[run] != 0) {
            run++;
        }
        const uint8_t code = (uint8_t)(run + 1u);
        sink(context, &code, 1);
        sink(context, next, run);
        next += run;
        zero_before = code != FULL_BLOCK && next < end;
        if (zero_before) {
            next++;
        }
    }
    sink(context, delimiters, 2); // the second one: an emulator may hold back the last byte
}
