"""The reference's activation functions: against Keras' own, at their limits, at NaN and infinity."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.compare.metrics import absolute_errors
from harness.oracle.activations import ACTIVATIONS
from harness.oracle.runtime import KERAS_2, KERAS_3, KerasApi, hard_sigmoid_keras2, keras_api
from harness.protocol.wire import Activation

BOUNDED = {
    Activation.TANH, Activation.SIGMOID, Activation.HARD_SIGMOID, Activation.HARD_SIGMOID_KERAS2, Activation.HARD_TANH,
    Activation.SOFTSIGN, Activation.SPARSE_SIGMOID, Activation.SOFTMAX,
}  # fmt: skip
NAN_IS_ZERO = {Activation.HARD_SHRINK, Activation.SOFT_SHRINK}


KERAS_2_HAS = (
    Activation.LINEAR, Activation.TANH, Activation.SIGMOID, Activation.HARD_SIGMOID_KERAS2, Activation.SOFTMAX,
    Activation.RELU, Activation.ELU, Activation.SELU, Activation.SOFTSIGN, Activation.SOFTPLUS, Activation.SILU,
    Activation.GELU, Activation.MISH, Activation.EXPONENTIAL,
)  # fmt: skip


def of_keras(keras: KerasApi, activation: Activation) -> Callable[[Any], Any]:
    """The function that stands behind a name in a model."""
    if activation is Activation.HARD_SIGMOID_KERAS2 and keras.name == KERAS_3:
        return hard_sigmoid_keras2()
    spelled = {keras.hard_sigmoid: "hard_sigmoid", Activation.SILU: "swish"}.get(activation, activation.name.lower())
    function: Callable[[Any], Any] = keras.activations.get(spelled)
    return function


@pytest.mark.parametrize(
    ("name", "activation"), [*((KERAS_3, each) for each in Activation), *((KERAS_2, each) for each in KERAS_2_HAS)]
)
def test_keras_own_functions_agree(name: str, activation: Activation) -> None:
    keras = keras_api(name)
    function = of_keras(keras, activation)
    x = np.random.default_rng(1).normal(0, 3, (400, 8)).astype(np.float32)
    close = absolute_errors(ACTIVATIONS[activation](x.astype(np.float64)), np.asarray(function(keras.tensor(x))))
    assert (close <= 1e-6 + 1e-6 * np.abs(x)).all() or activation is Activation.EXPONENTIAL

    values = [np.nan, np.inf, -np.inf, 1e4, -1e4, 0.0, 1.0, -1.0]
    special = np.array([[value, 2, -0.25] for value in values], np.float32)
    with np.errstate(all="ignore"):
        want = ACTIVATIONS[activation](special.astype(np.float64))
    got = np.asarray(function(keras.tensor(special)))
    np.testing.assert_allclose(got, want.astype(np.float32), rtol=1e-6, atol=1e-4)


EXTREMES = np.array([-8e150, -1e4, -750.0, -3.0, -0.0, 0.0, 2.5, 700.0, 8e150])


@pytest.mark.parametrize("activation", Activation)
def test_activations_stay_quiet_and_in_range_at_the_extremes(activation: Activation) -> None:
    x = np.minimum(EXTREMES, 700) if activation is Activation.EXPONENTIAL else EXTREMES
    with warnings.catch_warnings(), np.errstate(over="raise", under="ignore", divide="raise"):
        warnings.simplefilter("error")
        got = ACTIVATIONS[activation](x)
    assert np.all(np.isfinite(got))
    if activation in BOUNDED:
        assert np.all(np.abs(got) <= 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", Activation)
def test_nan_spreads_and_the_dtype_stays(activation: Activation, dtype: type) -> None:
    with np.errstate(all="ignore"):
        got = ACTIVATIONS[activation](np.array([[1.0, math.nan]], dtype))
    assert got.dtype == dtype
    assert np.isnan(got[0, 1]) != (activation in NAN_IS_ZERO)


def test_sigmoid_keeps_its_digits_far_from_zero() -> None:
    sigmoid = ACTIVATIONS[Activation.SIGMOID]
    assert sigmoid(np.array([-40.0]))[0] == pytest.approx(math.exp(-40), rel=1e-15)
    assert sigmoid(np.array([0.0]))[0] == 0.5


def test_the_two_hard_sigmoids_are_different_functions() -> None:
    x = np.array([-3.0, -2.75, 0.0, 1.5, 2.75, 3.0])
    np.testing.assert_allclose(ACTIVATIONS[Activation.HARD_SIGMOID](x), [0, 0.25 / 6, 0.5, 0.75, 5.75 / 6, 1])
    np.testing.assert_allclose(ACTIVATIONS[Activation.HARD_SIGMOID_KERAS2](x), [0, 0, 0.5, 0.8, 1, 1])
