// CRC-32/ISO-HDLC, the CRC of every frame and image. Check value of "123456789": 0xCBF43926.
#ifndef WIRE_CRC_H
#define WIRE_CRC_H

#include <stddef.h>
#include <stdint.h>

// Adds `size` bytes to `crc`, the CRC of what came before them (0 at the start). Cost: a table look-up a byte.
uint32_t wire_crc32(uint32_t crc, const void *data, size_t size);

#endif
