"""What a soak runs: models and sequences, with the bits that are right and what each takes of a line without faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.device import Device
from harness.inference import SequenceRunner
from harness.loading import load_packed
from harness.model.array_types import Float32Array
from harness.model.pack import ModelImage, pack_model
from harness.model.samples import random_lstm
from harness.model.spec import ModelSpec
from harness.protocol.wire import Kernel

SHAPES = ((1, 3, Kernel.ARM_MATH), (3, 8, Kernel.ARM_MATH), (4, 6, Kernel.PACKED))
"""(input_size, units, kernel): images of 0.3 to 1.7 KB, the larger ones in two writes."""

STEPS = (1, 7, 20)
"""Of the sequences: 20 steps of 8 units take two requests, so that a step that ran twice would show."""


@dataclass(frozen=True)
class Cost:
    """What something takes of a line without faults.

    Attributes:
        line_bytes: in both directions.
        requests: as many as replies.
    """

    line_bytes: int
    requests: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.line_bytes + other.line_bytes, self.requests + other.requests)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.line_bytes - other.line_bytes, self.requests - other.requests)


@dataclass(frozen=True)
class Sequence:
    """An input, float32 (T, input_size), what is right for it by the names of OUT.npz, and its cost."""

    x: Float32Array
    expected: Mapping[str, Float32Array]
    cost: Cost


@dataclass(frozen=True)
class Case:
    """A model, what it takes to load it, and sequences of it."""

    spec: ModelSpec
    image: ModelImage
    load: Cost
    sequences: tuple[Sequence, ...]


def cost_so_far(device: Device) -> Cost:
    """What the session under way has cost."""
    counters = device.link_counters
    return Cost(counters.bytes_sent + counters.bytes_received, counters.frames_received)


def all_cases(device: Device) -> list[Case]:
    """All of them, computed by a device on a line without faults."""
    return [_case(device, index, *shape) for index, shape in enumerate(SHAPES)]


def _case(device: Device, index: int, input_size: int, units: int, kernel: Kernel) -> Case:
    spec = random_lstm(input_size, units)
    image = pack_model(spec, kernel=kernel)
    before = cost_so_far(device)
    load_packed(device, spec, image)
    load = cost_so_far(device) - before
    sequences = []
    for steps in STEPS:
        x = np.random.default_rng((index, steps)).standard_normal((steps, input_size)).astype(np.float32)
        before = cost_so_far(device)
        arrays = SequenceRunner(device, spec, image.plan).run(x).arrays
        sequences.append(Sequence(x, arrays, cost_so_far(device) - before))
    return Case(spec, image, load, tuple(sequences))
