// Each written so that no difference of nearly equal numbers loses digits, with the infinities of Keras' formula:
// -infinity times 0 is NaN there, and here.
#include <float.h>
#include <stdint.h>
#include <string.h>

#include "activation_parts.h"
#include "elementary.h"

static float magnitude_of(float x) {
    return x < 0.0f ? -x : x;
}

float smooth_sigmoid(float x) {
    return 1.0f / (1.0f + elementary_exp(-x));
}

float smooth_tanh(float x) {
    const float magnitude = magnitude_of(x);
    if (magnitude >= 0.625f) {
        const float y = 1.0f - 2.0f / (elementary_exp(2.0f * magnitude) + 1.0f);
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

float smooth_tanh_shrink(float x) { // x - tanh x
    if (!(magnitude_of(x) < 1.0f)) {
        return x - smooth_tanh(x);
    }
    // Over x^3: minimax in x^2, 7e-8 of the result.
    static const float p[] = {3.33333313e-1f, -1.33331239e-1f, 5.39340265e-2f, -2.16565169e-2f,
                              8.21167324e-3f, -2.50387099e-3f, 4.18471725e-4f};
    const float z = x * x;
    return elementary_polynomial(p, 7, z) * z * x;
}

float smooth_elu(float x) { // alpha = 1
    return x > 0.0f ? x : elementary_expm1(x);
}

float smooth_selu(float x) { // scale, and scale times alpha (Klambauer et al. 2017, as TensorFlow has them)
    return x > 0.0f ? 1.05070099f * x : 1.75809934f * elementary_expm1(x);
}

float smooth_softsign(float x) { // NaN for the infinities
    return x / (1.0f + magnitude_of(x));
}

float smooth_softplus(float x) { // ln(1 + e^x)
    const float tail = elementary_log1p(elementary_exp(-magnitude_of(x)));
    return x > 0.0f ? x + tail : tail;
}

float smooth_log_sigmoid(float x) {
    return -smooth_softplus(-x);
}

float smooth_squareplus(float x) { // (x + sqrt(x^2 + b)) / 2, b = 4
    const float root = elementary_sqrt_of_square_plus_4(x);
    if (x < -FLT_MAX) {
        return x + root;
    }
    return x < 0.0f ? 2.0f / (root - x) : 0.5f * x + 0.5f * root;
}

float smooth_silu(float x) { // x sigmoid(x)
    const float e = elementary_exp(-magnitude_of(x));
    return x > 0.0f ? x / (1.0f + e) : x * e / (1.0f + e);
}

// x tanh(ln(1 + e^x)), where tanh(ln(1 + e)) = e (e + 2) / (e (e + 2) + 2)
float smooth_mish(float x) {
    if (x > 20.0f) { // the factor is 1, and the square of e must not overflow
        return x;
    }
    const float e = elementary_exp(x);
    const float n = e * (e + 2.0f);
    return x * n / (n + 2.0f);
}

// e^(-x^2/2). A rounded square would cost x^2/2 ulp: that of the leading 12 bits is exact, the rest is a small factor.
static float bell(float x) {
    float high;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= 0xFFFFF000u;
    memcpy(&high, &bits, sizeof high);
    return elementary_exp(-0.5f * high * high) * elementary_exp(-0.5f * (x - high) * (x + high));
}

// x P(X <= x) of the normal distribution: gelu with approximate=False
float smooth_gelu(float x) {
    const float magnitude = magnitude_of(x);
    if (magnitude < 1.0f) {
        // (P(X <= x) - 1/2) / x: minimax in x^2, 3e-8.
        static const float p[] = {3.98942292e-1f,  -6.64905906e-2f, 9.97460261e-3f,
                                  -1.18922920e-3f, 1.16365249e-4f,  -8.69494852e-6f};
        return x * (0.5f + x * elementary_polynomial(p, 6, x * x));
    }
    if (magnitude > 15.0f) { // the tail is less than the smallest denormal
        return x > 0.0f ? x : x * 0.0f;
    }
    const float tail = magnitude * (bell(magnitude) * elementary_scaled_normal_tail(magnitude));
    return x > 0.0f ? x - tail : -tail;
}
