"""What was done to weights: how many are others, how many are zero, and how coarse they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.compare.metrics import absolute_errors
from harness.compare.verdict import json_number
from harness.model.array_types import Float32Array
from harness.model.spec import ModelSpec
from harness.model.store import spec_to_plain

_MOST_DECIMALS = 7
"""float32 has no more: what needs more of them is not rounded to decimals."""

_MANTISSA_BITS = 23


@dataclass(frozen=True)
class Coarseness:
    """How coarse the values of an array are.

    Attributes:
        zeros: how many are zero.
        distinct: how many different ones there are: 256 and less after quantization to 8 bits.
        significant_bits: of a float32's 24, those that the finest value needs: 11 after float16, 8 after bfloat16.
        decimals: digits behind the point that give every value; None: more than float32 has.
    """

    zeros: int
    distinct: int
    significant_bits: int
    decimals: int | None


@dataclass(frozen=True)
class WeightChange:
    """One array in both models.

    Attributes:
        name: `<node>.<array>`.
        shape: (before, after).
        changed: elements that are others; all of them where the shape is another.
        max_abs: the largest change; None where the shape is another.
        rms: root of the mean of the squared changes; likewise.
        before: of the first model.
        after: of the other one.
    """

    name: str
    shape: tuple[tuple[int, ...], tuple[int, ...]]
    changed: int
    max_abs: float | None
    rms: float | None
    before: Coarseness
    after: Coarseness

    @property
    def elements(self) -> int:
        """Of the array in the other model."""
        return int(np.prod(self.shape[1]))

    def to_json(self) -> dict[str, Any]:
        """An entry of `weights` in the comparison."""
        numbers = {"max_abs": self.max_abs, "rms": self.rms}
        return {
            "name": self.name,
            "shape": [list(shape) for shape in self.shape],
            "elements": self.elements,
            "changed": self.changed,
            **{name: None if value is None else json_number(value) for name, value in numbers.items()},
            "before": asdict(self.before),
            "after": asdict(self.after),
        }


def weight_changes(before: ModelSpec, after: ModelSpec) -> tuple[list[WeightChange], list[str]]:
    """Array by array what is another, and the names of arrays that only one of the models has.

    Nodes are the same where they have the same name.
    """
    first, second = _arrays(before), _arrays(after)
    changes = [_change(name, first[name], second[name]) for name in first if name in second]
    return changes, sorted(first.keys() ^ second.keys())


def coarseness(array: Float32Array) -> Coarseness:
    """How coarse an array's values are."""
    return Coarseness(
        zeros=int(np.count_nonzero(array == 0)),
        distinct=int(np.unique(array).size),
        significant_bits=_significant_bits(array),
        decimals=_decimals(array),
    )


def _arrays(spec: ModelSpec) -> dict[str, Float32Array]:
    _, arrays = spec_to_plain(spec)
    found: dict[str, Float32Array] = {}
    for name, array in arrays.items():
        index, _, field = name.partition(".")
        found[f"{spec.nodes[int(index)].name}.{field}"] = array
    return found


def _change(name: str, before: Float32Array, after: Float32Array) -> WeightChange:
    shapes = (before.shape, after.shape)
    if before.shape != after.shape:
        return WeightChange(name, shapes, after.size, None, None, coarseness(before), coarseness(after))
    errors = absolute_errors(before, after)
    return WeightChange(
        name=name,
        shape=shapes,
        changed=int(np.count_nonzero(errors)),
        max_abs=float(errors.max()),
        rms=float(np.sqrt(np.mean(np.square(errors)))),
        before=coarseness(before),
        after=coarseness(after),
    )


def _significant_bits(array: Float32Array) -> int:
    """Bits between the first and the last one of the finest value; 0 where all are zero."""
    bits = np.ascontiguousarray(array).view(np.int32)
    fraction, is_normal = bits & 0x7FFFFF, (bits & 0x7F800000) != 0
    significand = fraction | (is_normal.astype(np.int32) << _MANTISSA_BITS)
    significand = significand[np.isfinite(array) & (array != 0)]
    if significand.size == 0:
        return 0
    lowest = np.log2((significand & -significand).astype(np.float64))
    highest = np.floor(np.log2(significand.astype(np.float64)))
    return int((highest - lowest).max()) + 1


def _decimals(array: Float32Array) -> int | None:
    values = array[np.isfinite(array)].astype(np.float64)
    for decimals in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(values, decimals).astype(np.float32), values.astype(np.float32)):
            return decimals
    return None
