"""How far float32 programs are from float64, and what the default tolerances make of that.

A distance is the largest absolute one from the float64 reference, over all sequences, steps and units. NumPy float32
is the reference itself in float32: a correct float32 program that is not Keras, as the device is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from harness.accuracy.models import SHAPES, STEPS, TENSORS, fresh, fresh_model
from harness.compare.metrics import absolute_errors
from harness.compare.tolerance import distance_to_float64, tolerances
from harness.errors import OracleError
from harness.model.inputs import Inputs, random_inputs
from harness.oracle.keras_oracle import expected
from harness.oracle.load import LoadedModel
from harness.oracle.reference import reference

WEIGHT_SETS = 5
"""Models of each shape."""

LENGTHS = (16, 128, 1024)
"""Time steps, to see whether errors pile up in the state."""

LENGTHS_SHAPE = (16, 32)
"""(input_size, units) of the models that see them."""

SCALES = (1.0, 2.0, 3.0, 5.0, 8.0)
"""What weights are multiplied with: trained ones are larger than those that training starts with."""

JUDGED_SHAPES, JUDGED_LENGTHS = SHAPES[:4], LENGTHS[:2]
"""Of the models that tolerances judge: the others take minutes."""

BATCHES = (2, 8, 33)
"""Sizes of batches that a sequence is the first one of: 33 is a full vector of any width, and one more."""

PLANTED = (1e-3, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 1e-7)
"""What is added to one weight, to see which of such faults a default tolerance finds."""

TRIALS = 100
"""Faults of each size, each in a weight drawn anew."""


@dataclass(frozen=True)
class Span:
    """The least and the most of some measurements."""

    least: float
    most: float


Spread: TypeAlias = dict[str, dict[str, Span]]
"""Distances of "keras" and of "numpy", each by tensor, h and c."""


@dataclass(frozen=True)
class Judged:
    """Right programs under the default tolerances.

    Attributes:
        share: the largest part of its tolerance that an element used.
        failed: how many models used more than all of it.
        no_verdict: how many were refused as ill-conditioned.
    """

    share: float
    failed: int
    no_verdict: int


def spread(shape: tuple[int, int], scale: float, steps: int = STEPS) -> Spread:
    """Distances from float64 over WEIGHT_SETS models of one shape."""
    measured = [distances(*each) for each in fresh(shape, scale, WEIGHT_SETS, steps)]
    return {
        program: {short: _span([of[program][name] for of in measured]) for short, name in TENSORS.items()}
        for program in ("keras", "numpy")
    }


def distances(loaded: LoadedModel, inputs: Inputs) -> dict[str, dict[str, float]]:
    """Distances from float64 by tensor: of "keras", and of "numpy", the reference in float32."""
    float64: Mapping[str, Any] = reference(loaded.spec, inputs)
    float32: Mapping[str, Any] = reference(loaded.spec, inputs, np.float32)
    return {
        "keras": distance_to_float64(expected(loaded, inputs).tensors, float64),
        "numpy": distance_to_float64(float32, float64),
    }


def moved_by_batch(shape: tuple[int, int], batch: int) -> float:
    """The largest difference that a batch makes to Keras' h of its first sequence, which otherwise runs alone."""
    loaded = fresh_model(*shape, 0)
    whole = random_inputs(loaded.spec, max(BATCHES), STEPS)
    alone, first = (expected(loaded, replace(whole, x=whole.x[:count])).tensors["lstm.h"][:1] for count in (1, batch))
    return float(np.abs(first - alone).max())


def judged(scale: float, steps: int) -> Judged:
    """NumPy float32 in the device's place, over WEIGHT_SETS models of each of JUDGED_SHAPES."""
    shares: list[float] = []
    no_verdict = 0
    for shape in JUDGED_SHAPES:
        for loaded, inputs in fresh(shape, scale, WEIGHT_SETS, steps):
            try:
                shares.append(share(loaded, inputs))
            except OracleError as error:
                if error.code != "ill_conditioned":
                    raise
                no_verdict += 1
    return Judged(max(shares), sum(share > 1 for share in shares), no_verdict)


def share(loaded: LoadedModel, inputs: Inputs) -> float:
    """How much of its default tolerance NumPy float32 uses, in its worst element: above 1 it is failed.

    Raises:
        OracleError: the model is ill-conditioned.
    """
    keras = expected(loaded, inputs).tensors
    return _used(keras, reference(loaded.spec, inputs), reference(loaded.spec, inputs, np.float32))


def found(loaded: LoadedModel, inputs: Inputs, size: float) -> int:
    """Of TRIALS float32 programs with `size` added to one weight of the first LSTM, how many fail."""
    keras, float64 = expected(loaded, inputs).tensors, reference(loaded.spec, inputs)
    index, node = next(loaded.spec.lstm_nodes())
    generator = np.random.default_rng(0)
    failed = 0
    for _ in range(TRIALS):
        name = ("kernel", "recurrent_kernel")[generator.integers(2)]
        weights = getattr(node, name).copy()
        weights[tuple(generator.integers(length) for length in weights.shape)] += np.float32(size)
        nodes = list(loaded.spec.nodes)
        nodes[index] = replace(node, **{name: weights})
        faulty = reference(replace(loaded.spec, nodes=tuple(nodes)), inputs, np.float32)
        failed += _used(keras, float64, faulty) > 1
    return failed


def _used(keras: Mapping[str, Any], float64: Mapping[str, Any], got: Mapping[str, Any]) -> float:
    defaults = tolerances(distance_to_float64(keras, float64))
    return max(
        float((absolute_errors(keras[name], got[name]) / defaults[name].allowed(keras[name])).max()) for name in keras
    )


def _span(values: list[float]) -> Span:
    return Span(min(values), max(values))
