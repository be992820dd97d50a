// A weight image: checks it, lays out the memory that it needs, runs it pass by pass and step by step.
//
// A pass runs its nodes once for each of its steps, then those that come after the last step. Pass 0 comes first; a
// later one can read the steps that earlier ones kept, from the first or from the last (docs/PROTOCOL.md, "Passes").
//
// The image's bytes come from outside: nothing in them is trusted before image_open has checked it. Afterwards the
// weights are used where they lie, so the bytes must stay unchanged while the model is in use.
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packed.h"
#include "wire_defs.h"

// What a node reads. Valid from the begin of its pass, of a node that comes after the last step from there.
typedef struct {
    const float *first; // its row at step 0
    ptrdiff_t stride;   // floats from one step's row to the next one's
} image_input_t;

typedef struct {
    const wire_node_record_t *record;
    const float *weights;
    const float *bias;     // NULL without
    image_input_t *inputs; // one for each of its sources
    float *h;              // LSTM: state h; behind it is room for x
    float *c;              // LSTM: cell state
    float *output;         // of the last step that it ran; behind that of a POOL its sum
    float *gates;          // LSTM: 4 units values before activation and 4 units behind it, or NULL
    float *kept;           // outputs of all steps of its pass, or NULL
    packed_lstm_t packed;  // LSTM by a packed kernel
    uint32_t pooled;       // POOL: steps that counted
} image_node_t;

typedef struct {
    const uint8_t *bytes;
    const wire_image_header_t *header;
    const wire_source_record_t *sources;
    uint32_t crc32;
    float *work; // all that follows lies in it
    float *input;
    float *scratch;
    size_t state_bytes; // of `work`; behind them lie the kept outputs
    uint32_t node_count;
    uint32_t pass_count;
    uint32_t input_passes;          // a bit for each pass whose steps read the input of a step
    uint32_t ended;                 // passes that have ended; the next one may be run
    bool running;                   // pass `ended` has begun
    uint32_t steps[WIRE_MAX_NODES]; // steps of each pass, of the one that runs and of those that have ended
    // The nodes of a step of the pass that runs, if each is nothing but a packed kernel's step; NULL behind the last.
    const packed_lstm_t *quick[WIRE_MAX_NODES + 1u];
    image_node_t nodes[WIRE_MAX_NODES];
    image_input_t inputs[WIRE_MAX_SOURCES];
} image_t;

typedef struct {
    uint16_t code; // enum wire_err, 0 if all is well
    uint32_t detail;
    uint32_t detail2;
} image_error_t;

// A number as a detail of an error.
static inline uint32_t image_saturated(uint64_t value) {
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

typedef struct {
    const uint8_t *bytes; // 8-byte aligned
    size_t size;
    uint32_t crc32;      // what the image must end with
    size_t summed_bytes; // from its start on, of which `sum` is the CRC-32 already; 0 if none is known
    uint32_t sum;
} image_source_t;

// Opens an image with `work_size` bytes of work memory at `work` (8-byte aligned). Checks its CRC and every field. On
// success `image` is ready, its memory zero; on failure `image` is as before and the error says why (details:
// docs/PROTOCOL.md, "Errors"). Cost: one pass over the image.
image_error_t image_open(image_t *image, const image_source_t *source, uint8_t *work, size_t work_size);

// Sets h, c and the outputs of every node to zero; no pass has begun. The input is kept.
void image_reset_state(image_t *image);

// Whether the steps of a request, and the end of the pass, may be run now: `code` is 0 if so. Changes nothing.
image_error_t image_admits(const image_t *image, const wire_run_t *run);

// Makes an admitted pass the one that runs. If it runs already it goes on; else it begins: the outputs of its steps are
// zero, and LSTMs take over the states that they begin with, if they name any.
void image_begin(image_t *image, uint32_t pass_index);

// One time step of the pass that runs, on image->input where the pass reads it. A masked step holds every LSTM's h and
// c and repeats its output (or gives zeros where the node says so); a node that ignores the mask runs as in any other
// step.
void image_step(image_t *image, bool masked);

// Ends the pass that runs: its nodes that come after the last step.
void image_finish(image_t *image);

// Whether the steps of a pass read the part of image->input that comes with each step.
bool image_reads_input(const image_t *image, uint32_t pass_index);

// Floats that one step of a pass gives for a trace (bits of enum wire_trace), and that its end gives.
uint32_t image_step_floats(const image_t *image, uint32_t pass_index, uint32_t trace);
uint32_t image_end_floats(const image_t *image, uint32_t pass_index, uint32_t trace);

// Copies these floats; `to` needs no alignment. Returns the byte behind the last one.
uint8_t *image_copy_step(const image_t *image, uint32_t pass_index, uint32_t trace, uint8_t *to);
uint8_t *image_copy_end(const image_t *image, uint32_t pass_index, uint32_t trace, uint8_t *to);

// Where a region of enum wire_region lies: its start and size, or NULL if there is none such. `node` is its index.
uint8_t *image_region(const image_t *image, uint8_t region, uint32_t node, size_t *size);

#endif
