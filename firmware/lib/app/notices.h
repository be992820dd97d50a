// What the device tells unasked: LOG and FAULT. Internal to lib/app.
//
// LOGs wait in a queue until there is room on the line and a host that reads them; what finds the queue full is dropped
// and counted. Nothing here ever waits.
#ifndef NOTICES_H
#define NOTICES_H

#include <stdbool.h>

#include "frame_link.h"

#define NOTICES_QUEUED 8u

typedef struct {
    wire_log_t queue[NOTICES_QUEUED];
    uint32_t first;
    uint32_t count;
    uint32_t number; // LOGs since boot, those that were dropped included
    uint32_t dropped;
    bool host_reads_logs;
    bool told_of_drops;    // in this session
    uint32_t drops_before; // this session
    uint32_t session;      // of the frames; WIRE_SESSION_NONE until greeted
} notices_t;

// At boot: notes why it was; tells of a fault if that was the cause.
void notices_init(notices_t *notices);

// A HELLO has opened a session with a host of that minor version.
void notices_greeted(notices_t *notices, const link_t *link, uint32_t session, uint16_t host_minor);

void notices_log(notices_t *notices, uint8_t level, uint16_t event, uint32_t value, uint32_t value2, uint32_t value3);

// Sends a LOG if one is due and can be sent without waiting. Call once in a while.
void notices_poll(notices_t *notices);

// Notes the first frames that were lost in a session. Call when a frame has come.
void notices_watch_link(notices_t *notices, const link_t *link);

// FAULT, if a fault was the cause of the last restart and nobody has greeted since.
void notices_tell_fault(const notices_t *notices);

#endif
