// What a node reads: is it sound, how much of it is there, where does it lie. Internal to lib/image.
#ifndef IMAGE_SOURCES_H
#define IMAGE_SOURCES_H

#include "image.h"

// The tables of an image whose header is sound.
const wire_node_record_t *image_node_records(const uint8_t *bytes);
const wire_source_record_t *image_source_records(const uint8_t *bytes);

// Checks the sources of a node: each names a lower node and a value that is there when the node runs, and together they
// have the sizes that its kind wants.
image_error_t image_check_sources(const uint8_t *bytes, uint32_t node);

// Points a node's inputs to what its sources say, for the pass that runs.
void image_find_inputs(const image_t *image, const image_node_t *node);

// Whether the sources of a node hold enough for its pass: `steps` steps of it if it runs at every step, else its end
// after `steps` steps.
image_error_t image_check_stored(const image_t *image, const image_node_t *node, uint64_t steps);

#endif
