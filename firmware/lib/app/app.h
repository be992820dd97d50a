// The firmware above the board: sessions, requests, and the one run that may be under way.
//
// The main loop calls app_poll; a run does one time step per call, so the link is served between steps.
#ifndef APP_H
#define APP_H

#include <stdbool.h>
#include <stdint.h>

#include "frame_link.h"
#include "loader.h"

typedef struct {
    bool active;
    link_frame_t request; // its buffer holds the inputs until the run ends
    wire_run_t run;
    const uint8_t *mask; // a bit a step, or NULL
    const uint8_t *x;    // NULL: the input was staged, or the pass reads none
    uint32_t steps_done;
    uint64_t ticks;
    uint8_t *next; // where the next record goes in the reply
} app_run_t;

typedef struct {
    link_t link;
    loader_t loader;
    app_run_t run;
    uint32_t session;       // WIRE_SESSION_NONE until greeted
    uint16_t last_sequence; // of the last request that was taken on
    uint32_t last_crc32;    // of that request
    size_t reply_size;      // payload of the kept reply; its frame is in `reply`
    uint32_t duplicates;
    _Alignas(8) uint8_t reply[WIRE_MAX_FRAME_BYTES];
} app_t;

// Takes the board's arena. Call after board_init.
void app_init(app_t *app);

// Does one piece of work: a request, or one time step. Returns false when there was nothing to do.
bool app_poll(app_t *app);

#endif
