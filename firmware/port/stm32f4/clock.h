// Brings the chip to its full speed, or to the best that it can reach.
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

typedef struct {
    uint8_t source; // enum wire_clock
    uint32_t sysclk_hz;
    uint32_t apb1_hz; // what USART2 runs on
} clock_report_t;

// Runs once, before any peripheral is set up. Never hangs.
clock_report_t clock_start(void);

#endif
