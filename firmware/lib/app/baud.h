// The baud: changed on request, and given up for the one of the boot when nothing valid is heard any more.
#ifndef BAUD_H
#define BAUD_H

#include <stdint.h>

#include "app.h"

// Answers SET_BAUD at the old baud, then goes to the new one. The frame is as long as the request at least.
void handle_set_baud(app_t *app, const link_frame_t *frame);

// To be called often: goes back to WIRE_BOOT_BAUD after WIRE_BAUD_FALLBACK_BYTES without a valid frame.
//
// Bytes and not time: a host that is silent loses nothing, and one that speaks at another baud is heard, as garbage.
void baud_watch(app_t *app);

#endif
