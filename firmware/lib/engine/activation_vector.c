#include <float.h>

#include "activation_parts.h"
#include "elementary.h"

// Not from <math.h>, of which nothing else may be used here; and no 1 / 0, which GCC leaves to the chip to divide, as
// it raises a flag in FPSCR.
#define INFINITE __builtin_inff()

// NaN is less than any number here.
static float largest_of(const float *values, uint32_t count) {
    float largest = -INFINITE;
    for (uint32_t i = 0; i < count; i++) {
        largest = values[i] > largest ? values[i] : largest;
    }
    return largest;
}

void vector_softmax(float *values, uint32_t count) {
    const float largest = largest_of(values, count);
    float sum = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        const float shifted = values[i] - largest;
        // As TensorFlow's: the NaN, or the infinite element, becomes NaN, and what is beside it 0.
        values[i] = shifted != shifted ? INFINITE : elementary_exp(shifted);
        sum += values[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        values[i] /= sum;
    }
}

void vector_log_softmax(float *values, uint32_t count) {
    const float largest = largest_of(values, count);
    float sum = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        sum += elementary_exp(values[i] - largest);
    }
    const float log_of_sum = elementary_log(sum);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (values[i] - largest) - log_of_sum;
    }
}
