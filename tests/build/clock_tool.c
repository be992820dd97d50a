// Runs a chip's clock.c, with its board's chip.h, against simulated registers: `clock_tool PARTS`, PARTS being the
// letters of what works.
//
//   r  reset and clock control at all        h  the external clock (HSE)
//   p  the PLL                               o  over-drive
//   d  the PLL runs already, as after a debugger's jump to the reset handler
//
// Prints the report and the registers as "name value", and each rule of the reference manual that was broken.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static volatile uint32_t *simulated(uint32_t address);
#define REG32(address) (*simulated(address))

#include "../../firmware/port/stm32f4/clock.c"

enum { CR, PLLCFGR, CFGR, APB1ENR, ACR, PWRCR, PWRCSR, COUNT };
static const uint32_t addresses[COUNT] = {0x40023800u, 0x40023804u, 0x40023808u, 0x40023840u,
                                          0x40023C00u, 0x40007000u, 0x40007004u};
static const char *const names[COUNT] = {"cr", "pllcfgr", "cfgr", "apb1enr", "acr", "pwr_cr", "pwr_csr"};

static volatile uint32_t now[COUNT] = {[CR] = 0x83u, [PLLCFGR] = 0x24003010u, [PWRCR] = 0xC000u};
static uint32_t before[COUNT];
static const char *works = "";

static bool has(char part) {
    return strchr(works, part) != NULL;
}

static void rule(bool kept, const char *text) {
    if (!kept) {
        printf("broken %s\n", text);
    }
}

static void check_rules(void) {
    const bool pll_on = (before[CR] & RCC_CR_PLLON) != 0u;
    const bool hse_on = (before[CR] & RCC_CR_HSEON) != 0u;
    const bool on_pll = (now[CFGR] & RCC_CFGR_SW_MASK) == RCC_CFGR_SW_PLL;
    const bool switched = on_pll && (before[CFGR] & RCC_CFGR_SW_MASK) != RCC_CFGR_SW_PLL;
    rule(now[PLLCFGR] == before[PLLCFGR] || !pll_on, "PLLCFGR written while the PLL is on");
    rule(((now[CR] ^ before[CR]) & RCC_CR_HSEBYP) == 0u || !hse_on, "HSEBYP written while the HSE is on");
    rule(!on_pll || (now[ACR] & FLASH_ACR_LATENCY_MASK) == CHIP_WAIT_STATES, "full speed with too few wait states");
    rule(!switched || (now[CR] & RCC_CR_PLLRDY) != 0u, "switched to a PLL that is not ready");
    rule(!switched || !CHIP_HAS_OVER_DRIVE || (now[PWRCSR] & PWR_CSR_ODSWRDY) != 0u, "180 MHz without over-drive");
    rule(CHIP_HAS_OVER_DRIVE || (now[PWRCR] & (PWR_CR_ODEN | PWR_CR_ODSWEN)) == 0u, "over-drive where there is none");
    rule(!on_pll || (now[CFGR] & (0x3Fu << 10)) == (CHIP_APB_PRESCALERS), "a bus above its maximum");
    rule((now[PWRCR] & PWR_CR_ODSWEN) == 0u || (now[PWRCSR] & PWR_CSR_ODRDY) != 0u, "ODSWEN before ODRDY");
    rule(now[PWRCR] == before[PWRCR] || (before[APB1ENR] & RCC_APB1ENR_PWREN) != 0u, "PWR written without its clock");
}

static void follow(uint32_t status, uint32_t status_bit, bool is_set) {
    now[status] = is_set ? now[status] | status_bit : now[status] & ~status_bit;
}

// Every use of a register comes by here: what was written before this takes effect now.
static volatile uint32_t *simulated(uint32_t address) {
    if (!has('r')) {
        memset((void *)(uintptr_t)now, 0, sizeof now);
    } else {
        check_rules();
        const bool from_hse = (now[PLLCFGR] & RCC_PLLCFGR_SRC_HSE) != 0u;
        follow(CR, RCC_CR_HSIRDY, (now[CR] & RCC_CR_HSION) != 0u);
        follow(CR, RCC_CR_HSERDY, has('h') && (now[CR] & RCC_CR_HSEON) != 0u);
        const bool pll_input = (now[CR] & (from_hse ? RCC_CR_HSERDY : RCC_CR_HSIRDY)) != 0u;
        follow(CR, RCC_CR_PLLRDY, has('p') && pll_input && (now[CR] & RCC_CR_PLLON) != 0u);
        follow(PWRCSR, PWR_CSR_ODRDY, has('o') && (now[PWRCR] & PWR_CR_ODEN) != 0u);
        follow(PWRCSR, PWR_CSR_ODSWRDY, has('o') && (now[PWRCR] & PWR_CR_ODSWEN) != 0u);
        now[CFGR] = (now[CFGR] & ~RCC_CFGR_SWS_MASK) | (now[CFGR] & RCC_CFGR_SW_MASK) << RCC_CFGR_SWS_SHIFT;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        before[i] = now[i];
        found = addresses[i] == address ? i : found;
    }
    return &now[found];
}

int main(int argc, char **argv) {
    works = argc > 1 ? argv[1] : "";
    if (has('d')) {
        now[CR] |= RCC_CR_HSEBYP | RCC_CR_HSEON | RCC_CR_HSERDY | RCC_CR_PLLON | RCC_CR_PLLRDY;
        now[CFGR] = RCC_CFGR_SW_PLL | CHIP_APB_PRESCALERS;
        now[ACR] = CHIP_WAIT_STATES;
        now[APB1ENR] = RCC_APB1ENR_PWREN;
        if (CHIP_HAS_OVER_DRIVE) {
            now[PWRCR] |= PWR_CR_ODEN | PWR_CR_ODSWEN;
            now[PWRCSR] |= PWR_CSR_ODRDY | PWR_CSR_ODSWRDY;
        }
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        before[i] = now[i];
    }
    const clock_report_t report = clock_start();
    (void)simulated(addresses[CR]);
    printf("source %u\nsysclk_hz %u\napb1_hz %u\n", report.source, report.sysclk_hz, report.apb1_hz);
    for (uint32_t i = 0; i < COUNT; i++) {
        printf("%s %u\n", names[i], now[i]);
    }
    return 0;
}
