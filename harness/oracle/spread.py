"""Measures how far correct float32 programs are from float64, for docs/ACCURACY.md. Prints its tables.

python -m harness.oracle.spread                        freshly made models of several shapes
python -m harness.oracle.spread MODEL.keras INPUTS.npz one model on its own inputs

A distance is the largest absolute one from the float64 reference, over all sequences, steps and units. NumPy float32
is the reference itself in float32: a correct float32 program that is not Keras, as the device is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.compare.metrics import absolute_errors
from harness.compare.tolerance import distance_to_float64, tolerances
from harness.errors import OracleError
from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import load_inputs
from harness.oracle.keras_oracle import expected
from harness.oracle.load import LoadedModel, from_keras, load_model
from harness.oracle.reference import reference
from harness.oracle.runtime import import_keras, keras_api

SHAPES = ((1, 3), (8, 32), (16, 32), (28, 75), (64, 128))
"""(input_size, units) of the models that are measured."""

WEIGHT_SETS = 5
"""Models of each shape: kernel Glorot-uniform, recurrent kernel orthogonal, bias 0.1 N(0, 1), plus 1 for f."""

STEPS = (16, 128, 1024)
"""Lengths of sequences, to see whether errors pile up in the state."""

SCALES = (1.0, 2.0, 3.0, 5.0, 8.0)
"""What weights are multiplied with: trained ones are larger than those that training starts with."""

PLANTED = (1e-3, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 1e-7)
"""What is added to one weight, to see which of such faults a default tolerance finds."""

TRIALS = 100
"""Faults of each size, each in a weight drawn anew."""

_TENSORS = ("lstm.h", "lstm.c")


def main(arguments: Sequence[str]) -> None:
    """Measure what the arguments ask for."""
    _line(", ".join(f"{name} {version}" for name, version in keras_api().versions().items()))
    if arguments:
        model_path, inputs_path = arguments
        loaded = load_model(model_path)
        inputs = load_inputs(inputs_path, loaded.spec)
        _table(("tensor", "Keras", "NumPy float32"), _of_one_model(loaded, inputs))
        _line(f"\nShare of the default tolerance that NumPy float32 uses: {_share(loaded, inputs):.2f}\n")
        _table(("added to one weight", f"found, of {TRIALS}"), [_found(loaded, inputs, size) for size in PLANTED])
        return
    for scale in (1.0, 3.0):
        _line(f"\nB = 8, T = 28, {WEIGHT_SETS} models of each shape, all weights times {scale:g}: least to most\n")
        heads = ("input_size, units", "Keras h", "Keras c", "NumPy float32 h", "NumPy float32 c")
        _table(heads, [_of_shape(*shape, scale) for shape in SHAPES])
    _line(f"\nB = 8, input_size 16, units 32, {WEIGHT_SETS} models, by length: least to most\n")
    _table(("T", "Keras h", "Keras c"), [[str(steps), *_spread(16, 32, 1.0, steps)[:2]] for steps in STEPS])
    _line(
        "\nShare of the default tolerance that NumPy float32 uses, B = 8, the four smaller shapes with 5 models each:"
    )
    _line("the largest share, how many are above 1, how many have no verdict\n")
    _table(
        ("weights times", *(f"T = {steps}" for steps in STEPS[:2])),
        [[f"{scale:g}", *(_shares(scale, steps) for steps in STEPS[:2])] for scale in SCALES],
    )
    _line("\nThe same sequence alone and as the first of a batch: largest difference of Keras' h to Keras' h\n")
    batches = (2, 8, 33)
    _table(("input_size, units", *(f"in {batch}" for batch in batches)), [_of_batches(*s, batches) for s in SHAPES])


def fresh_model(input_size: int, units: int, seed: int, scale: float = 1.0) -> LoadedModel:
    """A model of one LSTM named "lstm" with the weights that Keras starts training with, and small biases."""
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


def _of_one_model(loaded: LoadedModel, inputs: Inputs) -> list[list[str]]:
    keras, float32 = _distances(loaded, inputs)
    return [[name, f"{keras[name]:.2e}", f"{float32[name]:.2e}"] for name in keras]


def _of_shape(input_size: int, units: int, scale: float) -> list[str]:
    return [f"{input_size}, {units}", *_spread(input_size, units, scale, 28)]


def _spread(input_size: int, units: int, scale: float, steps: int) -> list[str]:
    """Least and largest distance over the models of one shape: of Keras and of NumPy float32, each h and c."""
    measured = []
    for seed in range(WEIGHT_SETS):
        loaded = fresh_model(input_size, units, seed, scale)
        keras, float32 = _distances(loaded, random_inputs(loaded.spec, 8, steps, seed))
        measured.append([of[name] for of in (keras, float32) for name in _TENSORS])
    return [f"{min(column):.1e} to {max(column):.1e}" for column in zip(*measured, strict=True)]


def _of_batches(input_size: int, units: int, batches: Iterable[int]) -> list[str]:
    loaded = fresh_model(input_size, units, 0)
    whole = random_inputs(loaded.spec, max(batches), 28)
    alone = expected(loaded, replace(whole, x=whole.x[:1])).tensors["lstm.h"]
    differences = [
        np.abs(expected(loaded, replace(whole, x=whole.x[:batch])).tensors["lstm.h"][:1] - alone).max()
        for batch in batches
    ]
    return [f"{input_size}, {units}", *(f"{difference:.1e}" for difference in differences)]


def _shares(scale: float, steps: int) -> str:
    """Largest share over models of the four smaller shapes, how many are above 1, and how many have no verdict."""
    shares: list[float] = []
    without_verdict = 0
    for shape in SHAPES[:4]:
        for seed in range(WEIGHT_SETS):
            loaded = fresh_model(*shape, seed, scale)
            try:
                shares.append(_share(loaded, random_inputs(loaded.spec, 8, steps, seed)))
            except OracleError:
                without_verdict += 1
    return f"{max(shares):.2f}, {sum(share > 1 for share in shares)}, {without_verdict}"


def _share(loaded: LoadedModel, inputs: Inputs) -> float:
    """How much of its default tolerance NumPy float32 uses, in its worst element: above 1 it is failed."""
    keras = expected(loaded, inputs).tensors
    return _used(keras, reference(loaded.spec, inputs), reference(loaded.spec, inputs, np.float32))


def _used(keras: dict[str, Any], float64: dict[str, Any], got: dict[str, Any]) -> float:
    defaults = tolerances(distance_to_float64(keras, float64))
    return max(
        float((absolute_errors(keras[name], got[name]) / defaults[name].allowed(keras[name])).max()) for name in keras
    )


def _found(loaded: LoadedModel, inputs: Inputs, size: float) -> list[str]:
    """Of float32 programs with `size` added to one weight of the first LSTM, how many fail."""
    keras, float64 = expected(loaded, inputs).tensors, reference(loaded.spec, inputs)
    index, node = next(loaded.spec.lstm_nodes())
    generator = np.random.default_rng(0)
    found = 0
    for _ in range(TRIALS):
        name = ("kernel", "recurrent_kernel")[generator.integers(2)]
        weights = getattr(node, name).copy()
        weights[tuple(generator.integers(length) for length in weights.shape)] += np.float32(size)
        nodes = list(loaded.spec.nodes)
        nodes[index] = replace(node, **{name: weights})
        faulty = reference(replace(loaded.spec, nodes=tuple(nodes)), inputs, np.float32)
        found += _used(keras, float64, faulty) > 1
    return [f"{size:g}", str(found)]


def _distances(loaded: LoadedModel, inputs: Inputs) -> tuple[dict[str, float], dict[str, float]]:
    """Distances from float64, by tensor: of Keras, and of the reference in float32."""
    float64: dict[str, Any] = dict(reference(loaded.spec, inputs))
    float32: dict[str, Any] = dict(reference(loaded.spec, inputs, np.float32))
    return distance_to_float64(expected(loaded, inputs).tensors, float64), distance_to_float64(float32, float64)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for row in (heads, ["---"] * len(heads), *rows):
        _line(f"| {' | '.join(row)} |")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
