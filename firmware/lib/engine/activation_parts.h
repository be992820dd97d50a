// The families of activation functions, for activation.c alone.
#ifndef ACTIVATION_PARTS_H
#define ACTIVATION_PARTS_H

#include <stdint.h>

// activation_piecewise.c: lines and parabolas
float piecewise_hard_sigmoid(float x);
float piecewise_hard_sigmoid_keras2(float x);
float piecewise_hard_silu(float x);
float piecewise_hard_tanh(float x);
float piecewise_hard_shrink(float x);
float piecewise_soft_shrink(float x);
float piecewise_leaky_relu(float x);
float piecewise_relu(float x);
float piecewise_relu6(float x);
float piecewise_sparse_plus(float x);
float piecewise_sparse_sigmoid(float x);

// activation_smooth.c: of exponentials and roots
float smooth_sigmoid(float x);
float smooth_tanh(float x);
float smooth_tanh_shrink(float x);
float smooth_elu(float x);
float smooth_selu(float x);
float smooth_softsign(float x);
float smooth_softplus(float x);
float smooth_squareplus(float x);
float smooth_silu(float x);
float smooth_gelu(float x);
float smooth_mish(float x);
float smooth_log_sigmoid(float x);

// activation_vector.c: over all values together, in place
void vector_softmax(float *values, uint32_t count);
void vector_log_softmax(float *values, uint32_t count);

#endif
