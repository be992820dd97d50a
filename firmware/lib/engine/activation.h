// Activation functions in single precision, without libm, so that every target computes the same bits.
//
// NaN goes in, NaN comes out (of any sign and payload: store results through engine_canonical_nan), but where Keras'
// own function is a comparison that gives 0. Infinities give what Keras' formulas give. Errors against float64 are in
// docs/ACCURACY.md. All are pure: no state, callable from anywhere.
#ifndef ACTIVATION_H
#define ACTIVATION_H

#include <stdbool.h>
#include <stdint.h>

// Whether `kind` is one of enum wire_act.
bool activation_is_known(uint8_t kind);

// Applies `kind` to `count` values in place. softmax and log_softmax are over all of them together.
void activation_apply(uint8_t kind, float *values, uint32_t count);

#endif
