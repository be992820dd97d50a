"""Measures how far each kernel is from float64, beside Keras, `python -m harness.kernel_accuracy`.

Each figure is a mean over weight sets of the largest absolute error in any sequence, step and unit, and behind it the
same over Keras' own. The kernels run natively: their bits are the chip's (tests/hil/test_sequences.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

import numpy as np

from harness.build.native import native_executable
from harness.build.paths import project_root, work_dir
from harness.compare.tolerance import distance_to_float64
from harness.device import Device
from harness.loading import load_model
from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import load_inputs
from harness.oracle.keras_oracle import expected
from harness.oracle.load import LoadedModel
from harness.oracle.load import load_model as load_file
from harness.oracle.reference import reference
from harness.oracle.spread import SHAPES, fresh_model
from harness.protocol.wire import Kernel
from harness.targets.native import NativeTarget
from harness.validation import run_batch
from harness.workbench import Workbench

WEIGHT_SETS = 20
"""Models of each shape: kernel Glorot-uniform, recurrent kernel orthogonal, bias 0.1 N(0, 1), plus 1 for f."""

BATCH, STEPS = 8, 28

_TENSORS = ("lstm.h", "lstm.c")


def main() -> None:
    """Print the tables."""
    target = NativeTarget(native_executable(), work_dir() / "logs" / f"accuracy-{os.getpid()}.log")
    with Workbench(target) as bench:
        for scale in (1.0, 3.0):
            _line(f"\nB = {BATCH}, T = {STEPS}, {WEIGHT_SETS} weight sets of each shape, all weights times {scale:g}\n")
            _heads()
            for shape in SHAPES:
                _row(f"{shape[0]}, {shape[1]}", [distances(bench.device(), *each) for each in _fresh(shape, scale)])
        folder = project_root() / "examples" / "digits"
        loaded = load_file(folder / "digits.keras")
        _line("\nThe digits example on its 60 held-out images\n")
        _heads()
        _row("8, 32", [distances(bench.device(), loaded, load_inputs(folder / "heldout.npz", loaded.spec))])


def _fresh(shape: tuple[int, int], scale: float) -> Iterable[tuple[LoadedModel, Inputs]]:
    for seed in range(WEIGHT_SETS):
        loaded = fresh_model(*shape, seed, scale)
        yield loaded, random_inputs(loaded.spec, BATCH, STEPS, seed)


def distances(device: Device, loaded: LoadedModel, inputs: Inputs) -> list[list[float]]:
    """Of Keras, then of each kernel: the largest distances of h and c from float64."""
    float64 = dict(reference(loaded.spec, inputs))
    found = [distance_to_float64(expected(loaded, inputs).tensors, float64)]
    for kernel in Kernel:
        load_model(device, loaded.spec, kernel=kernel)
        found.append(distance_to_float64(run_batch(device, loaded.spec, inputs)[0], float64))
    return [[of[name] for name in _TENSORS] for of in found]


def _heads() -> None:
    names = ["Keras", *(kernel.name.lower() for kernel in Kernel)]
    _cells(["input_size, units", *(f"{name} {tensor}" for tensor in "hc" for name in names)])
    _cells(["---"] * (1 + 2 * len(names)))


def _row(name: str, measured: Sequence[Sequence[Sequence[float]]]) -> None:
    keras, *kernels = np.mean(measured, axis=0)
    cells = [name]
    for tensor in range(len(_TENSORS)):
        cells.append(f"{keras[tensor]:.2e}")
        cells += [f"{mean[tensor]:.2e} ({mean[tensor] / keras[tensor]:.2f})" for mean in kernels]
    _cells(cells)


def _cells(cells: Sequence[str]) -> None:
    _line(f"| {' | '.join(cells)} |")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
