#include "frame_link.h"

#include <string.h>

#include "board.h"

static void receive_into(link_t *link, uint8_t slot) {
    link->receiving = slot;
    wire_decoder_init(&link->decoder, link->rx[slot], WIRE_MAX_FRAME_BYTES);
}

void link_init(link_t *link) {
    memset(link, 0, sizeof *link);
    receive_into(link, 0);
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

// Takes one byte; true when it completes a frame.
static bool put(link_t *link, uint8_t byte, link_frame_t *frame) {
    size_t size = 0;
    switch (wire_decoder_put(&link->decoder, byte, &size)) {
        case WIRE_DECODER_FRAME: take_frame(link, frame, size); return true;
        case WIRE_DECODER_BAD_CRC: link->counters.crc_errors++; break;
        case WIRE_DECODER_BAD_COBS: link->counters.framing_errors++; break;
        case WIRE_DECODER_OVERSIZED: link->counters.oversized_frames++; break;
        default: break;
    }
    return false;
}

static uint8_t free_slot(const link_t *link) {
    uint8_t slot = 0;
    while (link->in_use[slot]) {
        slot++; // ends: one buffer more than may be held
    }
    return slot;
}

bool link_poll(link_t *link, link_frame_t *frame) {
    if (link->in_use[link->receiving]) {
        receive_into(link, free_slot(link));
    }
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
}

static void to_board(void *context, const uint8_t *data, size_t size) {
    (void)context;
    board_uart_write(data, size);
}

void link_send(uint8_t *frame, size_t payload_size) {
    wire_encode(frame, sizeof(wire_header_t) + payload_size, to_board, NULL);
}

void link_send_short(const wire_header_t *header, const void *payload, size_t payload_size) {
    uint8_t frame[sizeof *header + LINK_SHORT_BYTES + WIRE_CRC_BYTES];
    memcpy(frame, header, sizeof *header);
    memcpy(frame + sizeof *header, payload, payload_size);
    link_send(frame, payload_size);
}
