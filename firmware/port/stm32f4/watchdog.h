// The independent watchdog, which restarts a chip whose main loop has come to a stop. Where it was not started (QEMU
// has none) the rest does nothing.
#ifndef WATCHDOG_H
#define WATCHDOG_H

void watchdog_start(void);

// To be called at least every 5 s, from the main loop or from what keeps it waiting while something gets on.
void watchdog_feed(void);

// Around WFI, with interrupts masked: makes sure that the core wakes up in time to feed, and tidies up behind that. No
// handler runs for it, so it costs no interrupt latency.
void watchdog_wake_in_time(void);
void watchdog_woke(void);

#endif
