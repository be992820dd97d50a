// Formulas: keras/src/backend/tensorflow/nn.py and keras/src/ops/nn.py of Keras 3, unless said otherwise. A comparison
// with NaN is false: the branch that it falls into hands it on, or gives 0 where Keras does.
#include "activation_parts.h"

// clip(x, low, high)
static float clipped(float x, float low, float high) {
    if (x < low) {
        return low;
    }
    return x > high ? high : x;
}

float piecewise_relu(float x) {
    return x < 0.0f ? 0.0f : x;
}

float piecewise_relu6(float x) {
    return clipped(x, 0.0f, 6.0f);
}

float piecewise_leaky_relu(float x) { // negative_slope = 0.2
    return x < 0.0f ? 0.2f * x : x;
}

float piecewise_hard_sigmoid(float x) { // relu6(x + 3) / 6
    return clipped(x + 3.0f, 0.0f, 6.0f) / 6.0f;
}

float piecewise_hard_sigmoid_keras2(float x) { // clip(0.2 x + 0.5, 0, 1), keras/backend.py of Keras 2
    return clipped(0.2f * x + 0.5f, 0.0f, 1.0f);
}

float piecewise_hard_silu(float x) { // NaN for -infinity, as Keras
    return x * piecewise_hard_sigmoid(x);
}

float piecewise_hard_tanh(float x) {
    return clipped(x, -1.0f, 1.0f);
}

float piecewise_hard_shrink(float x) { // threshold = 0.5; 0 for NaN, as Keras
    return x > 0.5f || x < -0.5f ? x : 0.0f;
}

float piecewise_soft_shrink(float x) { // threshold = 0.5; 0 for NaN, as Keras
    if (x > 0.5f) {
        return x - 0.5f;
    }
    return x < -0.5f ? x + 0.5f : 0.0f;
}

float piecewise_sparse_plus(float x) {
    if (x <= -1.0f) {
        return 0.0f;
    }
    return x < 1.0f ? 0.25f * ((x + 1.0f) * (x + 1.0f)) : x;
}

float piecewise_sparse_sigmoid(float x) {
    if (x <= -1.0f) {
        return 0.0f;
    }
    return x >= 1.0f ? 1.0f : 0.5f * (x + 1.0f);
}
