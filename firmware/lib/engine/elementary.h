// Elementary functions in single precision, of which activations are made. Without libm, so that every target computes
// the same bits. NaN goes in, NaN comes out. Pure: no state, callable from anywhere.
#ifndef ELEMENTARY_H
#define ELEMENTARY_H

// e^x. 0 below the smallest denormal, infinity beyond FLT_MAX.
float elementary_exp(float x);

// e^x - 1 for x of 0 and less; near 0 without the cancellation of the difference.
float elementary_expm1(float x);

// ln x for x of 1 and more.
float elementary_log(float x);

// ln(1 + x) for x of 0 to 1.
float elementary_log1p(float x);

// sqrt(x^2 + 4)
float elementary_sqrt_of_square_plus_4(float x);

// e^(x^2/2) times the tail of the normal distribution beyond x, for x of 1 and more: Mills' ratio over sqrt(2 pi).
float elementary_scaled_normal_tail(float x);

// c[count - 1] x^(count - 1) + ... + c[0]
float elementary_polynomial(const float *c, int count, float x);

#endif
