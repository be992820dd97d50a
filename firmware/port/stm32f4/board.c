#include "board.h"

#include <string.h>

#include "chip.h"
#include "clock.h"
#include "fault.h"
#include "flash.h"
#include "registers.h"
#include "stack_paint.h"
#include "usart.h"
#include "watchdog.h"

// From stm32f4.ld
extern uint8_t ld_arena_start[];
extern uint8_t ld_arena_end[];
extern const uint32_t ld_stack_start[];
extern const uint32_t ld_stack_top[];
extern const uint8_t ld_store_start[];
extern const uint8_t ld_store_end[];
extern const uint8_t ld_build_id[];

// What our Renode platform description puts in place of the unique id, which on a chip is a lot number and a position.
static const uint8_t renode_marker[12] = "RENODE-F446";

static board_info_t info;

static const uint32_t no_ticks;
static const volatile uint32_t *tick_register = &no_ticks;

static void identify(void) {
    info.cpuid = SCB_CPUID;
    info.idcode = DBGMCU_IDCODE;
    if (info.idcode == 0u) {
        info.runs_on = WIRE_RUNS_ON_QEMU; // which has no DBGMCU, and no unique id that could be read either
    } else if ((info.idcode & DBGMCU_IDCODE_DEV_ID_MASK) != CHIP_DEV_ID) {
        info.runs_on = WIRE_RUNS_ON_UNKNOWN;
    } else {
        memcpy(info.unique_id, (const void *)(uintptr_t)UNIQUE_ID_ADDRESS, sizeof info.unique_id);
        const bool is_renode = memcmp(info.unique_id, renode_marker, sizeof renode_marker) == 0;
        info.runs_on = is_renode ? WIRE_RUNS_ON_RENODE : WIRE_RUNS_ON_CHIP;
    }
}

static void start_ticks(void) {
    if (info.runs_on == WIRE_RUNS_ON_RENODE) {
        info.tick_source = WIRE_TICKS_NONE; // its CYCCNT is virtual time, which must not pass for cycles
        return;
    }
    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    if (DWT_CYCCNT != before) {
        info.tick_source = WIRE_TICKS_CYCCNT;
        tick_register = &DWT_CYCCNT;
        return;
    }
    RCC_APB1ENR |= RCC_APB1ENR_TIM2EN;
    (void)RCC_APB1ENR; // RM0390 6.2: a peripheral answers two bus cycles after its clock is enabled
    TIM2_CR1 = TIM_CR1_CEN;
    info.tick_source = WIRE_TICKS_TIM2;
    tick_register = &TIM2_CNT;
}

void board_init(void) {
    const clock_report_t clock = clock_start();
    identify();
    info.clock_source = clock.source;
    info.sysclk_hz = clock.sysclk_hz;
    info.uart_clock_hz = clock.apb1_hz;
    info.baud = WIRE_BOOT_BAUD;
    info.capabilities = WIRE_CAP_FPU;
    if (info.runs_on == WIRE_RUNS_ON_CHIP && flash_is_writable()) { // Renode's sectors 4 and 5 have wrong sizes
        info.capabilities |= WIRE_CAP_STORE_WRITE;
    }
    memcpy(info.build_id, ld_build_id, sizeof info.build_id);
    info.reset_cause = fault_reset_cause(info.runs_on);
    start_ticks();
    usart_start(clock.apb1_hz, info.runs_on == WIRE_RUNS_ON_QEMU);
    if (info.runs_on == WIRE_RUNS_ON_CHIP || info.runs_on == WIRE_RUNS_ON_RENODE) {
        watchdog_start();
    }
}

void board_uart_set_baud(uint32_t baud) {
    usart_set_baud(baud);
    info.baud = baud;
}

const board_info_t *board_info(void) {
    return &info;
}

uint8_t *board_arena(size_t *size) {
    *size = (size_t)((uintptr_t)ld_arena_end - (uintptr_t)ld_arena_start);
    return ld_arena_start;
}

const uint8_t *board_store(size_t *size) {
    *size = (size_t)((uintptr_t)ld_store_end - (uintptr_t)ld_store_start);
    return ld_store_start;
}

uint32_t board_ticks(void) {
    return *tick_register;
}

uint32_t board_stack_bytes(void) {
    const uint32_t *lowest = ld_stack_start;
    while (lowest != ld_stack_top && *lowest == STACK_PAINT) {
        lowest++;
    }
    return (uint32_t)((uintptr_t)ld_stack_top - (uintptr_t)lowest);
}

uint32_t board_fpscr(void) {
    uint32_t value; // that of whoever asks: an interrupt has one of its own, which begins as FPDSCR
    __asm volatile("vmrs %0, fpscr" : "=r"(value));
    return value;
}

void board_feed_watchdog(void) {
    watchdog_feed();
}

void board_idle(void) {
    // With interrupts masked, one that comes after the check stays pending, and a pending interrupt ends WFI all the
    // same (ARMv7-M B1.5.19). Its handler runs once they are unmasked.
    __asm volatile("cpsid i" ::: "memory");
    if (!usart_has_received()) {
        watchdog_wake_in_time();
        __asm volatile("dsb" ::: "memory");
        __asm volatile("wfi" ::: "memory");
        watchdog_woke();
    }
    __asm volatile("cpsie i" ::: "memory");
    __asm volatile("isb" ::: "memory");
}

_Noreturn void board_reset(void) {
    fault_reset_is_ours();
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = SCB_AIRCR_VECTKEY | SCB_AIRCR_SYSRESETREQ;
    __asm volatile("dsb" ::: "memory");
    for (;;) {
        // The reset takes some cycles to arrive.
    }
}
