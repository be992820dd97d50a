#include "clock.h"

#include <stdbool.h>

#include "chip.h"
#include "registers.h"
#include "wire_defs.h"

#define HSE_HZ 8000000u // the ST-LINK's
#define HSI_HZ 16000000u
#define APB1_HZ (CHIP_PLL_HZ / CHIP_APB1_DIVIDER)

// R is the STM32F446's alone, and nothing uses it; 2 is what the reset leaves there on the others too.
#define PLL_COMMON                                                                                                     \
    (RCC_PLLCFGR_N(CHIP_PLL_N) | RCC_PLLCFGR_P(CHIP_PLL_P) | RCC_PLLCFGR_Q(CHIP_PLL_Q) | RCC_PLLCFGR_R(2))
#define PLL_FROM_HSE (PLL_COMMON | RCC_PLLCFGR_SRC_HSE | RCC_PLLCFGR_M(CHIP_PLL_M_HSE))
#define PLL_FROM_HSI (PLL_COMMON | RCC_PLLCFGR_SRC_HSI | RCC_PLLCFGR_M(CHIP_PLL_M_HSI))

_Static_assert(HSE_HZ / CHIP_PLL_M_HSE * CHIP_PLL_N / CHIP_PLL_P == CHIP_PLL_HZ, "the PLL's factors");
_Static_assert(HSI_HZ / CHIP_PLL_M_HSI * CHIP_PLL_N / CHIP_PLL_P == CHIP_PLL_HZ, "the PLL's factors");

#define FLASH_CACHES (FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN)

// Bounds of the waits, counted in polls. A poll takes at least 5 cycles, so at least 0.31 us on the 16 MHz of the HSI.
//
// The datasheets (DS10693, DS10314, DS10086) give the PLL at most 300 us to lock, the over-drive at most 100 us; 10000
// polls are at least 3.1 ms, ten times that. The other switches take a few cycles.
#define SETTLE_POLLS 10000u
// The ST-LINK drives the HSE pin, and after power-on it may start later than this program. 100 ms, ST's own time-out
// for the HSE, are 320000 polls. Only a board without that clock ever waits so long, once a boot.
#define HSE_POLLS 320000u

static bool settles(const volatile uint32_t *reg, uint32_t mask, uint32_t value, uint32_t polls) {
    while ((*reg & mask) != value) {
        if (polls == 0u) {
            return false;
        }
        polls--;
    }
    return true;
}

static bool switch_to(uint32_t source) {
    RCC_CFGR = (RCC_CFGR & ~RCC_CFGR_SW_MASK) | source;
    return settles(&RCC_CFGR, RCC_CFGR_SWS_MASK, source << RCC_CFGR_SWS_SHIFT, SETTLE_POLLS);
}

// Also undoes what a debugger that jumps to the reset handler left running: the PLL takes new factors only while off.
static void back_to_hsi(void) {
    RCC_CR |= RCC_CR_HSION;
    (void)settles(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY, SETTLE_POLLS);
    (void)switch_to(RCC_CFGR_SW_HSI);
    RCC_CFGR = RCC_CFGR_SW_HSI; // all buses undivided
    RCC_CR &= ~(RCC_CR_PLLON | RCC_CR_HSEON);
    (void)settles(&RCC_CR, RCC_CR_PLLRDY | RCC_CR_HSERDY, 0u, SETTLE_POLLS);
    RCC_CR &= ~RCC_CR_HSEBYP; // can be written only while the HSE is off
    PWR_CR = CHIP_VOLTAGE_SCALE;
    // The over-drive's flags must have fallen, or the next start of the PLL would take them for its own.
    (void)settles(&PWR_CSR, PWR_CSR_ODRDY | PWR_CSR_ODSWRDY, 0u, SETTLE_POLLS);
    FLASH_ACR = FLASH_CACHES; // no wait states
}

static bool start_hse(void) {
    // Bypass: a clock comes in, there is no crystal to drive. Before HSEON, since the bit is locked from then on.
    RCC_CR |= RCC_CR_HSEBYP;
    RCC_CR |= RCC_CR_HSEON;
    return settles(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY, HSE_POLLS);
}

static bool enter_over_drive(void) {
    PWR_CR |= PWR_CR_ODEN;
    if (!settles(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY, SETTLE_POLLS)) {
        return false;
    }
    PWR_CR |= PWR_CR_ODSWEN;
    return settles(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY, SETTLE_POLLS);
}

// The order is that of RM0390 5.1, "Entering Over-drive mode".
static bool start_pll(uint32_t factors) {
    RCC_PLLCFGR = factors;
    RCC_CR |= RCC_CR_PLLON;
    if (CHIP_HAS_OVER_DRIVE && !enter_over_drive()) {
        return false;
    }
    // The wait states must be in force before the clock rises. The cache bits are not checked: they change no result.
    FLASH_ACR = FLASH_CACHES | CHIP_WAIT_STATES;
    if (!settles(&FLASH_ACR, FLASH_ACR_LATENCY_MASK, CHIP_WAIT_STATES, SETTLE_POLLS)) {
        return false;
    }
    RCC_CFGR = CHIP_APB_PRESCALERS | RCC_CFGR_SW_HSI;
    if (!settles(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY, SETTLE_POLLS)) {
        return false;
    }
    return switch_to(RCC_CFGR_SW_PLL);
}

clock_report_t clock_start(void) {
    const clock_report_t hsi = {.source = WIRE_CLOCK_HSI, .sysclk_hz = HSI_HZ, .apb1_hz = HSI_HZ};
    const clock_report_t hsi_pll = {.source = WIRE_CLOCK_HSI_PLL, .sysclk_hz = CHIP_PLL_HZ, .apb1_hz = APB1_HZ};
    const clock_report_t hse_pll = {.source = WIRE_CLOCK_HSE_PLL, .sysclk_hz = CHIP_PLL_HZ, .apb1_hz = APB1_HZ};

    // The chip always boots on a ready HSI. An emulator without a clock controller reads 0: there is nothing to wait
    // for.
    if ((RCC_CR & RCC_CR_HSIRDY) == 0u) {
        return hsi;
    }
    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR; // RM0390 6.2: a peripheral answers two bus cycles after its clock is enabled
    back_to_hsi();
    if (start_hse() && start_pll(PLL_FROM_HSE)) {
        return hse_pll;
    }
    back_to_hsi();
    if (start_pll(PLL_FROM_HSI)) {
        return hsi_pll;
    }
    back_to_hsi();
    return hsi;
}
