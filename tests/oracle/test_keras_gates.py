"""The gates as Keras' own cell computes them, against float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agreement import agreed
from harness.errors import OracleError
from harness.model.inputs import Inputs, random_inputs
from harness.oracle.gates import tapped
from harness.oracle.load import from_keras
from harness.oracle.runtime import KERAS_2, KERAS_3, import_keras


@pytest.mark.parametrize("package", [KERAS_3, KERAS_2])
@pytest.mark.parametrize(
    "options", [{}, {"recurrent_dropout": 0.2}, {"use_bias": False, "recurrent_activation": "softmax"}]
)
def test_gates_agree_with_float64(package: str, options: dict[str, Any]) -> None:
    keras = import_keras(package)
    layers = [keras.Input((None, 3), name="x"), keras.layers.LSTM(4, name="a", go_backwards=True, **options)]
    loaded = from_keras(keras.Sequential(layers))
    inputs = random_inputs(loaded.spec, 3, 6)
    tensors = agreed(loaded, inputs, gates=True).tensors
    assert tensors["a.z"].shape == tensors["a.gates"].shape == (3, 6, 16)
    i, f, candidate, o = np.split(tensors["a.gates"], 4, axis=-1)
    np.testing.assert_allclose(f[:, 1] * tensors["a.c"][:, 0] + i[:, 1] * candidate[:, 1], tensors["a.c"][:, 1], 1e-5)
    np.testing.assert_allclose(o * np.tanh(tensors["a.c"]), tensors["a.h"], rtol=1e-5)


def test_masked_steps_have_zeros() -> None:
    keras = import_keras()
    loaded = from_keras(keras.Sequential([keras.Input((5, 2), name="x"), keras.layers.LSTM(3, name="a")]))
    mask = np.array([[True, False, True, False, True], [False] * 5])
    x = random_inputs(loaded.spec, 2).x.copy()
    x[0, 1] = np.nan
    tensors = agreed(loaded, Inputs(x=x, mask=mask), gates=True).tensors
    for name in ("a.z", "a.gates"):
        assert ((tensors[name] == 0).all(axis=-1) == ~mask).all()


class _Cell:
    """A cell that computes as Keras does unless it is told otherwise."""

    def __init__(self, order: str = "ifco", more: Callable[[Any], Any] | None = None) -> None:
        self.activation = np.tanh
        self.recurrent_activation: Any = lambda z: 1 / (1 + np.exp(-z))
        self._order = order
        self._more = more

    def step(self, z: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = {}
        for gate, part in zip(self._order, np.split(z, 4, axis=-1), strict=True):
            values[gate] = (self.activation if gate == "c" else self.recurrent_activation)(part)
        if self._more is not None:
            self.recurrent_activation(z)
        new_c = values["f"] * c + values["i"] * values["c"]
        return values["o"] * self.activation(new_c), new_c


@pytest.mark.parametrize(("order", "more"), [("fico", None), ("oicf", None), ("ifco", np.tanh)])
def test_a_cell_that_computes_otherwise_is_no_oracle(order: str, more: Callable[[Any], Any] | None) -> None:
    z = np.random.default_rng(0).normal(size=(2, 12)).astype(np.float32)
    c = np.ones((2, 3), np.float32)
    cell = _Cell()
    with tapped(cell) as tap:
        h, new_c = cell.step(z, c)
        sums, _ = tap.take(c, h, new_c)
    np.testing.assert_array_equal(sums, z)
    other = _Cell(order, more)
    own = other.activation
    with tapped(other) as tap:
        h, new_c = other.step(z, c)
        with pytest.raises(OracleError, match="gates"):
            tap.take(c, h, new_c)
    assert other.activation is own
