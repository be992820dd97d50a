"""Where tolerances come from, what they say of themselves, and when there is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.compare.tolerance import (
    ILL_CONDITIONED,
    Tolerance,
    derived,
    distance_to_float64,
    refuse_below_oracle,
    tolerances,
)
from harness.errors import ExitCode, OracleError, UsageError


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def test_distance_of_each_tensor() -> None:
    keras = {"a": f32([[1, 2]]), "b": f32([[math.nan, math.inf]])}
    float64 = {"a": np.array([[1, 2.25]]), "b": np.array([[math.nan, math.inf]])}
    assert distance_to_float64(keras, float64) == {"a": 0.25, "b": 0}


@pytest.mark.parametrize(("keras", "float64"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1e300)])
def test_nan_and_infinity_on_one_side_are_infinitely_far(keras: float, float64: float) -> None:
    assert distance_to_float64({"a": f32([keras])}, {"a": np.array([float64])}) == {"a": math.inf}


def test_default_is_four_times_keras_own_distance_or_the_least() -> None:
    derived = tolerances({"near": 1e-8, "far": 1e-6})
    assert (derived["near"].atol, derived["near"].rtol) == (5e-7, 2e-6)
    assert (derived["far"].atol, derived["far"].rtol) == (4e-6, 2e-6)
    assert "4 times Keras' own distance of 1e-06" in derived["far"].reason
    assert "least one, 5e-07" in derived["near"].reason
    assert "1e-08" in derived["near"].reason
    assert "rtol is the default 2e-06" in derived["near"].reason


@pytest.mark.parametrize("distance", [ILL_CONDITIONED * 1.001, math.inf, math.nan])
def test_no_verdict_on_an_ill_conditioned_model(distance: float) -> None:
    with pytest.raises(OracleError, match=r"'lstm\.c'") as caught:
        tolerances({"lstm.h": 1e-8, "lstm.c": distance})
    assert caught.value.exit_code is ExitCode.ORACLE
    assert "--atol" in caught.value.remedy
    with_atol = tolerances({"lstm.c": distance}, atol=1e-2)["lstm.c"]
    with_rtol = tolerances({"lstm.c": distance}, rtol=1e-2)["lstm.c"]
    assert (with_atol.atol, with_atol.rtol) == (1e-2, 2e-6)
    assert (with_rtol.atol, with_rtol.rtol) == (5e-7, 1e-2)
    assert "gives none" in with_rtol.reason


def test_what_the_user_gives_replaces_what_is_derived() -> None:
    assert tolerances({"a": 1e-6}, 0, 0)["a"] == Tolerance(0, 0, "atol was given; rtol was given")
    given = tolerances({"a": 1e-6}, rtol=1e-5)["a"]
    assert (given.atol, given.rtol) == (4e-6, 1e-5)


@pytest.mark.parametrize("wrong", [-1e-9, math.nan, math.inf])
def test_tolerances_out_of_range(wrong: float) -> None:
    with pytest.raises(UsageError, match="--atol"):
        tolerances({"a": 0}, atol=wrong)
    with pytest.raises(UsageError, match="--rtol"):
        tolerances({"a": 0}, rtol=wrong)


def test_allowed_error() -> None:
    allowed = Tolerance(1e-3, 1e-2, "test").allowed(f32([0, -2, math.inf, math.nan]))
    np.testing.assert_allclose(allowed, [0.001, 0.021, 0.001, 0.001])


def test_the_guard_band_is_keras_own_distance() -> None:
    assert derived({"h": 3e-7})["h"].guard == 3e-7
    given = tolerances({"h": 3e-7}, atol=1e-6, rtol=0)["h"]
    np.testing.assert_allclose(given.guarded(np.zeros(1, np.float32)), 7.5e-7)
    wide = tolerances({"h": 3e-7}, atol=1e-5, rtol=0)["h"]
    np.testing.assert_allclose(wide.guarded(np.zeros(1, np.float32)), 9.7e-6)


EXPECTED = {"h": f32([[0.5, -1.0]]), "c": np.ones((1, 2), np.float32)}
"""Keras is off by 3e-7 in an h of 1, and by 1e-8 in an h of 0.5."""


def check_given_by_a_person(atol: float | None, rtol: float | None, **changed: tuple[Any, Any]) -> None:
    """Hold tolerances against EXPECTED, or against other tensors: of each Keras' values and those of float64."""
    exact = {"h": EXPECTED["h"] + np.array([[1e-8, 3e-7]]), "c": EXPECTED["c"] + 1e-8}
    expected = {**EXPECTED, **{name: f32(keras) for name, (keras, _) in changed.items()}}
    exact |= {name: np.array(float64) for name, (_, float64) in changed.items()}
    refuse_below_oracle(tolerances(distance_to_float64(expected, exact), atol, rtol), expected, exact)


@pytest.mark.parametrize(("atol", "rtol"), [(4e-7, 0), (0, 4e-7), (0, 0)])
def test_a_tolerance_that_exact_values_are_within(atol: float, rtol: float) -> None:
    """Zero for both is equality."""
    check_given_by_a_person(atol, rtol)


@pytest.mark.parametrize(("atol", "rtol"), [(1e-7, 0.0), (0.0, 1e-7), (1e-7, 1e-7)])
def test_a_tolerance_below_keras_own_distance_is_refused(atol: float, rtol: float) -> None:
    with pytest.raises(UsageError, match=r"'h'.*3e-07 from float64") as caught:
        check_given_by_a_person(atol, rtol)
    assert caught.value.code == "tolerance_below_oracle"
    assert "6e-07" in caught.value.remedy


def test_each_element_counts_and_not_the_largest_alone() -> None:
    """The largest allows 2e-6, and Keras is off by 1e-9 where 1.6e-10 are allowed."""
    with pytest.raises(UsageError, match=r"^1\.6e-10 .*'c'.* 1e-09 from float64") as caught:
        check_given_by_a_person(0, 2e-6, c=([[1, 8e-5]], [[1, np.float64(np.float32(8e-5)) + 1e-9]]))
    assert "6e-07, or none" in caught.value.remedy, "what is enough everywhere"
    with pytest.raises(UsageError, match=r"^0 .*'c'.* 1e-40 from float64"):
        check_given_by_a_person(0, 2e-6, c=([[1, 0]], [[1, 1e-40]]))


def test_what_no_float32_tells_apart_is_no_distance() -> None:
    """The softmax of a sure classifier is 1e-52 in float64, and 0 in any float32 program."""
    check_given_by_a_person(0, 2e-6, c=([[1, 0]], [[1, 1e-52]]))


def test_given_tolerances_overrule_that_a_model_is_ill_conditioned() -> None:
    """What is infinitely far off is beyond any tolerance, and is left to the verdict; a number is held against it."""
    both_nan, one_nan = ([math.nan, 1e30], [math.nan, 1.1e30]), ([math.nan, 1e30, math.inf], [1.0, 1.1e30, 1e300])
    check_given_by_a_person(None, 0.2, c=both_nan)
    check_given_by_a_person(None, 0.2, c=one_nan)
    check_given_by_a_person(1e30, None, c=one_nan)
    with pytest.raises(UsageError, match=r"'c'.* 1e\+29 from float64") as caught:
        check_given_by_a_person(1e-2, None, c=one_nan)
    assert caught.value.remedy == "Give an --atol of at least 2e+29.", "none is derived of such a model"
