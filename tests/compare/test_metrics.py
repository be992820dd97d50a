"""Distances between float32 arrays, above all where a NaN or an infinity stands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.compare.metrics import ULP_OF_NAN, absolute_errors, measure, ulp_distances

NAN, INF = math.nan, math.inf


def f32(*values: float) -> NDArray[Any]:
    return np.array(values, dtype=np.float32)


def test_known_distances() -> None:
    got = measure(f32(1, -2, 0, 4), f32(1.5, -2, 0.25, 4))
    assert got.max_abs == 0.5
    assert got.max_rel == 0.5
    assert got.rmse == pytest.approx(math.sqrt((0.25 + 0.0625) / 4))
    assert (got.nan_expected, got.nan_got) == (0, 0)


def test_known_means() -> None:
    got = measure(f32(1, -2, 0, 4), f32(1.5, -2, 0.25, 4))
    assert got.mae == 0.1875
    assert got.mean == 0.1875
    assert got.std == pytest.approx(np.std([0.5, 0, 0.25, 0]))
    assert got.l2r == pytest.approx(math.sqrt(0.3125 / 21))
    assert got.nse == pytest.approx(1 - 0.3125 / (21 - 4 * 0.75**2))
    assert got.cos == pytest.approx((1.5 + 4 + 16) / math.sqrt(21 * (1.5**2 + 4 + 0.0625 + 16)))


def test_means_where_there_is_nothing_to_divide_by() -> None:
    zeros = measure(f32(0, 0), f32(0, 0))
    assert (zeros.mae, zeros.mean, zeros.std, zeros.l2r) == (0, 0, 0, 0)
    assert math.isnan(zeros.nse)
    assert math.isnan(zeros.cos)
    assert measure(f32(0, 0), f32(0, 1)).l2r == INF
    nowhere_finite = measure(f32(NAN, INF), f32(NAN, 1))
    assert math.isnan(nowhere_finite.mean)
    assert (nowhere_finite.mae, nowhere_finite.l2r) == (INF, INF)


def test_equal_arrays_are_at_no_distance() -> None:
    values = f32(0, 1e-45, -3.4e38, NAN, INF, -INF)
    got = measure(values, values.copy())
    assert (got.max_abs, got.max_rel, got.max_ulp, got.rmse) == (0, 0, 0, 0)
    assert (got.nan_expected, got.nan_got) == (1, 1)


@pytest.mark.parametrize(
    ("expected", "got"), [(1, NAN), (NAN, 1), (INF, NAN), (NAN, INF), (INF, -INF), (1, INF), (INF, 3.4e38), (0, NAN)]
)
def test_an_unmatched_nan_or_infinity_is_infinitely_far(expected: float, got: float) -> None:
    result = measure(f32(0, expected), f32(0, got))
    assert result.max_abs == INF
    assert result.rmse == INF
    assert result.max_ulp > 0


def test_relative_errors_leave_out_expected_zeros() -> None:
    assert measure(f32(0, 2), f32(1, 2)).max_rel == 0
    assert measure(f32(0, 0), f32(1, 2)).max_rel == 0


@pytest.mark.parametrize(
    ("expected", "got", "distance"),
    [
        (1.0, np.nextafter(np.float32(1), np.float32(2)), 1),
        (0.0, -0.0, 0),
        (-1e-45, 1e-45, 2),
        (1.0, 2.0, 1 << 23),
        (-INF, INF, 2 * 0x7F800000),
        (NAN, NAN, 0),
        (NAN, 0.0, ULP_OF_NAN),
        (0.0, NAN, ULP_OF_NAN),
        (-NAN, NAN, 0),
    ],
)
def test_ulp(expected: float, got: float, distance: int) -> None:
    assert ulp_distances(f32(expected), f32(got)).tolist() == [distance]


def test_differences_of_denormals_are_seen() -> None:
    assert absolute_errors(f32(1e-45), f32(0))[0] > 0


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (f32(1), np.array([1.0])),
        (np.array([1.0]), f32(1)),
        (f32(1, 2), f32(1)),
        (f32(), f32()),
        (f32(1).reshape(1, 1), f32(1)),
    ],
)
def test_what_cannot_be_compared(expected: NDArray[Any], got: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"measures are of float32|cannot be compared"):
        measure(expected, got)
