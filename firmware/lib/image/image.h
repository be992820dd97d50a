// A weight image: checks it, lays out the memory that it needs, runs it step by step.
//
// The image's bytes come from outside: nothing in them is trusted before image_open has checked it. Afterwards the
// weights are used where they lie, so the bytes must stay unchanged while the model is in use.
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire_defs.h"

typedef struct {
    const wire_node_record_t *record;
    const float *weights;
    const float *bias;   // NULL without
    const float *source; // what it reads
    float *xh;           // LSTM: x, then h
    float *c;            // LSTM: cell state
    float *output;       // what the next node reads
} image_node_t;

typedef struct {
    const uint8_t *bytes;
    const wire_image_header_t *header;
    uint32_t crc32;
    float *work; // all that follows lies in it
    float *input;
    float *scratch;
    uint32_t node_count;
    image_node_t nodes[WIRE_MAX_NODES];
} image_t;

typedef struct {
    uint16_t code; // enum wire_err, 0 if all is well
    uint32_t detail;
    uint32_t detail2;
} image_error_t;

typedef struct {
    const uint8_t *bytes; // 8-byte aligned
    size_t size;
    uint32_t crc32; // what the image must end with
} image_source_t;

// Opens an image with `work_size` bytes of work memory at `work` (8-byte aligned). Checks its CRC and every field. On
// success `image` is ready, its memory zero; on failure `image` is as before and the error says why (details:
// docs/PROTOCOL.md, "Errors"). Cost: one pass over the image.
image_error_t image_open(image_t *image, const image_source_t *source, uint8_t *work, size_t work_size);

// Sets h, c and the outputs of every node to zero. The input is kept.
void image_reset_state(image_t *image);

// One time step on image->input. A masked step holds every LSTM's h and c and repeats its output (or gives zeros where
// the node says so); a node that ignores the mask runs as in any other step.
void image_step(image_t *image, bool masked);

// Runs the nodes that come after the last step.
void image_finish(image_t *image);

// Floats that one step gives for a trace (bits of enum wire_trace), and that the end gives.
uint32_t image_step_floats(const image_t *image, uint32_t trace);
uint32_t image_end_floats(const image_t *image, uint32_t trace);

// Copies these floats; `to` needs no alignment. Returns the byte behind the last one.
uint8_t *image_copy_step(const image_t *image, uint32_t trace, uint8_t *to);
uint8_t *image_copy_end(const image_t *image, uint32_t trace, uint8_t *to);

// Where a region of enum wire_region lies: its start and size, or NULL if there is none such. `node` is its index.
uint8_t *image_region(const image_t *image, uint8_t region, uint32_t node, size_t *size);

#endif
