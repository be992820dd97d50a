// Activation functions in single precision, without libm, so that every target computes the same bits.
//
// NaN goes in, NaN comes out (of any sign and payload: store results through engine_canonical_nan).
// Errors against float64 are in docs/ACCURACY.md. All are pure: no state, callable from anywhere.
#ifndef ACTIVATION_H
#define ACTIVATION_H

#include <stdint.h>

// e^x. 0 below the smallest denormal, infinity beyond FLT_MAX.
float activation_exp(float x);

float activation_sigmoid(float x);
float activation_tanh(float x);

// Applies `kind` (enum wire_act) to `count` values in place. softmax is over all of them together.
void activation_apply(uint8_t kind, float *values, uint32_t count);

#endif
