#include "fuzz_board.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

#define ERASED 0xFFu

jmp_buf fuzz_board_reset;

static uint8_t *arena;
static size_t arena_size;
static uint8_t *store;
static size_t store_size;
static uint32_t store_result;
static board_info_t info;
static wire_fault_t fault;
static bool has_fault;

static uint8_t line[1u << 14];
static size_t line_end;
static size_t line_next;
static uint32_t bytes_received;

static wire_decoder_t decoder;
static uint8_t frame[WIRE_MAX_FRAME_BYTES];
static fuzz_reply_t reply;

static uint8_t *new_memory(size_t size, int filling) {
    uint8_t *const memory = malloc(size); // 8-byte aligned, and ASan watches both ends
    if (memory == NULL) {
        abort();
    }
    memset(memory, filling, size);
    return memory;
}

void fuzz_board_open(size_t arena_bytes, size_t store_bytes) {
    arena = new_memory(arena_bytes, 0xA5); // NaN-free and not zero: as RAM is after power-on
    arena_size = arena_bytes;
    store = store_bytes == 0 ? NULL : new_memory(store_bytes, ERASED);
    store_size = store_bytes;
    store_result = 0;
    info = (board_info_t){
        .capabilities = store == NULL ? 0 : WIRE_CAP_STORE_WRITE, .uart_clock_hz = 45000000, .baud = WIRE_BOOT_BAUD};
    // Every board has had a fault: its frames come unasked, until somebody clears the record.
    info.reset_cause = WIRE_RESET_FAULT;
    fault = (wire_fault_t){.magic = WIRE_FAULT_MAGIC, .cause = WIRE_FAULT_CAUSE_HARD_FAULT, .crc32 = 7};
    has_fault = true;
    line_end = line_next = 0;
    reply = (fuzz_reply_t){.count = 0};
    wire_decoder_init(&decoder, frame, sizeof frame);
}

void fuzz_board_close(void) {
    fuzz_board_allow(arena, arena_size);
    free(arena);
    free(store);
}

void fuzz_board_set_store(const uint8_t *data, size_t size) {
    if (store != NULL) {
        memcpy(store, data, size < store_size ? size : store_size);
    }
}

void fuzz_board_fail_store(uint32_t result) {
    store_result = result;
}

void fuzz_board_forbid_arena(void) {
    ASAN_POISON_MEMORY_REGION(arena, arena_size);
}

void fuzz_board_allow(const void *start, size_t size) {
    ASAN_UNPOISON_MEMORY_REGION(start, size);
}

void fuzz_board_send(void *context, const uint8_t *data, size_t size) {
    (void)context;
    if (line_next == line_end) {
        line_next = line_end = 0;
    }
    const size_t room = sizeof line - line_end;
    const size_t count = size < room ? size : room;
    memcpy(line + line_end, data, count);
    line_end += count;
}

fuzz_reply_t fuzz_board_take_reply(void) {
    const fuzz_reply_t taken = reply;
    reply.count = 0;
    return taken;
}

void board_init(void) {
}

const board_info_t *board_info(void) {
    return &info;
}

size_t board_uart_read(uint8_t *data, size_t size) {
    const size_t there = line_end - line_next;
    const size_t count = size < there ? size : there;
    memcpy(data, line + line_next, count);
    line_next += count;
    bytes_received += (uint32_t)count;
    return count;
}

static void take(size_t size) {
    if (frame[0] == (WIRE_MSG_LOG | WIRE_REPLY_BIT) || frame[0] == (WIRE_MSG_FAULT | WIRE_REPLY_BIT)) {
        return; // unasked, at any time
    }
    reply.count++;
    memcpy(&reply.header, frame, sizeof reply.header);
    reply.payload_size = size - sizeof reply.header;
    memcpy(reply.payload, frame + sizeof reply.header, reply.payload_size);
}

void board_uart_write(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        size_t frame_size = 0;
        const wire_decoder_status_t status = wire_decoder_put(&decoder, data[i], &frame_size);
        if (status == WIRE_DECODER_FRAME) {
            take(frame_size);
        } else if (status != WIRE_DECODER_MORE) {
            abort(); // the firmware sends whole frames only
        }
    }
}

size_t board_uart_room(void) {
    return SIZE_MAX;
}

void board_uart_flush(void) {
}

void board_uart_set_baud(uint32_t baud) {
    if (baud == 0) {
        abort();
    }
    info.baud = baud;
}

board_uart_counters_t board_uart_counters(void) {
    return (board_uart_counters_t){.bytes_received = bytes_received};
}

uint8_t *board_arena(size_t *size) {
    *size = arena_size;
    return arena;
}

const uint8_t *board_store(size_t *size) {
    *size = store_size;
    return store;
}

uint32_t board_store_erase_ms(size_t size) {
    return (uint32_t)size;
}

static uint32_t take_store_result(void) {
    const uint32_t result = store_result;
    store_result = 0;
    return result;
}

uint32_t board_store_erase(size_t size) {
    const uint32_t result = take_store_result();
    const size_t sectors = (size + BOARD_SECTOR_BYTES - 1u) / BOARD_SECTOR_BYTES * BOARD_SECTOR_BYTES;
    if (size > store_size) {
        abort();
    }
    memset(store, ERASED, result != 0 ? size / 2 : sectors < store_size ? sectors : store_size);
    return result;
}

uint32_t board_store_program(size_t offset, const uint8_t *data, size_t size) {
    const uint32_t result = take_store_result();
    if (offset % 4u != 0 || size % 4u != 0 || offset > store_size || size > store_size - offset) {
        abort();
    }
    for (size_t i = 0; i < (result != 0 ? size / 2 : size); i++) {
        store[offset + i] &= data[i]; // programming only clears bits
    }
    return result;
}

uint32_t board_ticks(void) {
    static uint32_t ticks;
    return ticks += 0x40000001u; // wraps every few calls
}

uint32_t board_stack_bytes(void) {
    return 0;
}

uint32_t board_fpscr(void) {
    return 0;
}

const wire_fault_t *board_fault(void) {
    return has_fault ? &fault : NULL;
}

void board_clear_fault(void) {
    has_fault = false;
}

void board_feed_watchdog(void) {
}

void board_idle(void) {
}

_Noreturn void board_reset(void) {
    longjmp(fuzz_board_reset, 1);
}
