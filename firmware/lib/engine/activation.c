#include "activation.h"

#include <float.h>
#include <string.h>

#include "wire_defs.h"

_Static_assert(FLT_EVAL_METHOD == 0,
               "float arithmetic must round after each operation, or targets differ in the last bit");

#define LOG2_E 1.44269504f
// ln 2 in two parts (Cody and Waite): n times the first is exact for the n that occur.
#define LN2_HIGH 0.693359375f
#define LN2_LOW (-2.12194440e-4f)

static float power_of_two(int32_t exponent) { // for -126 to 127
    const uint32_t bits = (uint32_t)(exponent + 127) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float activation_exp(float x) {
    if (x != x) {
        return x;
    }
    if (x > 88.7228394f) { // ln FLT_MAX
        return power_of_two(127) * 2.0f;
    }
    if (x < -103.972084f) { // ln of half the smallest denormal
        return 0.0f;
    }
    const float scaled = x * LOG2_E;
    const int32_t n = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    const float r = (x - (float)n * LN2_HIGH) - (float)n * LN2_LOW;
    // Cephes expf: minimax polynomial on [-ln2/2, ln2/2].
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const float y = p * (r * r) + r + 1.0f;
    // In two factors: n reaches 128, and below -126 the product must round to a denormal once.
    const int32_t half = n / 2;
    return y * power_of_two(half) * power_of_two(n - half);
}

float activation_sigmoid(float x) {
    return 1.0f / (1.0f + activation_exp(-x));
}

float activation_tanh(float x) {
    const float magnitude = x < 0.0f ? -x : x;
    if (magnitude >= 0.625f) {
        const float y = 1.0f - 2.0f / (activation_exp(2.0f * magnitude) + 1.0f);
        return x < 0.0f ? -y : y;
    }
    // Cephes tanhf: near zero the quotient above would lose the digits that count.
    const float z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return p * z * x + x;
}

// Keras 3: relu6(x + 3) / 6 (keras/src/backend/tensorflow/nn.py)
static float hard_sigmoid(float x) {
    const float shifted = x + 3.0f;
    if (shifted < 0.0f) {
        return 0.0f;
    }
    return (shifted > 6.0f ? 6.0f : shifted) / 6.0f;
}

// Keras 2: clip(0.2 x + 0.5, 0, 1) (keras/backend.py)
static float hard_sigmoid_keras2(float x) {
    const float line = 0.2f * x + 0.5f;
    if (line < 0.0f) {
        return 0.0f;
    }
    return line > 1.0f ? 1.0f : line;
}

static void softmax(float *values, uint32_t count) {
    float largest = values[0];
    for (uint32_t i = 1; i < count; i++) {
        largest = values[i] > largest ? values[i] : largest;
    }
    float sum = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = activation_exp(values[i] - largest);
        sum += values[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] /= sum;
    }
}

void activation_apply(uint8_t kind, float *values, uint32_t count) {
    float (*function)(float) = NULL;
    switch (kind) {
        case WIRE_ACT_TANH: function = activation_tanh; break;
        case WIRE_ACT_SIGMOID: function = activation_sigmoid; break;
        case WIRE_ACT_HARD_SIGMOID: function = hard_sigmoid; break;
        case WIRE_ACT_HARD_SIGMOID_KERAS2: function = hard_sigmoid_keras2; break;
        case WIRE_ACT_SOFTMAX: softmax(values, count); return;
        default: return; // linear; the image's check lets no other kind through
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] = function(values[i]);
    }
}
