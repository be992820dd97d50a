#include "activation.h"

#include <stddef.h>

#include "activation_parts.h"
#include "elementary.h"
#include "wire_defs.h"

typedef float (*of_one_t)(float x);
typedef void (*of_all_t)(float *values, uint32_t count);

static const of_one_t of_one[] = {
    [WIRE_ACT_TANH] = smooth_tanh,
    [WIRE_ACT_SIGMOID] = smooth_sigmoid,
    [WIRE_ACT_HARD_SIGMOID] = piecewise_hard_sigmoid,
    [WIRE_ACT_HARD_SIGMOID_KERAS2] = piecewise_hard_sigmoid_keras2,
    [WIRE_ACT_RELU] = piecewise_relu,
    [WIRE_ACT_RELU6] = piecewise_relu6,
    [WIRE_ACT_LEAKY_RELU] = piecewise_leaky_relu,
    [WIRE_ACT_ELU] = smooth_elu,
    [WIRE_ACT_SELU] = smooth_selu,
    [WIRE_ACT_SOFTSIGN] = smooth_softsign,
    [WIRE_ACT_SOFTPLUS] = smooth_softplus,
    [WIRE_ACT_SILU] = smooth_silu,
    [WIRE_ACT_GELU] = smooth_gelu,
    [WIRE_ACT_MISH] = smooth_mish,
    [WIRE_ACT_EXPONENTIAL] = elementary_exp,
    [WIRE_ACT_HARD_TANH] = piecewise_hard_tanh,
    [WIRE_ACT_HARD_SILU] = piecewise_hard_silu,
    [WIRE_ACT_HARD_SHRINK] = piecewise_hard_shrink,
    [WIRE_ACT_SOFT_SHRINK] = piecewise_soft_shrink,
    [WIRE_ACT_TANH_SHRINK] = smooth_tanh_shrink,
    [WIRE_ACT_SQUAREPLUS] = smooth_squareplus,
    [WIRE_ACT_SPARSE_PLUS] = piecewise_sparse_plus,
    [WIRE_ACT_SPARSE_SIGMOID] = piecewise_sparse_sigmoid,
    [WIRE_ACT_LOG_SIGMOID] = smooth_log_sigmoid,
};

static of_all_t of_all(uint8_t kind) {
    switch (kind) {
        case WIRE_ACT_SOFTMAX: return vector_softmax;
        case WIRE_ACT_LOG_SOFTMAX: return vector_log_softmax;
        default: return NULL;
    }
}

static of_one_t of_each(uint8_t kind) {
    return kind < sizeof of_one / sizeof of_one[0] ? of_one[kind] : NULL;
}

bool activation_is_known(uint8_t kind) {
    return kind == WIRE_ACT_LINEAR || of_each(kind) != NULL || of_all(kind) != NULL;
}

void activation_apply(uint8_t kind, float *values, uint32_t count) {
    const of_one_t one = of_each(kind);
    const of_all_t all = of_all(kind);
    if (all != NULL) {
        all(values, count);
    }
    for (uint32_t i = 0; one != NULL && i < count; i++) {
        values[i] = one(values[i]);
    }
}
