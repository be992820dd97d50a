// Runs the chip's fault.c and watchdog.c against simulated registers and a simulated stack:
//
//   fault_tool fault EXCEPTION CFSR MMFAR SP LR PC COUNT    takes COUNT faults, then boots, and prints the record
//   fault_tool boot RCC_CSR RUNS_ON                         boots twice, and prints each reset's cause and the record
//   fault_tool watchdog                                     starts and feeds it, and prints what was written
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile uint32_t *simulated(uint32_t address);
static uint16_t halfword(uint32_t address);
#define REG32(address) (*simulated(address))
#define HALFWORD(address) halfword(address)
#define BARRIER()
#define STACK_START 0x20000000u
#define STACK_TOP 0x20001000u
#define TEXT_END 0x08008000u
static const uint8_t ld_build_id[20] = "a build id of tests";

#include "../../firmware/port/stm32f4/fault.c"
#include "../../firmware/port/stm32f4/watchdog.c"

#define CALL 0x08000104u // the only place in the simulated program that a call returns to

static volatile uint32_t stack[1024];
static volatile uint32_t others[64];
static uint32_t addresses[64];
static uint32_t used;
static uint32_t last_touched = UINT32_MAX;
static bool traces;
static jmp_buf reset;

static void show_write(void) {
    if (traces && last_touched != UINT32_MAX && addresses[last_touched] != 0x4000300Cu) {
        printf("write %08x:%x\n", addresses[last_touched], others[last_touched]);
    }
}

static volatile uint32_t *simulated(uint32_t address) {
    if (address >= STACK_START && address < STACK_TOP) {
        return &stack[(address - STACK_START) / 4u];
    }
    show_write();
    for (uint32_t i = 0; i < used; i++) {
        if (addresses[i] == address) {
            return &others[last_touched = i];
        }
    }
    addresses[used] = address;
    return &others[last_touched = used++];
}

static uint16_t halfword(uint32_t address) {
    return address == CALL - 4u ? 0xF000u : address == CALL - 2u ? 0xF800u : 0xBF00u; // BL, else NOP
}

_Noreturn void board_reset(void) {
    longjmp(reset, 1);
}

static uint32_t number(const char *text) {
    return (uint32_t)strtoul(text, NULL, 0);
}

static void boot(uint8_t runs_on) {
    printf("reset_cause %u\n", fault_reset_cause(runs_on));
    const wire_fault_t *const fault = board_fault();
    printf("has_record %d\n", fault != NULL);
    if (fault != NULL) {
        printf("cause %u\npc %u\nlr %u\nxpsr %u\nsp %u\ncount %u\nbuild_id %.20s\n", fault->cause, fault->pc, fault->lr,
               fault->xpsr, fault->sp, fault->count, (const char *)fault->build_id);
    }
    printf("again %u\n", fault_reset_cause(runs_on)); // the next boot, of which no fault is the cause
    printf("keeps_record %d\n", board_fault() != NULL);
    board_clear_fault();
    printf("cleared %d\n", board_fault() == NULL);
}

int main(int argc, char **argv) {
    const char *const what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "fault") == 0 && argc == 9) {
        const uint32_t sp = number(argv[5]);
        REG32(0xE000ED90u) = 8u << 8;
        fault_guard();
        printf("rbar %u\nrasr %u\n", REG32(0xE000ED9Cu), REG32(0xE000EDA0u));
        REG32(0xE000ED28u) = number(argv[3]);
        REG32(0xE000ED34u) = number(argv[4]);
        stack[5] = CALL | 1u; // an old return address, not far above the stack's end
        stack[20] = CALL | 1u;
        if (sp >= STACK_START && sp < STACK_TOP) {
            stack[(sp - STACK_START) / 4u + 5u] = number(argv[6]);
            stack[(sp - STACK_START) / 4u + 6u] = number(argv[7]);
            stack[(sp - STACK_START) / 4u + 7u] = 0x81000000u;
        }
        for (volatile uint32_t i = 0; i < number(argv[8]); i++) {
            if (setjmp(reset) == 0) {
                fault_taken(sp, 0xFFFFFFF9u, number(argv[2]));
            }
        }
        boot(WIRE_RUNS_ON_CHIP);
    } else if (strcmp(what, "boot") == 0 && argc == 4) {
        REG32(0x40023874u) = number(argv[2]);
        boot((uint8_t)number(argv[3]));
        printf("rcc_csr %u\n", REG32(0x40023874u));
    } else if (strcmp(what, "watchdog") == 0) {
        watchdog_feed(); // before it runs: nothing
        traces = true;
        watchdog_start();
        watchdog_feed();
        show_write();
    }
    return 0;
}
