"""What holds for distances of any float32 values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed (./hil setup --dev)")

from hypothesis import example, given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from harness.compare.metrics import absolute_errors, measure, ulp_distances  # noqa: E402

any_float = st.floats(width=32)
pairs = st.lists(st.tuples(any_float, any_float), min_size=1, max_size=20)


def arrays(values: list[tuple[float, float]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    columns = np.array(values, dtype=np.float32)
    return columns[:, 0], columns[:, 1]


@given(pairs)
@example([(math.nan, math.nan), (math.inf, math.inf), (1.0, 2.0)])
def test_distances_are_symmetric_and_never_nan(values: list[tuple[float, float]]) -> None:
    expected, got = arrays(values)
    there, back = measure(expected, got), measure(got, expected)
    assert (there.max_abs, there.max_ulp, there.rmse) == (back.max_abs, back.max_ulp, back.rmse)
    assert not any(math.isnan(value) for value in (there.max_abs, there.max_rel, there.rmse))
    assert min(there.max_abs, there.max_rel, there.max_ulp, there.rmse) >= 0


@given(pairs)
def test_the_measures_agree_on_what_is_equal(values: list[tuple[float, float]]) -> None:
    expected, got = arrays(values)
    equal = np.array_equal(expected, got, equal_nan=True)
    result = measure(expected, got)
    assert (result.max_abs == 0) == (result.max_ulp == 0) == (result.rmse == 0 or result.max_abs < 1e-100) == equal


@given(pairs)
def test_rmse_is_at_most_the_largest_error(values: list[tuple[float, float]]) -> None:
    result = measure(*arrays(values))
    assert result.rmse <= result.max_abs * (1 + 1e-12)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.booleans())
def test_the_next_float_is_one_ulp_away(value: float, upwards: bool) -> None:
    here = np.array([value], dtype=np.float32)
    with np.errstate(over="ignore"):  # beyond the largest float32 is infinity
        there = np.nextafter(here, np.float32(np.inf if upwards else -np.inf))
    assert ulp_distances(here, there).tolist() == [1]


@given(st.lists(any_float.filter(lambda value: not math.isnan(value)), min_size=3, max_size=3))
def test_ulps_add_up_along_the_line(values: list[float]) -> None:
    low, middle, high = (np.array([value], dtype=np.float32) for value in sorted(values))
    assert ulp_distances(low, high) == ulp_distances(low, middle) + ulp_distances(middle, high)


@given(any_float)
def test_an_element_is_at_no_distance_from_itself(value: float) -> None:
    array = np.array([value], dtype=np.float32)
    assert absolute_errors(array, array).tolist() == [0]
