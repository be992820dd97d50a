// Images that are right, or nearly: what random bytes never are.
#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *bytes; // 8-byte aligned
    size_t size;
    uint32_t work_bytes;
    uint32_t crc32;
} fuzz_image_t;

// The most that one has.
#define FUZZ_IMAGE_BYTES 0x60000u

// Makes an image of what the fuzzer chose; some of its fields may be wrong, its CRC seldom.
fuzz_image_t fuzz_image_make(void);

#endif
