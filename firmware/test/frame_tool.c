// Runs the wire code on the host for the test-suite: one command a line on standard input, answers on standard output.
//
//   D hex   feeds the bytes to the decoder; prints "frame hex", "bad_crc", "bad_cobs" or "oversized" for each end
//   E hex   encodes header and payload; prints the line's bytes
//
// After each command a line with a single dot.
#include <stdio.h>
#include <string.h>

#include "wire_framing.h"

static uint8_t frame[WIRE_MAX_FRAME_BYTES + 64];
static char line[16384];
static uint8_t bytes[sizeof line / 2];

static size_t from_hex(const char *text) {
    size_t count = 0;
    unsigned value = 0;
    while (sscanf(text, "%2x", &value) == 1) {
        bytes[count++] = (uint8_t)value;
        text += 2;
    }
    return count;
}

static void print_hex(void *context, const uint8_t *data, size_t size) {
    (void)context;
    for (size_t i = 0; i < size; i++) {
        printf("%02x", data[i]);
    }
}

static void decode(wire_decoder_t *decoder, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        switch (wire_decoder_put(decoder, bytes[i], &size)) {
            case WIRE_DECODER_FRAME:
                printf("frame ");
                print_hex(NULL, frame, size);
                printf("\n");
                break;
            case WIRE_DECODER_BAD_CRC: printf("bad_crc\n"); break;
            case WIRE_DECODER_BAD_COBS: printf("bad_cobs\n"); break;
            case WIRE_DECODER_OVERSIZED: printf("oversized\n"); break;
            default: break;
        }
    }
}

int main(void) {
    wire_decoder_t decoder;
    wire_decoder_init(&decoder, frame, WIRE_MAX_FRAME_BYTES);
    while (fgets(line, sizeof line, stdin) != NULL) {
        const size_t count = from_hex(line + 2);
        if (line[0] == 'D') {
            decode(&decoder, count);
        } else {
            memcpy(frame, bytes, count);
            wire_encode(frame, count, print_hex, NULL);
            printf("\n");
        }
        printf(".\n");
        fflush(stdout);
    }
    return 0;
}
