"""The inputs of a run, and how they are made from a seed. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputsRefused
from harness.model.array_types import BoolArray, Float32Array
from harness.model.arrays import sha256_of
from harness.model.spec import ModelSpec

DEFAULT_BATCH = 8
"""Random sequences, where the model leaves their number open."""

DEFAULT_STEPS = 16
"""Random time steps, where the model leaves them open."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What both Keras and the device are given.

    With `reset_before` they are N calls of a stateful model in order, and every array has N as its first axis.

    Attributes:
        x: float32 (B, T, input_size).
        mask: bool (B, T), False where a step is skipped; None: every step counts.
        beside: what the model's other inputs are given, by their names: float32 (B, T, size) or (B, size).
        initial: `<layer>.h0` and `<layer>.c0`, float32 (B, units), for the layers that do not start at zero.
        reset_before: bool (N), True where a call starts from zero states; None: one call, and no leading N.
        seed: of random inputs, else None.
        notes: what was done to the file's values, for the report.
        labels: the true classes where somebody knows them, by output: int64, in the shape of the output without its
            last axis. No input of anything: the hash leaves them out.
    """

    x: Float32Array
    mask: BoolArray | None = None
    initial: Mapping[str, Float32Array] = field(default_factory=dict)
    reset_before: BoolArray | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()
    beside: Mapping[str, Float32Array] = field(default_factory=dict)
    labels: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """Over names, shapes and values, in hex: the same values give the same hash wherever they came from."""
        arrays: dict[str, NDArray[Any]] = {"x": self.x, **self.initial}
        arrays.update({f"beside {name}": array for name, array in self.beside.items()})
        optional = {"mask": self.mask, "reset_before": self.reset_before}
        return sha256_of({**arrays, **{name: array for name, array in optional.items() if array is not None}})

    @property
    def calls(self) -> int:
        """Calls of the model."""
        return 1 if self.reset_before is None else len(self.reset_before)

    def seen_by(self, spec: ModelSpec) -> tuple[Float32Array, BoolArray | None]:
        """The x and the mask that a network computes with: Masking makes its mask of x, and zeroes what it masks.

        Source: keras/src/layers/core/masking.py.
        """
        if spec.mask_value is None:
            return self.x, self.mask
        mask = np.any(self.x != np.float32(spec.mask_value), axis=-1)
        return np.where(mask[..., np.newaxis], self.x, np.float32(0)), mask

    def masked_steps(self, spec: ModelSpec) -> int:
        """Steps that the mask leaves out, in all sequences and calls; `spec` is the network that has these inputs."""
        _, mask = self.seen_by(spec)
        return 0 if mask is None else int(np.count_nonzero(~mask))

    def arrays(self, spec: ModelSpec) -> list[Float32Array]:
        """What the network computes with, for each of `ModelSpec.inputs`."""
        return [self.seen_by(spec)[0], *(self.beside[each.name] for each in spec.beside)]

    def longest(self, spec: ModelSpec) -> int:
        """Steps of the longest sequence whose steps the model leaves open, of x if it leaves none."""
        pairs = zip(spec.inputs, [self.x, *(self.beside[each.name] for each in spec.beside)], strict=True)
        return max((int(array.shape[-2]) for each, array in pairs if each.steps is None), default=self.steps)

    @property
    def batch(self) -> int:
        """Sequences of each call."""
        return int(self.x.shape[-3])

    @property
    def steps(self) -> int:
        """Steps of each sequence."""
        return int(self.x.shape[-2])

    def rows(self, which: slice | NDArray[np.intp]) -> Inputs:
        """Some of the sequences, of every call."""
        at = (slice(None),) * (self.reset_before is not None) + (which,)
        return self.with_arrays(lambda array: array[at])

    def with_arrays(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Inputs:
        """The same with all that is there for each sequence changed alike."""
        return replace(
            self,
            x=change(self.x),
            mask=None if self.mask is None else change(self.mask),
            initial={name: change(states) for name, states in self.initial.items()},
            beside={name: change(array) for name, array in self.beside.items()},
            labels={name: change(array) for name, array in self.labels.items()},
        )

    def each_call(self) -> Iterator[tuple[bool, Inputs]]:
        """Each call as inputs of its own, and whether it starts from zero states: the first one always does."""
        if self.reset_before is None:
            yield True, self
            return
        for call, reset in enumerate(self.reset_before):
            mask = None if self.mask is None else self.mask[call]
            initial = {name: states[call] for name, states in self.initial.items()}
            beside = {name: array[call] for name, array in self.beside.items()}
            yield (
                bool(reset) or call == 0,
                replace(self, x=self.x[call], mask=mask, initial=initial, beside=beside, reset_before=None),
            )


def random_inputs(spec: ModelSpec, batch: int | None = None, steps: int | None = None, seed: int = 0) -> Inputs:
    """N(0, 1) inputs, initial states that are inputs of the model too; where it has a mask input, every step counts.

    The same arguments give the same bits.

    Args:
        spec: the model.
        batch: sequences, at least 1; None: as many as the model fixes, else DEFAULT_BATCH.
        steps: steps of each, at least 1; None: DEFAULT_STEPS. A model that fixes its own has those.
        seed: 0 or more.

    Raises:
        InputsRefused: an argument is out of its range.
    """
    batch = (spec.batch or DEFAULT_BATCH) if batch is None else batch
    ignored = steps not in (None, spec.steps) and spec.steps is not None
    notes = (f"the model fixes {spec.steps} steps: not the {steps} that were asked for",) if ignored else ()
    steps = spec.steps or (DEFAULT_STEPS if steps is None else steps)
    for name, value, least in (("batch", batch, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if value < least:
            raise InputsRefused(
                f"{name} is {value}.", code="inputs_range", remedy=f"Give a {name} of at least {least}."
            )
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((batch, steps, spec.input_size)).astype(np.float32)
    mask = None if spec.mask_input is None else np.ones((batch, steps), dtype=np.bool_)
    initial = {}
    for units, states in state_inputs(spec).values():
        values = generator.standard_normal((batch, units)).astype(np.float32)
        initial.update(dict.fromkeys(states, values))
    beside = {}
    for each in spec.beside:
        shape = (batch, each.steps or steps, each.size) if each.is_sequence else (batch, each.size)
        beside[each.name] = generator.standard_normal(shape).astype(np.float32)
    return Inputs(x=x, mask=mask, initial=initial, beside=beside, seed=seed, notes=notes)


def state_inputs(spec: ModelSpec) -> dict[str, tuple[int, tuple[str, ...]]]:
    """The model's inputs that are initial states: units, and the `<layer>.h0` and `<layer>.c0` that each one is."""
    units = {f"{node.name}.{state}": node.units for _, node in spec.lstm_nodes() for state in ("h0", "c0")}
    return {name: (units[states[0]], states) for name, states in spec.state_inputs.items()}
