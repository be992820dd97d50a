"""The models that are measured, and their inputs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from harness.build.paths import project_root
from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import load_inputs
from harness.oracle.load import LoadedModel, from_keras, load_model
from harness.oracle.runtime import import_keras

SHAPES = ((1, 3), (8, 32), (16, 32), (28, 75), (64, 128))
"""(input_size, units): from the smallest to what fills the chip."""

BATCH, STEPS = 8, 28
"""Sequences and time steps, where nothing else is said."""

LARGER = 3.0
"""What weights are multiplied with to be like those of trained models."""

TENSORS = {"h": "lstm.h", "c": "lstm.c"}
"""What is measured of an LSTM, and its name in results."""

_DIGITS = project_root() / "examples" / "digits"


def fresh_model(input_size: int, units: int, seed: int, scale: float = 1.0) -> LoadedModel:
    """A model of one LSTM named "lstm" with the weights that Keras starts training with, and small biases.

    Args:
        input_size: features of a time step.
        units: of the LSTM.
        seed: of its weights: kernel Glorot-uniform, recurrent kernel orthogonal, bias 0.1 N(0, 1), plus 1 for f.
        scale: all weights are multiplied with it.
    """
    keras = import_keras()
    layer = keras.layers.LSTM(
        units,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 1),
        return_sequences=True,
        name="lstm",
    )
    model = keras.Sequential([keras.Input((None, input_size)), layer])
    bias = np.repeat([0.0, 1.0, 0.0, 0.0], units) + 0.1 * np.random.default_rng(seed).standard_normal(4 * units)
    weights = [np.asarray(layer.cell.kernel.value), np.asarray(layer.cell.recurrent_kernel.value), bias]
    layer.set_weights([scale * array for array in weights])
    return from_keras(model)


def fresh(
    shape: tuple[int, int], scale: float, weight_sets: int, steps: int = STEPS
) -> Iterator[tuple[LoadedModel, Inputs]]:
    """Models of one shape, each with inputs of its own: N(0, 1), BATCH sequences."""
    for seed in range(weight_sets):
        loaded = fresh_model(*shape, seed, scale)
        yield loaded, random_inputs(loaded.spec, BATCH, steps, seed)


def held_out_images() -> int:
    """How many the digits example has: its sequences."""
    with np.load(_DIGITS / "heldout.npz") as arrays:
        return len(arrays["x"])


@cache
def digits() -> tuple[LoadedModel, Inputs]:
    """The trained example on its held-out images."""
    loaded = load_model(_DIGITS / "digits.keras")
    return loaded, load_inputs(_DIGITS / "heldout.npz", loaded.spec)
