// The device's end of the link: received bytes become frames, frames to send become bytes.
//
// One receive buffer more than there may be requests under way: a frame always finds one, also a repeat.
#ifndef FRAME_LINK_H
#define FRAME_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire_framing.h"

#define LINK_RX_FRAMES (WIRE_WINDOW + 1u)
#define LINK_SHORT_BYTES sizeof(wire_fault_t) // the largest of what is told beside the replies

typedef struct {
    wire_header_t header;
    const uint8_t *payload;
    size_t payload_size;
    uint32_t crc32; // of header and payload: tells a repeated request from a new one
    uint8_t slot;
} link_frame_t;

typedef struct {
    uint32_t frames_received;
    uint32_t crc_errors;
    uint32_t framing_errors;
    uint32_t oversized_frames;
} link_counters_t;

typedef struct {
    uint8_t rx[LINK_RX_FRAMES][WIRE_MAX_FRAME_BYTES];
    bool in_use[LINK_RX_FRAMES]; // handed out and not released
    uint8_t receiving;           // the buffer that the decoder writes to
    wire_decoder_t decoder;
    uint8_t chunk[64]; // bytes taken from the board and not decoded yet
    uint8_t chunk_size;
    uint8_t chunk_next;
    link_counters_t counters;
} link_t;

void link_init(link_t *link);

// Takes what the board has received. Returns true with one frame in `frame`, whose buffer is the caller's until
// link_release; false when there is none yet. Never waits. At a call at most WIRE_WINDOW frames may be held.
bool link_poll(link_t *link, link_frame_t *frame);

// Gives a frame's buffer back.
void link_release(link_t *link, uint8_t slot);

// Sends `frame`: header, `payload_size` bytes of payload, and room for a CRC behind it.
void link_send(uint8_t *frame, size_t payload_size);

// Sends a frame that need not be kept: `payload` is LINK_SHORT_BYTES at most.
void link_send_short(const wire_header_t *header, const void *payload, size_t payload_size);

#endif
