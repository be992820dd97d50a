#include "baud.h"

#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "handlers.h"

// The nearest baud that `clock_hz` gives, rounded; 0 where there is none.
static uint32_t nearest(uint32_t clock_hz, uint32_t baud) {
    const uint64_t divisor = baud == 0u ? 0u : ((uint64_t)clock_hz + baud / 2u) / baud;
    const bool fits = divisor >= WIRE_MIN_BAUD_DIVISOR && divisor <= WIRE_MAX_BAUD_DIVISOR;
    return fits ? (uint32_t)((clock_hz + divisor / 2u) / divisor) : 0u;
}

static bool is_near(uint32_t real, uint32_t wanted) {
    const uint64_t off = real > wanted ? real - wanted : wanted - real;
    return off * 1000u <= (uint64_t)wanted * WIRE_MAX_BAUD_ERROR_PER_MILLE;
}

static void watch_from_here(app_t *app) {
    app->baud_frames = app->link.counters.frames_received;
    app->baud_bytes = board_uart_counters().bytes_received;
}

void handle_set_baud(app_t *app, const link_frame_t *frame) {
    wire_set_baud_t request;
    memcpy(&request, frame->payload, sizeof request);
    const uint32_t real = nearest(board_info()->uart_clock_hz, request.baud);
    if (real == 0u || request.baud > WIRE_MAX_BAUD || !is_near(real, request.baud)) {
        refuse(app, WIRE_MSG_SET_BAUD, WIRE_ERR_BAD_BAUD, real, board_info()->uart_clock_hz);
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
