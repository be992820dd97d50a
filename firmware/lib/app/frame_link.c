#include "frame_link.h"

#include <string.h>

#include "board.h"

_Static_assert(WIRE_MAX_FRAME_BYTES % 4u == 0 && sizeof(wire_header_t) % 4u == 0,
               "payloads must be aligned for floats");

// Points the decoder to a free buffer. Without one it still follows the line, and drops the frame.
static void start_frame(link_t *link) {
    for (uint8_t slot = 0; slot < LINK_RX_FRAMES; slot++) {
        if (!link->in_use[slot]) {
            link->receiving = slot;
            wire_decoder_init(&link->decoder, link->rx[slot], WIRE_MAX_FRAME_BYTES);
            return;
        }
    }
    link->receiving = LINK_RX_FRAMES;
    wire_decoder_init(&link->decoder, NULL, 0);
}

void link_init(link_t *link) {
    memset(link, 0, sizeof *link);
    start_frame(link);
}

static void take_frame(link_t *link, link_frame_t *frame, size_t size) {
    uint8_t *const bytes = link->rx[link->receiving];
    memcpy(&frame->header, bytes, sizeof frame->header);
    memcpy(&frame->crc32, bytes + size, sizeof frame->crc32);
    frame->payload = bytes + sizeof frame->header;
    frame->payload_size = size - sizeof frame->header;
    frame->slot = link->receiving;
    link->in_use[frame->slot] = true;
    link->counters.frames_received++;
}

static bool put(link_t *link, uint8_t byte, link_frame_t *frame) {
    size_t size = 0;
    switch (wire_decoder_put(&link->decoder, byte, &size)) {
        case WIRE_DECODER_FRAME:
            take_frame(link, frame, size);
            start_frame(link);
            return true;
        case WIRE_DECODER_BAD_CRC: link->counters.crc_errors++; break;
        case WIRE_DECODER_BAD_COBS: link->counters.framing_errors++; break;
        case WIRE_DECODER_OVERSIZED:
            if (link->receiving == LINK_RX_FRAMES) {
                link->counters.busy_frames++;
            } else {
                link->counters.oversized_frames++;
            }
            break;
        default: return false;
    }
    start_frame(link);
    return false;
}

bool link_poll(link_t *link, link_frame_t *frame) {
    for (;;) {
        if (link->chunk_next == link->chunk_size) {
            link->chunk_size = (uint8_t)board_uart_read(link->chunk, sizeof link->chunk);
            link->chunk_next = 0;
        }
        if (link->chunk_size == 0) {
            return false;
        }
        while (link->chunk_next < link->chunk_size) {
            if (put(link, link->chunk[link->chunk_next++], frame)) {
                return true;
            }
        }
    }
}

void link_release(link_t *link, uint8_t slot) {
    link->in_use[slot] = false;
    if (link->receiving == LINK_RX_FRAMES && link->decoder.block == 0) {
        start_frame(link); // between two frames: the next one may use the buffer
    }
}

static void to_board(void *context, const uint8_t *data, size_t size) {
    (void)context;
    board_uart_write(data, size);
}

void link_send(uint8_t *frame, size_t payload_size) {
    wire_encode(frame, sizeof(wire_header_t) + payload_size, to_board, NULL);
}
