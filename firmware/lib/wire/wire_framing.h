// Frames on the line: 00 | COBS(header, payload, CRC-32) | 00 00. docs/PROTOCOL.md, "Frames", has the drawing.
//
// Byte in, status out; the caller owns the buffer. Nothing here waits, allocates or knows a port.
#ifndef WIRE_FRAMING_H
#define WIRE_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire_defs.h"

#define WIRE_CRC_BYTES 4u
#define WIRE_MAX_FRAME_BYTES (sizeof(wire_header_t) + WIRE_MAX_PAYLOAD_BYTES + WIRE_CRC_BYTES)

typedef enum {
    WIRE_DECODER_MORE,      // nothing to say yet
    WIRE_DECODER_FRAME,     // a frame with a right CRC lies in the buffer
    WIRE_DECODER_BAD_CRC,   // a frame ended, its CRC is wrong
    WIRE_DECODER_BAD_COBS,  // a frame ended in the middle of a COBS block, or is too short for header and CRC
    WIRE_DECODER_OVERSIZED, // a frame ended that was longer than the buffer
} wire_decoder_status_t;

typedef struct {
    uint8_t *buffer; // caller's, `capacity` bytes
    size_t capacity;
    size_t size;       // decoded bytes so far; counts on beyond the capacity, so that an overflow is seen at the end
    uint8_t block;     // length code of the COBS block under way, 0 before the first
    uint8_t remaining; // its bytes still to come
} wire_decoder_t;

// Starts a decoder on `buffer`, which must live until the decoder gets another one.
void wire_decoder_init(wire_decoder_t *decoder, uint8_t *buffer, size_t capacity);

// Takes one byte of the line. After WIRE_DECODER_FRAME the frame is in `buffer`, `*frame_size` bytes of header and
// payload without the CRC, and stays there until the next byte is put in.
wire_decoder_status_t wire_decoder_put(wire_decoder_t *decoder, uint8_t byte, size_t *frame_size);

// Where the encoder puts the line's bytes.
typedef void (*wire_sink_t)(void *context, const uint8_t *data, size_t size);

// Writes `frame`, `size` bytes of header and payload, to the sink as it goes over the line. The buffer must have room
// for WIRE_CRC_BYTES more: the CRC is put there.
void wire_encode(uint8_t *frame, size_t size, wire_sink_t sink, void *context);

#endif
