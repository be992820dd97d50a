// A board in memory: board.h as variables that the fuzzer sets and looks at.
#ifndef FUZZ_BOARD_H
#define FUZZ_BOARD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire_framing.h"

// Erased together, as a sector of a flash is; less than the images that are tried.
#define BOARD_SECTOR_BYTES 512u

// A new board. The arena and the store are as large as said and not a byte larger, so that ASan sees every access
// beside them. `store_bytes` 0: there is no store.
void fuzz_board_open(size_t arena_bytes, size_t store_bytes);
void fuzz_board_close(void);

// Puts bytes into the store, as a boot finds them.
void fuzz_board_set_store(const uint8_t *data, size_t size);

// What the next operation on the store ends with, in place of 0: the hardware may fail.
void fuzz_board_fail_store(uint32_t result);

// Lets nobody touch the arena, or some of it, until that is taken back.
void fuzz_board_forbid_arena(void);
void fuzz_board_allow(const void *start, size_t size);

// Puts bytes on the line to the firmware. What does not fit is lost, as on a line.
void fuzz_board_send(void *context, const uint8_t *data, size_t size);

// Frames that came from the firmware since the last call, and the last of them with its bytes behind the header.
typedef struct {
    uint32_t count;
    wire_header_t header;
    uint8_t payload[WIRE_MAX_PAYLOAD_BYTES];
    size_t payload_size;
} fuzz_reply_t;
fuzz_reply_t fuzz_board_take_reply(void);

// Where board_reset goes.
extern jmp_buf fuzz_board_reset;

#endif
