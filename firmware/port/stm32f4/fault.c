#include "fault.h"

#include <string.h>

#include "board.h"
#include "registers.h"
#include "wire_crc.h"

#ifndef STACK_START // a test has no linker script
// From stm32f4.ld
extern const uint8_t ld_stack_start[];
extern const uint8_t ld_stack_top[];
extern const uint8_t ld_text_end[];
extern const uint8_t ld_build_id[];
#define STACK_START ((uint32_t)(uintptr_t)ld_stack_start)
#define STACK_TOP ((uint32_t)(uintptr_t)ld_stack_top)
#define TEXT_END ((uint32_t)(uintptr_t)ld_text_end)
#define HALFWORD(address) (*(const uint16_t *)(uintptr_t)(address))
#define BARRIER() __asm volatile("dsb\n isb" ::: "memory")
#endif

#define TEXT_START 0x08000000u

// The 8 KB below RAM, where the stack ends: reserved addresses (RM0390 2.2.2), so the guard takes no memory. A function
// would need a frame of 8 KB, twice the whole stack, to step over it.
#define GUARD_LOG2_BYTES 13u
#define GUARD_BYTES (1u << GUARD_LOG2_BYTES)

// What an exception pushes: ARMv7-M B1.5.7. With floating-point state it is longer (EXC_RETURN bit 4 is then 0).
#define FRAME_LR 20u // offsets
#define FRAME_PC 24u
#define FRAME_XPSR 28u
#define FRAME_BYTES 32u
#define LONG_FRAME_BYTES 104u
#define EXC_RETURN_SHORT_FRAME (1u << 4)

#define FRESH 0x46524553u // any values that RAM does not have after power-on
#define RUNNING 0x52554E4Eu

// Survives a reset: neither startup.c nor a loader touches this section.
__attribute__((section(".noinit"))) static struct {
    wire_fault_t fault;
    uint32_t fresh;   // FRESH: the reset that follows is this fault's
    uint32_t running; // RUNNING: nobody here has asked for a reset
} kept;

void fault_guard(void) {
    SCB_SHCSR |= SCB_SHCSR_MEMFAULTENA | SCB_SHCSR_BUSFAULTENA | SCB_SHCSR_USGFAULTENA;
    SCB_CCR |= SCB_CCR_DIV_0_TRP;
    if ((MPU_TYPE & MPU_TYPE_DREGION_MASK) == 0u) {
        return;
    }
    MPU_RBAR = (STACK_START - GUARD_BYTES) | MPU_RBAR_VALID; // region 0
    MPU_RASR = MPU_RASR_XN | MPU_RASR_NO_ACCESS | MPU_RASR_SIZE(GUARD_LOG2_BYTES) | MPU_RASR_ENABLE;
    MPU_CTRL = MPU_CTRL_PRIVDEFENA | MPU_CTRL_ENABLE; // elsewhere the default memory map
    BARRIER();
}

static uint32_t crc_of(const wire_fault_t *fault) {
    return wire_crc32(0, fault, offsetof(wire_fault_t, crc32));
}

static bool is_sound(const wire_fault_t *fault) {
    return fault->magic == WIRE_FAULT_MAGIC && fault->crc32 == crc_of(fault);
}

static void keep(wire_fault_t fault) {
    fault.magic = WIRE_FAULT_MAGIC;
    fault.count = is_sound(&kept.fault) ? kept.fault.count + 1u : 1u;
    memcpy(fault.build_id, ld_build_id, sizeof fault.build_id);
    fault.crc32 = crc_of(&fault);
    kept.fault = fault;
}

static bool in_stack(uint32_t address) {
    return address >= STACK_START && address < STACK_TOP && address % 4u == 0u;
}

// Whether a call returns to this address: the instruction before it is BL, or BLX with a register (ARMv7-M A7.7.18/19).
static bool is_return_address(uint32_t word) {
    const uint32_t address = word & ~1u;
    if ((word & 1u) == 0u || address < TEXT_START + 4u || address >= TEXT_END) {
        return false;
    }
    const uint32_t before = HALFWORD(address - 4u);
    const uint32_t last = HALFWORD(address - 2u);
    return ((before & 0xF800u) == 0xF000u && (last & 0xD000u) == 0xD000u) || (last & 0xFF87u) == 0x4780u;
}

