#include "flash.h"

#include <string.h>

#include "board.h"
#include "registers.h"
#include "watchdog.h"

// From stm32f4.ld
extern uint8_t ld_store_start[];

typedef struct {
    uint32_t number;
    uint32_t size;
    uint32_t erase_ms; // at most, 32 bits at a time, which takes 2.7 V (DS10693, DS10314, DS10086: flash memory)
} sector_t;

// RM0390 3.3, RM0383 3.3, RM0368 3.3: flash module organisation
static const sector_t sectors[] = {
    {.number = 4, .size = 64u * 1024u, .erase_ms = 1100},
    {.number = 5, .size = 128u * 1024u, .erase_ms = 2000},
    {.number = 6, .size = 128u * 1024u, .erase_ms = 2000},
    {.number = 7, .size = 128u * 1024u, .erase_ms = 2000},
};
#define SECTORS (sizeof sectors / sizeof sectors[0])

// 200 million polls are at least 5.5 s at 180 MHz and 5 cycles a poll: more than any sector takes. Mostly the core
// stands still at the first poll, since it fetches from the flash that is busy.
#ifndef BUSY_POLLS // a test does not wait so long
#define BUSY_POLLS 200000000u
#endif

#define TIMED_OUT 0x80000000u    // in place of error bits of FLASH_SR
#define STILL_LOCKED 0x40000000u // the keys did not open it

bool flash_is_writable(void) {
    return (FLASH_CR & FLASH_CR_LOCK) != 0u; // set at reset (RM0390 3.8.5); where no controller is, 0 is read
}

static uint32_t unlock(void) {
    if ((FLASH_CR & FLASH_CR_LOCK) != 0u) { // a key out of turn would lock it until the next reset
        FLASH_KEYR = FLASH_KEY1;
        FLASH_KEYR = FLASH_KEY2;
    }
    FLASH_SR = FLASH_SR_ERRORS;
    return (FLASH_CR & FLASH_CR_LOCK) != 0u ? STILL_LOCKED : 0u;
}

static uint32_t wait(void) {
    for (uint32_t polls = BUSY_POLLS; (FLASH_SR & FLASH_SR_BSY) != 0u; polls--) {
        if (polls == 0u) {
            return TIMED_OUT;
        }
    }
    return FLASH_SR & FLASH_SR_ERRORS;
}

// The data cache may hold what was there before (RM0390 3.5.4); it can be reset only while it is off.
static void lock(void) {
    FLASH_CR = FLASH_CR_LOCK;
    FLASH_ACR &= ~FLASH_ACR_DCEN;
    FLASH_ACR |= FLASH_ACR_DCRST;
    FLASH_ACR &= ~FLASH_ACR_DCRST;
    FLASH_ACR |= FLASH_ACR_DCEN;
}

uint32_t board_store_erase_ms(size_t size) {
    uint32_t total_ms = 0;
    size_t start = 0;
    for (size_t i = 0; i < SECTORS && start < size; i++) {
        total_ms += sectors[i].erase_ms;
        start += sectors[i].size;
    }
    return total_ms;
}

uint32_t board_store_erase(size_t size) {
    uint32_t error = unlock();
    size_t start = 0;
    for (size_t i = 0; i < SECTORS && start < size && error == 0u; i++) {
        FLASH_CR = FLASH_CR_PSIZE_32 | FLASH_CR_SER | FLASH_CR_SNB(sectors[i].number);
        FLASH_CR |= FLASH_CR_STRT;
        error = wait();
        watchdog_feed(); // a sector is within its time, all four are not
        start += sectors[i].size;
    }
    lock();
    return error;
}

uint32_t board_store_program(size_t offset, const uint8_t *data, size_t size) {
    volatile uint32_t *to = (volatile uint32_t *)(void *)(ld_store_start + offset);
    uint32_t error = unlock();
    if (error == 0u) {
        FLASH_CR = FLASH_CR_PSIZE_32 | FLASH_CR_PG;
    }
    for (size_t i = 0; i < size && error == 0u; i += sizeof *to) {
        uint32_t word;
        memcpy(&word, data + i, sizeof word);
        *to++ = word;
        error = wait();
    }
    lock();
    return error;
}
