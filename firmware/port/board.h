// The whole hardware interface of the firmware. Everything above it is portable C11 and runs as a host process too.
//
// port/stm32f4 implements it for the chip (and for the emulators, which run the same ELF), port/host for a process.
// Not reentrant: call from the main loop only. No call allocates memory.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire_defs.h"

typedef struct {
    uint8_t runs_on;       // enum wire_runs_on
    uint8_t clock_source;  // enum wire_clock
    uint8_t tick_source;   // enum wire_ticks
    uint32_t capabilities; // enum wire_cap bits that the board adds
    uint32_t reset_cause;  // enum wire_reset bits; 0 where that is not known
    uint32_t sysclk_hz;
    uint32_t uart_clock_hz;
    uint32_t baud;
    uint32_t cpuid;
    uint32_t idcode;
    uint8_t unique_id[12];
    uint8_t build_id[20];
} board_info_t;

typedef struct {
    uint32_t ring_overflows; // bytes lost because the receive ring was full
    uint32_t uart_overruns;  // bytes lost in the USART (ORE)
    uint32_t uart_noise;     // bytes with noise, framing or parity error
    uint32_t bytes_received; // bytes handed out by board_uart_read
    uint32_t bytes_sent;     // bytes taken by board_uart_write
} board_uart_counters_t;

// Clocks, FPU, USART2 at WIRE_BOOT_BAUD 8N1, tick counter. Called once, first.
void board_init(void);

// What runs here. The struct lives as long as the program.
const board_info_t *board_info(void);

// Takes up to `size` received bytes. Never waits. Returns how many.
size_t board_uart_read(uint8_t *data, size_t size);

// Queues `size` bytes for sending; `data` may be reused on return. Waits only while the transmit ring is full, which
// ends by itself: the line always drains.
void board_uart_write(const uint8_t *data, size_t size);

// How many bytes can be queued without waiting.
size_t board_uart_room(void);

// Waits until all queued bytes have left the line.
void board_uart_flush(void);

// Waits until all queued bytes have left the line, then changes its baud, and board_info()->baud with it. Bytes that
// arrive meanwhile may be lost. Only where board_info()->uart_clock_hz is not 0.
void board_uart_set_baud(uint32_t baud);

board_uart_counters_t board_uart_counters(void);

// The arena: memory for images, state and buffers, 8-byte aligned. The same on every call.
uint8_t *board_arena(size_t *size);

// The flash behind the program, for an image too large for the arena; 8-byte aligned. NULL and 0 where there is none.
const uint8_t *board_store(size_t *size);

// The next three only with WIRE_CAP_STORE_WRITE. Code runs from the same flash, so nothing else happens while it is
// erased or programmed, no interrupt either: bytes that arrive meanwhile are lost.

// The longest that erasing the first `size` bytes of the store may take, in milliseconds.
uint32_t board_store_erase_ms(size_t size);

// Erases the first `size` bytes of the store, and what else lies in their sectors. Returns 0, or what the hardware
// said.
uint32_t board_store_erase(size_t size);

// Programs erased bytes of the store; `offset` and `size` are multiples of 4. Returns 0, or what the hardware said.
uint32_t board_store_program(size_t offset, const uint8_t *data, size_t size);

// Free-running tick counter of board_info()->tick_source; wraps at 32 bits. Cost: one load.
uint32_t board_ticks(void);

// The most bytes of stack that were in use since boot, interrupts included; 0 where that is not known.
uint32_t board_stack_bytes(void);

// FPSCR of the main program, which computes: its settings, and what has happened since boot; 0 where there is none.
uint32_t board_fpscr(void);

// The record of the last fault that was not cleared, NULL if there is none. Survives resets where RAM does.
const wire_fault_t *board_fault(void);
void board_clear_fault(void);

// To be called in each turn of the main loop: where there is a watchdog, it restarts a program that does not.
void board_feed_watchdog(void);

// Sleeps until something may have happened (at least one byte received); may return early.
void board_idle(void);

// Restarts the program as if after power-on. Does not return.
_Noreturn void board_reset(void);

#endif
