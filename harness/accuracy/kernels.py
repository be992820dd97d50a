"""How far each kernel is from float64, beside Keras.

Each figure is a mean over models of the largest absolute error in any sequence, step and unit. The kernels run
natively: their bits are the chip's (tests/hil/test_sequences.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from harness.accuracy.models import TENSORS
from harness.build.native import native_executable
from harness.build.paths import work_dir
from harness.compare.tolerance import distance_to_float64
from harness.device import Device
from harness.loading import load_model
from harness.model.inputs import Inputs
from harness.oracle.keras_oracle import expected
from harness.oracle.load import LoadedModel
from harness.oracle.reference import reference
from harness.protocol.wire import Kernel
from harness.targets.native import NativeTarget
from harness.validation import run_batch
from harness.workbench import Workbench

WEIGHT_SETS = 20
"""Models of each shape."""

KERNELS = tuple(kernel.name.lower() for kernel in Kernel)


@dataclass(frozen=True)
class Mean:
    """A mean error.

    Attributes:
        error: itself.
        share: the same over Keras' own.
    """

    error: float
    share: float


KernelErrors: TypeAlias = dict[str, dict[str, Mean]]
"""Of "keras" and of each of KERNELS, by tensor, h and c."""


def mean_errors(cases: Iterable[tuple[LoadedModel, Inputs]]) -> KernelErrors:
    """Mean errors over these models on these inputs."""
    target = NativeTarget(native_executable(), work_dir() / "logs" / f"accuracy-{os.getpid()}.log")
    with Workbench(target) as bench:
        means = np.mean([distances(bench.device(), *each) for each in cases], axis=0)
    return {
        program: {short: Mean(*pair) for short, *pair in zip(TENSORS, errors, errors / means[0], strict=True)}
        for program, errors in zip(("keras", *KERNELS), means, strict=True)
    }


def distances(device: Device, loaded: LoadedModel, inputs: Inputs) -> list[list[float]]:
    """Of Keras, then of each kernel: the largest distances of h and c from float64."""
    float64 = dict(reference(loaded.spec, inputs))
    found = [distance_to_float64(expected(loaded, inputs).tensors, float64)]
    for kernel in Kernel:
        load_model(device, loaded.spec, kernel=kernel)
        found.append(distance_to_float64(run_batch(device, loaded.spec, inputs)[0], float64))
    return [[of[name] for name in TENSORS.values()] for of in found]
