// Faults on purpose, for a build that only tests make: linked with --wrap=handle_request in front of the firmware's own
// handler. The normal program has no trace of it.
#include "handlers.h"

#define PROVOKE 0x3Fu // a message type that is nobody's; its payload's first byte says what

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define NVIC_ISER0 REG32(0xE000E100u) // ARMv7-M B3.4.4
#define NVIC_ISPR0 REG32(0xE000E200u) // B3.4.6
#define UNUSED_IRQ 2u
#define RESERVED_ADDRESS 0x30000000u // between RAM and peripherals: RM0390 2.2.2

void __real_handle_request(app_t *app, const link_frame_t *frame);
void __wrap_handle_request(app_t *app, const link_frame_t *frame);

static volatile uint32_t sink;

static volatile uint32_t zero; // the compiler must not know it

__attribute__((noinline)) static void divide(void) {
    sink = 1000u / zero;
}

__attribute__((noinline)) static void undefined_instruction(void) {
    __asm volatile("udf #7");
}

__attribute__((noinline)) static void bad_address(void) {
    sink = REG32(RESERVED_ADDRESS);
}

__attribute__((noinline)) static uint32_t recurse(uint32_t depth) {
    volatile uint32_t local[8];
    local[depth % 8u] = depth;
    return depth == UINT32_MAX ? 0u : recurse(depth + 1u) + local[depth % 8u];
}

__attribute__((noinline)) static void jump_to_arm_code(void) {
    __asm volatile("ldr r0, =0x08000100\n bx r0" ::: "r0");
}

__attribute__((noinline)) static void unexpected_interrupt(void) {
    NVIC_ISER0 = 1u << UNUSED_IRQ;
    NVIC_ISPR0 = 1u << UNUSED_IRQ;
    __asm volatile("dsb\n isb" ::: "memory");
}

// More than the whole stack at once: the first store is far below its end.
__attribute__((noinline)) static void large_frame(void) {
    volatile uint8_t local[6000];
    local[0] = 1;
    sink = local[0];
}

__attribute__((noinline)) static void fault_with_interrupts_off(void) {
    __asm volatile("cpsid i\n udf #7" ::: "memory");
}

// Nothing can be pushed there, and nothing found.
__attribute__((noinline)) static void lose_stack(void) {
    __asm volatile("ldr r0, =0x30001000\n msr msp, r0\n udf #7" ::: "r0", "memory");
}

__attribute__((noinline)) static void hang(void) {
    for (;;) {
    }
}

void __wrap_handle_request(app_t *app, const link_frame_t *frame) {
    if (frame->header.type != PROVOKE || frame->payload_size == 0u) {
        __real_handle_request(app, frame);
        return;
    }
    switch (frame->payload[0]) {
        case 0: divide(); break;
        case 1: undefined_instruction(); break;
        case 2: bad_address(); break;
        case 3: sink = recurse(0); break;
        case 4: jump_to_arm_code(); break;
        case 5: unexpected_interrupt(); break;
        case 7: large_frame(); break;
        case 8: fault_with_interrupts_off(); break;
        case 9: lose_stack(); break;
        default: hang(); break;
    }
    sink = 0; // so that the calls above are no jumps, and their return address is here
}
