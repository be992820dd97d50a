#include "baud.h"

#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "handlers.h"

// Cycles of the clock for each bit; 0 where the USART has no such divisor.
static uint64_t divisor_for(uint32_t clock_hz, uint32_t baud) {
    const uint64_t divisor = baud == 0u ? 0u : ((uint64_t)clock_hz + baud / 2u) / baud;
    return divisor >= WIRE_MIN_BAUD_DIVISOR && divisor <= WIRE_MAX_BAUD_DIVISOR ? divisor : 0u;
}

// By cycles, since a low baud in whole numbers is itself a per mille off.
static bool is_near(uint32_t clock_hz, uint64_t divisor, uint32_t wanted) {
    const uint64_t exact = wanted * divisor;
    const uint64_t off = clock_hz > exact ? clock_hz - exact : exact - clock_hz;
    return off * 1000u <= exact * WIRE_MAX_BAUD_ERROR_PER_MILLE;
}

static void watch_from_here(app_t *app) {
    app->baud_frames = app->link.counters.frames_received;
    app->baud_bytes = board_uart_counters().bytes_received;
}

void handle_set_baud(app_t *app, const link_frame_t *frame) {
    wire_set_baud_t request;
    memcpy(&request, frame->payload, sizeof request);
    const uint32_t clock_hz = board_info()->uart_clock_hz;
    const uint64_t divisor = divisor_for(clock_hz, request.baud);
    const uint32_t real = divisor == 0u ? 0u : (uint32_t)((clock_hz + divisor / 2u) / divisor);
    if (real == 0u || request.baud > WIRE_MAX_BAUD || !is_near(clock_hz, divisor, request.baud)) {
        refuse(app, WIRE_MSG_SET_BAUD, WIRE_ERR_BAD_BAUD, real, clock_hz);
        return;
    }
    const wire_set_baud_reply_t reply = {.baud = real};
    reply_with(app, WIRE_MSG_SET_BAUD, &reply, sizeof reply);
    board_uart_set_baud(request.baud);
    watch_from_here(app);
}

void baud_watch(app_t *app) {
    const uint32_t baud = board_info()->baud;
    if (baud == 0u || baud == WIRE_BOOT_BAUD) {
        return;
    }
    if (app->baud_frames != app->link.counters.frames_received) {
        watch_from_here(app);
    } else if (board_uart_counters().bytes_received - app->baud_bytes >= WIRE_BAUD_FALLBACK_BYTES) {
        board_uart_set_baud(WIRE_BOOT_BAUD);
    }
}
