"""All figures of the document. Nothing is rounded here: the template does that."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.accuracy import activations, float32, kernels, models, twins
from harness.accuracy.activations import Errors, TableErrors
from harness.accuracy.float32 import Judged, Spread
from harness.accuracy.kernels import KernelErrors
from harness.oracle.runtime import keras_api

Shape = tuple[int, int]


@dataclass(frozen=True)
class Ran:
    """What the figures depend on.

    Attributes:
        keras: its version.
        tensorflow: likewise.
        numpy: likewise.
        onednn: the value of TF_ENABLE_ONEDNN_OPTS, or "unset".
        machine: the processor's architecture.
        extensions: its vector extensions beyond those that any such processor has, by NumPy's names.
    """

    keras: str
    tensorflow: str
    numpy: str
    onednn: str
    machine: str
    extensions: str


@dataclass(frozen=True)
class Digits:
    """Of the digits example.

    Attributes:
        shape: (input_size, units).
        tensors: distances from float64 of "keras" and of "numpy", by tensor.
        kernels: errors of its kernels.
        share: how much of the default tolerance NumPy float32 uses.
        found: of TRIALS faults, how many were found, by what was added to a weight.
    """

    shape: Shape
    tensors: dict[str, dict[str, float]]
    kernels: KernelErrors
    share: float
    found: dict[float, int]


@dataclass(frozen=True)
class Figures:
    """What was measured: "fresh" of the models of `models.fresh`, "larger" of those with weights LARGER times as large.

    Attributes:
        ran: with what.
        contradictions: of `twins`.
        functions: errors of activation functions by name.
        table: errors of the table of tanh.
        keras_saturation: from which input on Keras' tanh is 1.
        fresh: distances from float64 by shape.
        larger: likewise.
        apart: what two correct programs, Keras and another one, may differ by in h and in c of fresh models: the sum of
            their largest distances.
        lengths: distances by number of steps.
        moved: what a batch makes of Keras' h, by shape and size of the batch.
        fresh_kernels: errors of kernels by shape.
        larger_kernels: likewise.
        kernel_shares: mean share over all kernels, shapes and tensors, of "fresh" and of "larger".
        judged: NumPy float32 under the default tolerances, by scale of the weights and steps.
        digits: of the trained example.
    """

    ran: Ran
    contradictions: int
    functions: dict[str, Errors]
    table: TableErrors
    keras_saturation: float
    fresh: dict[Shape, Spread]
    larger: dict[Shape, Spread]
    apart: dict[str, float]
    lengths: dict[int, Spread]
    moved: dict[Shape, dict[int, float]]
    fresh_kernels: dict[Shape, KernelErrors]
    larger_kernels: dict[Shape, KernelErrors]
    kernel_shares: dict[str, float]
    judged: dict[float, dict[int, Judged]]
    digits: Digits


def measure_all(say: Callable[[str], object]) -> Figures:
    """Measure. Takes minutes.

    Args:
        say: is told what is measured next.
    """
    say("activation functions")
    functions = {kind.name.lower(): activations.measure(kind) for kind in activations.SMOOTH}
    say("freshly made models")
    fresh = {shape: float32.spread(shape, 1.0) for shape in models.SHAPES}
    say("larger weights")
    larger = {shape: float32.spread(shape, models.LARGER) for shape in models.SHAPES}
    say("long sequences and batches")
    lengths = {steps: float32.spread(float32.LENGTHS_SHAPE, 1.0, steps) for steps in float32.LENGTHS}
    moved = {shape: {size: float32.moved_by_batch(shape, size) for size in float32.BATCHES} for shape in models.SHAPES}
    say("right programs under the default tolerances")
    judged = {
        scale: {steps: float32.judged(scale, steps) for steps in float32.JUDGED_LENGTHS} for scale in float32.SCALES
    }
    say("kernels")
    fresh_kernels, larger_kernels = (
        {shape: kernels.mean_errors(models.fresh(shape, scale, kernels.WEIGHT_SETS)) for shape in models.SHAPES}
        for scale in (1.0, models.LARGER)
    )
    say("the digits example")
    digits = _digits()
    say(f"{twins.combinations()} combinations of Keras' model, layer and cell")
    return Figures(
        ran=_ran(),
        contradictions=twins.contradictions(),
        functions=functions,
        table=activations.table_errors(),
        keras_saturation=activations.keras_saturation(),
        fresh=fresh,
        larger=larger,
        apart={tensor: _apart(fresh.values(), tensor) for tensor in models.TENSORS},
        lengths=lengths,
        moved=moved,
        fresh_kernels=fresh_kernels,
        larger_kernels=larger_kernels,
        kernel_shares={"fresh": _mean_share(fresh_kernels), "larger": _mean_share(larger_kernels)},
        judged=judged,
        digits=digits,
    )


def _ran() -> Ran:
    versions = keras_api().versions()
    return Ran(
        keras=versions["keras"],
        tensorflow=versions["tensorflow"],
        numpy=versions["numpy"],
        onednn=versions["TF_ENABLE_ONEDNN_OPTS"],
        machine=platform.machine(),
        extensions=", ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])) or "nothing more",
    )


def _digits() -> Digits:
    loaded, inputs = models.digits()
    _, node = next(loaded.spec.lstm_nodes())
    return Digits(
        shape=(node.input_size, node.units),
        tensors=float32.distances(loaded, inputs),
        kernels=kernels.mean_errors([(loaded, inputs)]),
        share=float32.share(loaded, inputs),
        found={size: float32.found(loaded, inputs, size) for size in float32.PLANTED},
    )


def _apart(spreads: Iterable[Spread], tensor: str) -> float:
    return max(of["keras"][tensor].most + of["numpy"][tensor].most for of in spreads)


def _mean_share(errors: Mapping[Shape, KernelErrors]) -> float:
    shares = [of[kernel][tensor].share for of in errors.values() for kernel in kernels.KERNELS for tensor in of[kernel]]
    return float(np.mean(shares))
