// From reset to main: vector table, FPU, initial memory. Faults end here too.
#include <stdint.h>
#include <string.h>

#include "board.h"
#include "fault.h"
#include "registers.h"
#include "stack_paint.h"
#include "usart.h"

// From stm32f4.ld. The sizes are symbols' addresses: the linker computes them.
extern uint32_t ld_stack_start[];
extern uint8_t ld_stack_top[];
extern uint8_t ld_data_start[];
extern const uint8_t ld_data_load[];
extern const uint8_t ld_data_bytes[];
extern uint8_t ld_bss_start[];
extern const uint8_t ld_bss_bytes[];

#define PAINT_MARGIN_WORDS 32u

int main(void);
_Noreturn void startup_reset(void);

// A fault may come from a stack that has run out of memory, so no fault handler may trust the stack pointer. The arena
// is lost anyway: its end serves as stack, and what lies on the real one can still be looked at. Floating-point state
// that is to be saved at its first use would go to the old stack: that is called off (ARMv7-M B3.2.21, FPCCR.LSPACT).
__attribute__((naked)) static void fault(void) {
    __asm volatile("mrs r0, msp\n"
                   "mov r1, lr\n"
                   "mrs r2, ipsr\n"
                   "ldr sp, =ld_arena_end\n"
                   "ldr r3, =0xE000EF34\n"
                   "ldr r12, [r3]\n"
                   "bic r12, r12, #1\n"
                   "str r12, [r3]\n"
                   "b   fault_taken\n");
}

typedef struct {
    const void *stack_top;
    void (*exceptions[15])(void); // exceptions 1 (reset) to 15: ARMv7-M B1.5.2
    void (*irqs[IRQ_COUNT])(void);
} vector_table_t;

__attribute__((section(".isr_vector"), used)) static const vector_table_t vectors = {
    .stack_top = ld_stack_top,
    .exceptions = {startup_reset, [1 ... 14] = fault},
    .irqs = {[0 ... USART2_IRQ - 1u] = fault,
             [USART2_IRQ] = usart_interrupt,
             [USART2_IRQ + 1u ... IRQ_COUNT - 1u] = fault},
};

// All of it but what is in use here and may be in an interrupt's frame; nobody calls this from a deeper place.
static void paint_stack(void) {
    uint32_t *const in_use = (uint32_t *)__builtin_frame_address(0) - PAINT_MARGIN_WORDS;
    for (uint32_t *word = ld_stack_start; word < in_use; word++) {
        *word = STACK_PAINT;
    }
}

_Noreturn void startup_reset(void) {
    // First of all: with the hard-float ABI the compiler may use a floating-point register anywhere.
    SCB_CPACR |= SCB_CPACR_CP10_CP11_FULL;
    __asm volatile("dsb" ::: "memory");
    __asm volatile("isb" ::: "memory");
    SCB_VTOR = (uint32_t)(uintptr_t)&vectors; // a debugger or an emulator may have started us past the boot alias at 0
    paint_stack();
    memcpy(ld_data_start, ld_data_load, (uintptr_t)ld_data_bytes);
    memset(ld_bss_start, 0, (uintptr_t)ld_bss_bytes);
    fault_guard();
    (void)main();
    board_reset();
}
