#include "watchdog.h"

#include <stdbool.h>

#include "registers.h"

// 8 s of the LSI's nominal 32 kHz; it runs at 17 to 47 kHz (DS10693, LSI characteristics), so that it is 5.4 to 15 s.
//
// The main loop may be away for 2 s at most, while one sector of 128 KB is erased, and steps of the largest models take
// some 0.1 s even at 16 MHz. And a host gives a request up after 31 s: by then it must have heard of the restart.
#define PERIOD_S 8u
#define LSI_HZ 32000u
#define RELOAD (PERIOD_S * LSI_HZ / 64u - 1u)

_Static_assert(RELOAD <= 0xFFFu, "12 bits");

// Five cycles of the LSI, 0.3 ms (RM0390 20.4.4); a poll takes at least 5 cycles of 180 MHz. Ten times that.
#define UPDATE_POLLS 100000u

static bool started;

void watchdog_start(void) {
    DBGMCU_APB1_FZ |= DBGMCU_APB1_FZ_IWDG_STOP; // a debugger that halts the core stops it too
    IWDG_KR = IWDG_KR_START;                    // first, since it also starts the LSI, without which SR never clears
    IWDG_KR = IWDG_KR_UNLOCK;
    IWDG_PR = IWDG_PR_DIV64;
    IWDG_RLR = RELOAD;
    for (uint32_t polls = UPDATE_POLLS; IWDG_SR != 0u && polls > 0u; polls--) {
    }
    IWDG_KR = IWDG_KR_FEED;
    started = true;
}

void watchdog_feed(void) {
    if (started) {
        IWDG_KR = IWDG_KR_FEED;
    }
}

void watchdog_wake_in_time(void) {
    if (started) {
        SYST_RVR = SYST_RVR_MOST; // 93 ms at 180 MHz, 1 s at 16 MHz
        SYST_CVR = 0;             // any value: starts anew
        SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CORE_CLOCK;
    }
}

void watchdog_woke(void) {
    if (started) {
        SYST_CSR = 0;
        SCB_ICSR = SCB_ICSR_PENDSTCLR;
    }
}
