// The firmware above the board: sessions, requests, and the one run that may be under way.
//
// The main loop calls app_poll; a run does one time step per call, so the link is served between steps. Requests are
// worked on in the order of their numbers; those that came early wait. docs/PROTOCOL.md, "Requests and replies".
#ifndef APP_H
#define APP_H

#include <stdbool.h>
#include <stdint.h>

#include "frame_link.h"
#include "loader.h"
#include "notices.h"

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

// A reply that can be sent again. The host has the replies of all requests but the last WIRE_WINDOW.
typedef struct {
    bool is_kept;
    uint16_t sequence; // of the request
    uint32_t crc32;    // of the request
    size_t payload_size;
    _Alignas(8) uint8_t frame[WIRE_MAX_FRAME_BYTES];
} app_reply_t;

typedef struct {
    link_t link;
    loader_t loader;
    app_run_t run;
    notices_t notices;
    uint32_t session;       // WIRE_SESSION_NONE until greeted
    uint32_t hello_crc32;   // of the HELLO that opened it
    uint16_t last_sequence; // of the last request that was taken on
    bool waits[WIRE_WINDOW];
    link_frame_t waiting[WIRE_WINDOW]; // requests whose turn has not come yet
    app_reply_t replies[WIRE_WINDOW];
    app_reply_t *reply; // the latest one, which may still be in the making
    uint32_t duplicates;
    uint32_t baud_frames; // valid frames up to the last one, and
    uint32_t baud_bytes;  // bytes received up to then; see baud.h
} app_t;

// Takes the board's arena. Call after board_init.
void app_init(app_t *app);

// Does one piece of work: a request, or one time step. Returns false when there was nothing to do.
bool app_poll(app_t *app);

#endif