// Where the stack overflowed nothing could be pushed, and pc and lr are lost. The nearest return address on the stack
// says at least who called.
static uint32_t nearest_return_address(uint32_t sp, uint32_t exc_return) {
    uint32_t at = sp + ((exc_return & EXC_RETURN_SHORT_FRAME) != 0u ? FRAME_BYTES : LONG_FRAME_BYTES);
    for (at = at < STACK_START ? STACK_START : at & ~3u; in_stack(at); at += 4u) {
        if (is_return_address(REG32(at))) {
            return REG32(at);
        }
    }
    return 0;
}

static uint32_t cause_of(const wire_fault_t *fault) {
    const bool hit_guard = (fault->cfsr & SCB_CFSR_MMARVALID) != 0u && fault->mmfar < STACK_START &&
                           fault->mmfar >= STACK_START - GUARD_BYTES;
    if (hit_guard || (fault->cfsr & SCB_CFSR_MSTKERR) != 0u || fault->sp < STACK_START) {
        return WIRE_FAULT_CAUSE_STACK_OVERFLOW;
    }
    if (fault->exception < 3u || fault->exception > 6u) {
        return WIRE_FAULT_CAUSE_UNEXPECTED_EXCEPTION;
    }
    // Also of a hard fault: a fault in an interrupt handler escalates to it.
    if ((fault->cfsr & SCB_CFSR_USAGE_BITS) != 0u) {
        return WIRE_FAULT_CAUSE_USAGE_FAULT;
    }
    if ((fault->cfsr & SCB_CFSR_BUS_BITS) != 0u) {
        return WIRE_FAULT_CAUSE_BUS_FAULT;
    }
    return (fault->cfsr & SCB_CFSR_MEMORY_BITS) != 0u ? WIRE_FAULT_CAUSE_MEMORY_FAULT : WIRE_FAULT_CAUSE_HARD_FAULT;
}

_Noreturn void fault_taken(uint32_t sp, uint32_t exc_return, uint32_t exception) {
    wire_fault_t fault = {
        .exception = exception,
        .sp = sp,
        .exc_return = exc_return,
        .cfsr = SCB_CFSR,
        .hfsr = SCB_HFSR,
        .mmfar = SCB_MMFAR,
        .bfar = SCB_BFAR,
    };
    const bool pushed =
        (fault.cfsr & (SCB_CFSR_MSTKERR | SCB_CFSR_STKERR)) == 0u && in_stack(sp) && in_stack(sp + FRAME_XPSR);
    if (pushed) {
        fault.pc = REG32(sp + FRAME_PC);
        fault.lr = REG32(sp + FRAME_LR);
        fault.xpsr = REG32(sp + FRAME_XPSR);
    } else {
        fault.lr = nearest_return_address(sp, exc_return);
    }
    fault.cause = cause_of(&fault);
    keep(fault);
    kept.fresh = FRESH;
    board_reset();
}

void fault_reset_is_ours(void) {
    kept.running = 0;
}

static uint32_t cause_by_hardware(uint8_t runs_on) {
    if (runs_on == WIRE_RUNS_ON_CHIP) {
        return RCC_CSR >> RCC_CSR_FLAGS_SHIFT & RCC_CSR_FLAGS_MASK;
    }
    // Renode's flags are constants. But nothing else there restarts a program that did not ask for it.
    const bool was_bitten = runs_on == WIRE_RUNS_ON_RENODE && kept.running == RUNNING;
    return was_bitten ? WIRE_RESET_WATCHDOG : WIRE_RESET_UNKNOWN;
}

uint32_t fault_reset_cause(uint8_t runs_on) {
    uint32_t cause = cause_by_hardware(runs_on);
    RCC_CSR |= RCC_CSR_RMVF; // or the next reset would find them too
    if ((cause & (WIRE_RESET_WATCHDOG | WIRE_RESET_WINDOW_WATCHDOG)) != 0u) {
        keep((wire_fault_t){.cause = WIRE_FAULT_CAUSE_WATCHDOG});
        kept.fresh = FRESH;
    }
    if (kept.fresh == FRESH && is_sound(&kept.fault)) {
        cause |= WIRE_RESET_FAULT;
    }
    kept.fresh = 0;
    kept.running = RUNNING;
    return cause;
}

const wire_fault_t *board_fault(void) {
    return is_sound(&kept.fault) ? &kept.fault : NULL;
}

void board_clear_fault(void) {
    kept.fault.magic = 0;
}
