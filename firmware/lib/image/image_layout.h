// The two halves of image_open: is the image sound, and where does its work memory go. Internal to lib/image.
#ifndef IMAGE_LAYOUT_H
#define IMAGE_LAYOUT_H

#include "image.h"

// Checks the CRC and every field of an image. On success `*work_bytes` is the work memory that it needs.
image_error_t image_check(const image_source_t *source, uint32_t *work_bytes);

// Floats that a node keeps of its gates.
uint32_t image_gates_floats(const wire_node_record_t *record);

// Points a checked image's nodes to their weights and into the work memory at `work` (8-byte aligned).
void image_lay_out(image_t *image, const uint8_t *bytes, uint8_t *work);

#endif
