// What each request does. Internal to lib/app.
#ifndef HANDLERS_H
#define HANDLERS_H

#include "app.h"

// Sends the reply of `payload_size` bytes that lies at reply_payload, and keeps it for a repeat.
void app_send_reply(app_t *app, uint8_t type, size_t payload_size);

// Tells the host that nothing is heard here for a while, and waits until it is said.
void app_send_busy(const app_t *app, uint32_t busy_ms);

// Both end with a reply sent, or with a run begun.
void handle_hello(app_t *app);
void handle_request(app_t *app, const link_frame_t *frame);

// Begins a run; does one step of it, and the reply after the last one.
void handle_run(app_t *app, const link_frame_t *frame);
void run_step(app_t *app);

// What an ERROR about a request of that type says.
wire_error_reply_t error_reply(uint8_t request_type, image_error_t error);

// Sends and keeps a reply.
void reply_with(app_t *app, uint8_t type, const void *payload, size_t size);

// Sends and keeps an error as the reply to the request in hand.
void reply_error(app_t *app, uint8_t request_type, image_error_t error);

void refuse(app_t *app, uint8_t request_type, uint16_t code, uint32_t detail, uint32_t detail2);

// The requests that move bytes. The frame is as long as the request at least.
void handle_image_begin(app_t *app, const link_frame_t *frame);
void handle_image_commit(app_t *app, const link_frame_t *frame);
void handle_write(app_t *app, const link_frame_t *frame);
void handle_read(app_t *app, const link_frame_t *frame);

// Logs which image is in force, if one is.
void note_image(app_t *app);

// Where the reply's payload goes.
uint8_t *reply_payload(app_t *app);

#endif
