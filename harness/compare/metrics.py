"""How far two arrays are apart.

NaN and infinity: an element counts as equal where both are NaN or both are the same infinity. Anything else beside a
NaN or an infinity is infinitely far away. So a NaN passes only where the oracle has one, and cannot hide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
Float64Array: TypeAlias = NDArray[np.float64]

ULP_OF_NAN = 2**32 - 1
"""Distance in ulp of a NaN from a number: more than that of -inf from +inf, 4278190080."""


@dataclass(frozen=True)
class Metrics:
    """Distances of one tensor from the expected one.

    Attributes:
        max_abs: largest absolute error; infinity where a NaN or an infinity is not matched.
        max_rel: largest absolute error over abs(expected), of the elements where expected is not zero.
        max_ulp: most float32 values that lie between the two.
        rmse: root of the mean of the squared errors.
        mae: mean of the absolute errors.
        mean: mean of got - expected: the bias. Of the elements that are finite in both; NaN if there is none.
        std: standard deviation of the same.
        l2r: norm of the errors over the norm of the expected values; infinity where only that one is zero.
        nse: Nash-Sutcliffe efficiency, 1 - sum of squared errors / sum of squared distances of the expected values from
            their mean; NaN where these are all the same.
        cos: cosine of the angle between the two; NaN where one is all zeros.
        nan_expected: NaNs in the expected tensor.
        nan_got: NaNs in the other.
    """

    max_abs: float
    max_rel: float
    max_ulp: int
    rmse: float
    mae: float
    mean: float
    std: float
    l2r: float
    nse: float
    cos: float
    nan_expected: int
    nan_got: int


def measure(expected: NDArray[np.float32], got: NDArray[np.float32]) -> Metrics:
    """All distances between two float32 arrays of the same shape, with at least one element.

    Raises:
        ValueError: shapes or dtypes differ, or there is no element.
    """
    _require_comparable(expected, got)
    errors = absolute_errors(expected, got)
    with np.errstate(all="ignore"):
        magnitude = np.abs(expected.astype(np.float64))
        relative = np.where((errors == 0) | np.isinf(errors), errors, errors / magnitude)
        return Metrics(
            max_abs=float(errors.max()),
            max_rel=float(np.max(relative, where=magnitude != 0, initial=0.0)),
            max_ulp=int(ulp_distances(expected, got).max()),
            rmse=float(np.sqrt(np.mean(np.square(errors)))),
            mae=float(errors.mean()),
            **_of_finite(expected, got, errors),
            nan_expected=int(np.isnan(expected).sum()),
            nan_got=int(np.isnan(got).sum()),
        )


def _of_finite(expected: Array, got: Array, errors: Float64Array) -> dict[str, float]:
    """The measures for which only finite values count; an infinite error still shows in l2r and nse."""
    finite = np.isfinite(expected) & np.isfinite(got)
    a, b = expected[finite].astype(np.float64), got[finite].astype(np.float64)
    squared_error = float(np.sum(np.square(errors)))
    norm = float(np.linalg.norm(a))
    spread = float(np.sum(np.square(a - a.mean()))) if a.size else 0.0
    norms = norm * float(np.linalg.norm(b))
    return {
        "mean": float((b - a).mean()) if a.size else math.nan,
        "std": float((b - a).std()) if a.size else math.nan,
        "l2r": math.sqrt(squared_error) / norm if norm else math.inf if squared_error else 0.0,
        "nse": 1.0 - squared_error / spread if spread else math.nan,
        "cos": float(a @ b) / norms if norms else math.nan,
    }


def absolute_errors(expected: Array, got: Array) -> Float64Array:
    """abs(got - expected) of every element, in float64, where no difference of two float32 is rounded to zero."""
    with np.errstate(all="ignore"):
        errors = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    same = (expected == got) | (np.isnan(expected) & np.isnan(got))
    return np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors))


def ulp_distances(expected: NDArray[np.float32], got: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many float32 steps lie between the two: int64, 0 for +0 and -0, ULP_OF_NAN for a NaN and a number."""
    distances: NDArray[np.int64] = np.abs(_ordered(expected) - _ordered(got))
    one_nan = np.isnan(expected) != np.isnan(got)
    both_nan = np.isnan(expected) & np.isnan(got)
    return np.where(one_nan, ULP_OF_NAN, np.where(both_nan, 0, distances))


def _ordered(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """The float32's bits as integers in the order of the values: neighbours differ by 1, both zeros are 0."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _require_comparable(expected: NDArray[Any], got: NDArray[Any]) -> None:
    if expected.dtype != np.float32 or got.dtype != np.float32:
        raise ValueError(f"measures are of float32, not of {expected.dtype} and {got.dtype}")
    if expected.shape != got.shape or expected.size == 0:
        raise ValueError(f"shapes {expected.shape} and {got.shape} cannot be compared")
