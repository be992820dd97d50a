#include "elementary.h"

#include <float.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0,
               "float arithmetic must round after each operation, or targets differ in the last bit");

#define LOG2_E 1.44269504f
// ln 2 in two parts (Cody and Waite): n times the first is exact for the n that occur.
#define LN2_HIGH 0.693359375f
#define LN2_LOW (-2.12194440e-4f)
#define SQRT_2 1.41421356f

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float power_of_two(int32_t exponent) { // for -126 to 127
    return float_of((uint32_t)(exponent + 127) << 23);
}

float elementary_polynomial(const float *c, int count, float x) {
    float y = c[count - 1];
    for (int i = count - 2; i >= 0; i--) {
        y = y * x + c[i];
    }
    return y;
}

// e^r - 1, where x = n ln 2 + r with r in [-ln2/2, ln2/2].
static float reduced_expm1(float x, int32_t *n) {
    const float scaled = x * LOG2_E;
    *n = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    const float r = (x - (float)*n * LN2_HIGH) - (float)*n * LN2_LOW;
    // Cephes expf: minimax polynomial.
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * (r * r) + r;
}

float elementary_exp(float x) {
    if (x != x) {
        return x;
    }
    if (x > 88.7228394f) { // ln FLT_MAX
        return power_of_two(127) * 2.0f;
    }
    if (x < -103.972084f) { // ln of half the smallest denormal
        return 0.0f;
    }
    int32_t n;
    const float y = reduced_expm1(x, &n) + 1.0f;
    // In two factors: n reaches 128, and below -126 the product must round to a denormal once.
    const int32_t half = n / 2;
    return y * power_of_two(half) * power_of_two(n - half);
}

float elementary_expm1(float x) {
    if (x != x) {
        return x;
    }
    if (x < -17.5f) { // e^x is less than half an ulp of 1
        return -1.0f;
    }
    int32_t n;
    const float y = reduced_expm1(x, &n);
    const float scale = power_of_two(n);
    return scale * y + (scale - 1.0f);
}

// ln((1 + s) / (1 - s)) for s of -0.18 to 1/3.
static float twice_atanh(float s) {
    // 2 atanh(s) = 2 s + s z R(z), z = s^2. R: minimax on z of 0 to 1/9, 5e-9 of the result.
    static const float r[] = {6.66664124e-1f, 4.00217026e-1f, 2.79994160e-1f, 2.80221939e-1f};
    const float z = s * s;
    return 2.0f * s + s * z * elementary_polynomial(r, 4, z);
}

float elementary_log(float x) {
    if (!(x <= FLT_MAX)) {
        return x;
    }
    const uint32_t bits = bits_of(x);
    int32_t n = (int32_t)(bits >> 23) - 127;
    float mantissa = float_of((bits & 0x007FFFFFu) | 0x3F800000u);
    if (mantissa > SQRT_2) {
        mantissa *= 0.5f;
        n++;
    }
    const float y = twice_atanh((mantissa - 1.0f) / (mantissa + 1.0f));
    return (y + (float)n * LN2_LOW) + (float)n * LN2_HIGH;
}

float elementary_log1p(float x) {
    return twice_atanh(x / (2.0f + x));
}

float elementary_sqrt_of_square_plus_4(float x) {
    const float magnitude = x < 0.0f ? -x : x;
    if (!(magnitude < 8192.0f)) { // the 4 is less than half an ulp of the square
        return magnitude;
    }
    const float square = magnitude * magnitude + 4.0f;
    // Halving the exponent is at most 6 % off; each step of Heron's squares the error: 2e-3, 2e-6, 2e-12.
    float root = float_of((bits_of(square) >> 1) + 0x1FC00000u);
    for (int i = 0; i < 3; i++) {
        root = 0.5f * (root + square / root);
    }
    return root;
}

float elementary_scaled_normal_tail(float x) {
    // Times 1 + 1.25 x it stays near 0.5; (x - 4) / (x + 4) brings all x into [-0.6, 1). Minimax on x of 1 to 14.6,
    // beyond which the tail itself is 0 in float32; 4e-8.
    static const float p[] = {5.66463828e-1f, -7.82798678e-2f, -1.35944383e-2f, 5.36755025e-2f, -4.79736254e-2f,
                              2.45618429e-2f, -6.32783677e-3f, -5.90768759e-4f, 7.92747247e-4f};
    const float t = (x - 4.0f) / (x + 4.0f);
    return elementary_polynomial(p, 9, t) / (1.0f + 1.25f * x);
}
