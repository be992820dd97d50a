"""What a sum must have been, given what a function made of it; and which factor of which column explains that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.oracle.activations import Array

LEAST_ERROR = 3e-6
"""A step that is off by more, from the device's own h and c, is wrong: right ones are off by float32's rounding of one
step, 5e-7 at most (docs/ACCURACY.md), and of larger values relatively."""

LEAST_STEPS = 3
"""Steps that must be wrong: what is wrong with one value of one step is explained by too many weights."""

_BEST = 3
"""Columns that are given, the best first."""

_SLOPE = 1e-4
"""Where a function answers less to its sum, the sum cannot be told from what comes out."""

_DIFFERENCE = 1e-6
"""Step of the numerical slope, of the size at which float64 gives half of its digits."""

_ROUNDS, _LARGEST_STEP = 40, 0.5
"""Of Newton's method, in steps so small that the slope is the same one: sums up to 20 away are found."""


def changes_of_sums(function: Callable[[Array], Array], sums: Array, observed: Array) -> tuple[Array, Array]:
    """By how much each sum must have been another one, NaN where none is found; and the function's slope there.

    Args:
        function: element by element; monotonic with one inflection, as activations are.
        sums: what they would be if nothing were wrong.
        observed: what the function gave.
    """
    moved = sums.copy()
    for _ in range(_ROUNDS):
        slope = _slope(function, moved)
        with np.errstate(all="ignore"):
            step = np.where(np.abs(slope) > _SLOPE / 100, (observed - function(moved)) / slope, 0.0)
        moved += np.clip(np.nan_to_num(step), -_LARGEST_STEP, _LARGEST_STEP)
    left = np.abs(observed - function(moved))
    return np.where(left < LEAST_ERROR, moved - sums, np.nan), _slope(function, moved)


def explained_by(columns: Array, changes: Array, slopes: Array) -> list[tuple[int, float]]:
    """The columns that explain changes best, each with its factor: weighted least squares, one column at a time.

    Args:
        columns: (N, K), what each weight of a sum is multiplied with.
        changes: (N), of the sum; NaN where it is not known.
        slopes: (N), how much what was observed answers to the sum.
    """
    used = np.isfinite(changes) & (np.abs(slopes) > _SLOPE)
    if np.count_nonzero(used) < LEAST_STEPS:
        return []
    columns, weights, wanted = columns[used], np.square(slopes[used]), changes[used, np.newaxis]
    power = weights @ np.square(columns)
    with np.errstate(all="ignore"):
        factors = np.where(power > 0, weights @ (columns * wanted) / power, 0.0)
    left = weights @ np.square(wanted - columns * factors)
    return [(int(column), float(factors[column])) for column in np.argsort(left)[:_BEST]]


def _slope(function: Callable[[Array], Array], sums: Array) -> Array:
    with np.errstate(all="ignore"):
        slope: Array = (function(sums + _DIFFERENCE) - function(sums - _DIFFERENCE)) / (2 * _DIFFERENCE)
    return slope
