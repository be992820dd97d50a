// The host's end: requests, right and damaged, and what must hold after each of them.
#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app.h"
#include "fuzz_board.h"

extern app_t fuzz_app;

// Boots the firmware on the board; again by RESET.
void host_boot(void);

void host_hello(void);

// Sends a request as it should be, has it worked on to its end, and gives its reply.
fuzz_reply_t host_request(uint8_t type, const void *payload, size_t size);

// Sends it as the fuzzer likes: late, twice, cut, with wrong numbers or bytes.
void host_request_somehow(uint8_t type, const void *payload, size_t size);

// Has everything on the line worked on.
void host_wait(void);

// Nothing that was asked for may have changed the image in force.
void host_check_image(void);

#endif
