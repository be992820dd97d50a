"""Keras' activation functions in NumPy, from their formulas, with Keras' default arguments: part of the reference.

Formulas: keras/src/backend/tensorflow/nn.py and keras/src/activations/activations.py of Keras 3, unless said otherwise.
NaN and infinity give what the formula gives: -infinity times 0 is NaN. A comparison with NaN is false.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.protocol.wire import Activation

Array: TypeAlias = NDArray[np.floating[Any]]

_SELU_SCALE = 1.0507009873554805
_SELU_ALPHA = 1.6732632423543772
"""Klambauer et al., "Self-Normalizing Neural Networks", 2017."""

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def linear(x: Array) -> Array:
    """The identity."""
    return x


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    result: Array = np.tanh(x)
    return result


def tanh_shrink(x: Array) -> Array:
    """The difference x - tanh(x)."""
    return x - np.tanh(x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), written so that the exponential is at most 1 and small results keep their digits."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def hard_sigmoid(x: Array) -> Array:
    """Keras 3: relu6(x + 3) / 6."""
    return np.clip(x + 3, 0, 6) / 6


def hard_sigmoid_keras2(x: Array) -> Array:
    """Keras 1 and 2: clip(0.2 x + 0.5, 0, 1) (keras/backend.py of Keras 2)."""
    result: Array = np.clip(x.dtype.type(0.2) * x + x.dtype.type(0.5), 0, 1)
    return result


def hard_silu(x: Array) -> Array:
    """The product x hard_sigmoid(x)."""
    return x * hard_sigmoid(x)


def hard_tanh(x: Array) -> Array:
    """clip(x, -1, 1)."""
    result: Array = np.clip(x, -1, 1)
    return result


def hard_shrink(x: Array) -> Array:
    """X where abs(x) > 0.5, else 0, also for NaN."""
    return np.where(np.abs(x) > 0.5, x, x.dtype.type(0))


def soft_shrink(x: Array) -> Array:
    """X moved by 0.5 towards 0 where abs(x) > 0.5, else 0, also for NaN."""
    half = x.dtype.type(0.5)
    return np.where(x > half, x - half, np.where(x < -half, x + half, x.dtype.type(0)))


def relu(x: Array) -> Array:
    """max(x, 0)."""
    result: Array = np.maximum(x, 0)
    return result


def relu6(x: Array) -> Array:
    """clip(x, 0, 6)."""
    result: Array = np.clip(x, 0, 6)
    return result


def leaky_relu(x: Array) -> Array:
    """X, times 0.2 below 0 (Keras 3's default negative_slope)."""
    return np.where(x > 0, x, x.dtype.type(0.2) * x)


def elu(x: Array) -> Array:
    """X, below 0 exp(x) - 1; celu too, with the default alpha of 1."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def selu(x: Array) -> Array:
    """Scale times x, below 0 scale times alpha times (exp(x) - 1)."""
    return x.dtype.type(_SELU_SCALE) * np.where(x > 0, x, x.dtype.type(_SELU_ALPHA) * np.expm1(np.minimum(x, 0)))


def softsign(x: Array) -> Array:
    """The quotient x / (1 + abs(x)); NaN at the infinities."""
    result: Array = x / (1 + np.abs(x))
    return result


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    result: Array = np.logaddexp(x.dtype.type(0), x)
    return result


def log_sigmoid(x: Array) -> Array:
    """log(sigmoid(x))."""
    return -softplus(-x)


def squareplus(x: Array) -> Array:
    """(x + sqrt(x^2 + b)) / 2 with the default b of 4; below 0 as 2 / (sqrt(x^2 + 4) - x), which keeps the digits."""
    root: Array = np.sqrt(np.square(x) + 4)
    return np.where((x < 0) & np.isfinite(x), 2 / (root + np.abs(x)), (x + root) / 2)


def silu(x: Array) -> Array:
    """The product x sigmoid(x), also named swish."""
    return x * sigmoid(x)


def gelu(x: Array) -> Array:
    """The product x P(X <= x) of the normal distribution: approximate=False."""
    result: Array = (0.5 * x * _erfc(-x / math.sqrt(2))).astype(x.dtype)
    return result


def mish(x: Array) -> Array:
    """The product x tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


def exponential(x: Array) -> Array:
    """exp(x)."""
    result: Array = np.exp(x)
    return result


def sparse_plus(x: Array) -> Array:
    """0 up to -1, x from 1, (x + 1)^2 / 4 between."""
    return np.where(x <= -1, x.dtype.type(0), np.where(x < 1, np.square(x + 1) / 4, x))


def sparse_sigmoid(x: Array) -> Array:
    """0 up to -1, 1 from 1, (x + 1) / 2 between."""
    return np.where(x <= -1, x.dtype.type(0), np.where(x >= 1, x.dtype.type(1), (x + 1) / 2))


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) over the last axis. The row's maximum is taken off first, so that nothing overflows.

    TensorFlow makes of a NaN, and of an infinite element, a NaN, and of all others in the row 0. So does this.
    """
    shifted = x - _largest(x)
    e = np.where(np.isnan(shifted), x.dtype.type(np.inf), np.exp(shifted))
    result: Array = e / np.sum(e, axis=-1, keepdims=True)
    return result


def log_softmax(x: Array) -> Array:
    """log(softmax(x)) over the last axis."""
    shifted = x - _largest(x)
    result: Array = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result


def _largest(x: Array) -> Array:
    """The largest of the last axis that is a number, -infinity where there is none."""
    largest: Array = np.max(np.where(np.isnan(x), x.dtype.type(-np.inf), x), axis=-1, keepdims=True)
    return largest


_FUNCTIONS = (
    linear, tanh, sigmoid, hard_sigmoid, hard_sigmoid_keras2, softmax, relu, relu6, leaky_relu, elu, selu, softsign,
    softplus, silu, gelu, mish, exponential, hard_tanh, hard_silu, hard_shrink, soft_shrink, tanh_shrink, squareplus,
    sparse_plus, sparse_sigmoid, log_sigmoid, log_softmax,
)  # fmt: skip

ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    Activation[function.__name__.upper()]: function for function in _FUNCTIONS
}
"""Every activation of the engine."""
