// What each request does. Internal to lib/app.
#ifndef HANDLERS_H
#define HANDLERS_H

#include "app.h"

// Sends the reply of `payload_size` bytes that lies behind the header in app->reply, and keeps it for a repeat.
void app_send_reply(app_t *app, uint8_t type, size_t payload_size);

// Both end with a reply sent, or with a run begun.
void handle_hello(app_t *app);
void handle_request(app_t *app, const link_frame_t *frame);

// Begins a run; does one step of it, and the reply after the last one.
void handle_run(app_t *app, const link_frame_t *frame);
void run_step(app_t *app);

// What an ERROR about a request of that type says.
wire_error_reply_t error_reply(uint8_t request_type, image_error_t error);

// Sends and keeps an error as the reply to the request in hand.
void reply_error(app_t *app, uint8_t request_type, image_error_t error);

// Where the reply's payload goes.
uint8_t *reply_payload(app_t *app);

#endif
