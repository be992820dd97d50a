// Runs the chip's flash.c against a simulated controller: `flash_tool FAULT BYTES`.
//
// Erases for BYTES, programs them with a pattern, and prints both results, the sectors erased, how many bytes hold the
// pattern, and each rule of the reference manual that was broken. FAULT:
//   -  none     n  no controller     k  the keys do not unlock     p  write-protected     b  busy for ever
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile uint32_t *simulated(uint32_t address);
#define REG32(address) (*simulated(address))
#define BUSY_POLLS 1000u

#include "../../firmware/port/stm32f4/flash.c"

static uint32_t feeds;
void watchdog_feed(void) {
    feeds++;
}

#define STORE_BYTES (448u * 1024u)

enum { ACR, KEYR, SR, CR, COUNT };
static const uint32_t addresses[COUNT] = {0x40023C00u, 0x40023C04u, 0x40023C0Cu, 0x40023C10u};
static volatile uint32_t now[COUNT] = {[ACR] = FLASH_ACR_DCEN, [CR] = FLASH_CR_LOCK};
static uint32_t before[COUNT];
static uint32_t touched = COUNT;
static uint32_t first_key;
static uint32_t busy_polls;
static char fault_kind = '-';

_Alignas(8) uint8_t ld_store_start[STORE_BYTES];
static uint8_t cells[STORE_BYTES]; // what the flash holds; ld_store_start is what was written over it

static void rule(bool kept, const char *text) {
    if (!kept) {
        printf("broken %s\n", text);
    }
}

static void take_key(void) {
    const uint32_t key = now[KEYR];
    if (first_key == FLASH_KEY1 && key == FLASH_KEY2 && fault_kind != 'k') {
        now[CR] &= ~FLASH_CR_LOCK;
    }
    rule((before[CR] & FLASH_CR_LOCK) != 0u, "a key while it is unlocked");
    first_key = key;
}

static void take_status(void) {
    if (now[SR] != before[SR]) { // cleared by writing 1
        now[SR] = before[SR] & ~now[SR];
    }
}

static void erase(void) {
    const uint32_t number = now[CR] >> 3 & 0xFu;
    rule((now[CR] & FLASH_CR_SER) != 0u, "STRT without SER");
    rule((now[CR] & (3u << 8)) == FLASH_CR_PSIZE_32, "erased with another parallelism than 32 bits");
    rule(number >= 4u && number <= 7u, "a sector of the program was erased");
    printf("erased %u\n", number);
    const uint32_t start = number == 4u ? 0u : (64u + (number - 5u) * 128u) * 1024u;
    const uint32_t size = number == 4u ? 64u * 1024u : 128u * 1024u;
    memset(cells + start, 0xFF, size);
    memcpy(ld_store_start + start, cells + start, size);
    now[CR] &= ~FLASH_CR_STRT;
    busy_polls = fault_kind == 'b' ? UINT32_MAX : 3u;
}

static void take_control(void) {
    if (now[CR] == before[CR]) {
        return;
    }
    rule(busy_polls == 0u || fault_kind == 'b', "CR written while busy");
    if ((before[CR] & FLASH_CR_LOCK) != 0u) {
        rule(false, "CR written while it is locked");
        now[CR] = before[CR];
    } else if ((now[CR] & FLASH_CR_STRT) != 0u) {
        erase();
    }
}

// What the program stored into the flash's addresses since the last use of a register.
static void take_words(void) {
    uint32_t words = 0;
    for (uint32_t at = 0; memcmp(ld_store_start + at, cells + at, STORE_BYTES - at) != 0; at += 4u) {
        while (memcmp(ld_store_start + at, cells + at, 4u) == 0) {
            at += 4u;
        }
        words++;
        rule((now[CR] & FLASH_CR_PG) != 0u && (now[CR] & FLASH_CR_LOCK) == 0u, "a word without PG");
        rule((now[CR] & (3u << 8)) == FLASH_CR_PSIZE_32, "a word with another parallelism than 32 bits");
        for (uint32_t i = at; i < at + 4u; i++) {
            cells[i] = fault_kind == 'p' ? cells[i] : (uint8_t)(cells[i] & ld_store_start[i]);
            ld_store_start[i] = cells[i];
        }
        now[SR] |= fault_kind == 'p' ? 1u << 4 : 0u; // WRPERR
        busy_polls = 1;
    }
    rule(words <= 1u, "a word while the one before was being programmed");
}

// Every use of a register comes by here: what was written before this takes effect now.
static volatile uint32_t *simulated(uint32_t address) {
    if (fault_kind == 'n') {
        memset((void *)(uintptr_t)now, 0, sizeof now);
        return &now[0];
    }
    switch (touched) {
        case KEYR: take_key(); break;
        case SR: take_status(); break;
        case CR: take_control(); break;
        case ACR:
            rule((now[ACR] & FLASH_ACR_DCRST) == 0u || (now[ACR] & FLASH_ACR_DCEN) == 0u, "DCRST with the cache on");
            break;
        default: break;
    }
    if ((now[CR] & FLASH_CR_PG) != 0u) {
        take_words(); // compares the whole store, so not always
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        if (addresses[i] == address) {
            touched = i;
        }
    }
    if (touched == SR) {
        busy_polls -= busy_polls > 0u && busy_polls < UINT32_MAX ? 1u : 0u;
        now[SR] = (now[SR] & ~FLASH_SR_BSY) | (busy_polls > 0u ? FLASH_SR_BSY : 0u);
    }
    memcpy(before, (const void *)(uintptr_t)now, sizeof before);
    return &now[touched];
}

int main(int argc, char **argv) {
    fault_kind = argc > 1 ? argv[1][0] : '-';
    const size_t size = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 0u;
    uint8_t *const pattern = malloc(size);
    for (size_t i = 0; i < size; i++) {
        pattern[i] = (uint8_t)(i * 7u + 1u);
    }
    printf("writable %d\n", flash_is_writable());
    printf("erase_ms %u\n", board_store_erase_ms(size));
    printf("erase_result %u\n", board_store_erase(size));
    printf("feeds %u\n", feeds);
    const size_t programmed = size < 4096u ? size : 4096u;
    printf("program_result %u\n", board_store_program(0, pattern, programmed));
    (void)simulated(addresses[CR]);
    printf("locked %d\n", (now[CR] & FLASH_CR_LOCK) != 0u);
    printf("cache_on %d\n", (now[ACR] & FLASH_ACR_DCEN) != 0u);
    printf("right %d\n", memcmp(cells, pattern, programmed) == 0);
    free(pattern);
    return 0;
}
