"""The firmware's activation functions, without the network around them: errors, ends of the range, NaN."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.accuracy.activations import OF_ALL, SMOOTH, all_decades, exact, firmware, measure
from harness.build.paths import project_root
from harness.compare.metrics import ulp_distances
from harness.oracle.activations import ACTIVATIONS
from harness.protocol.wire import Activation

PIECEWISE = sorted(set(Activation) - {*SMOOTH, *OF_ALL})
MAX_ULP = 4
"""Of the smooth ones; tanh, exponential and their kin keep to 1, as the table in docs/ACCURACY.md says of each."""


@pytest.mark.parametrize("kind", SMOOTH)
def test_smooth_functions_keep_their_digits_over_all_decades(kind: Activation) -> None:
    assert measure(kind).max_ulp <= MAX_ULP


def test_the_documented_errors_are_the_measured_ones() -> None:
    document = (project_root() / "docs" / "ACCURACY.md").read_text(encoding="utf-8")
    for kind in SMOOTH:
        errors = measure(kind)
        row = f"| {kind.name.lower()} | {errors.max_abs:.1e} | {errors.max_ulp} |"
        assert row in document, "run python -m harness.accuracy"


@pytest.mark.parametrize("kind", PIECEWISE)
def test_piecewise_functions_are_the_formula_in_float32(kind: Activation) -> None:
    x = all_decades()
    with np.errstate(all="ignore"):
        want = ACTIVATIONS[kind](x)
    np.testing.assert_array_equal(firmware(kind, x), want)


@pytest.mark.parametrize("kind", sorted(set(Activation) - set(OF_ALL)))
def test_nan_and_infinity_are_where_the_formula_has_them(kind: Activation) -> None:
    x = all_decades()
    got, want = firmware(kind, x), exact(kind, x)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    with np.errstate(over="ignore"):
        narrowed = want.astype(np.float32)
    differ = np.isinf(got) != np.isinf(narrowed)
    # One step from overflow the rounding decides.
    assert ulp_distances(narrowed[differ], got[differ]).max(initial=0) <= 1


@pytest.mark.parametrize("kind", sorted(set(Activation) - set(OF_ALL)))
def test_nothing_steps_back_or_jumps(kind: Activation) -> None:
    """Beside each border inside an implementation the neighbours agree: no gap between two pieces."""
    for border in (-20, -17.5, -3, -2.5, -1, -0.625, -0.5, 0, 0.5, 0.625, 1, 2.5, 3, 6, 8, 15, 20, 8192):
        near = np.float32(border) * (1 + np.arange(-3, 4, dtype=np.float32) * np.float32(1.2e-7))
        if kind is Activation.HARD_SHRINK and abs(border) == 0.5:
            continue  # which does jump
        got, want = firmware(kind, near.astype(np.float32)), exact(kind, near)
        np.testing.assert_allclose(got, want, rtol=5e-7, atol=1e-7, err_msg=str(border))


def test_exp_at_the_ends_of_its_range() -> None:
    x = np.array(
        [0, -0.0, 88.72283, 88.7229, 200, np.inf, -103.97, -104, -1e30, -np.inf, np.nan, -87.4, -100], np.float32
    )
    with np.errstate(over="ignore", under="ignore"):
        want = np.exp(x.astype(np.float64)).astype(np.float32)
    got = firmware(Activation.EXPONENTIAL, x)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    np.testing.assert_array_equal(got[0:2], [1, 1])
    assert ulp_distances(want[finite], got[finite]).max() <= 1


@pytest.mark.parametrize(
    "kind",
    [Activation.SIGMOID, Activation.TANH, Activation.HARD_SIGMOID, Activation.HARD_SIGMOID_KERAS2, Activation.HARD_TANH,
     Activation.SPARSE_SIGMOID],
)  # fmt: skip
def test_saturation(kind: Activation) -> None:
    x = np.array([1e4, -1e4, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan], np.float32)
    low = -1.0 if kind in (Activation.TANH, Activation.HARD_TANH) else 0.0
    np.testing.assert_array_equal(firmware(kind, x), [1, low, 1, low, 1, low, np.nan])


def test_small_values_survive_tanh() -> None:
    x = np.array([0.0, 1e-45, -1e-45, 1e-39, 1e-20], np.float32)
    assert firmware(Activation.TANH, x).tobytes() == x.tobytes(), "denormals are not flushed"


@pytest.mark.parametrize("kind", OF_ALL)
@pytest.mark.parametrize("length", [1, 2, 3, 10, 75])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 100.0])
def test_functions_of_a_row(kind: Activation, length: int, scale: float) -> None:
    x = (scale * np.random.default_rng(length).standard_normal((300, length))).astype(np.float32)
    np.testing.assert_allclose(firmware(kind, x), exact(kind, x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", OF_ALL)
def test_functions_of_a_row_move_with_it(kind: Activation) -> None:
    """Adding a number to the whole row changes nothing, however large, as far as float32 can hold the row."""
    x = (np.arange(-8, 8).reshape(2, 8) / 4).astype(np.float32)
    moved = (x + 2.0**20).astype(np.float32)
    np.testing.assert_array_equal(firmware(kind, moved), firmware(kind, x))


@pytest.mark.parametrize("kind", OF_ALL)
def test_special_values_in_a_row(kind: Activation) -> None:
    nan, inf, big = np.nan, np.inf, 3e38
    rows = [
        (1, nan, 2), (nan, 1, 2), (1, 2, nan), (nan, nan, 0), (nan, nan, nan), (1, inf, 2), (inf, inf, 1), (1, -inf, 2),
        (-inf, -inf, -inf), (inf, -inf, 0), (nan, -inf, 1), (-big, -big, 0), (0, 0, 0),
    ]  # fmt: skip
    x = np.array(rows, np.float32)
    np.testing.assert_allclose(firmware(kind, x), exact(kind, x).astype(np.float32), rtol=1e-6)


def test_every_activation_is_in_one_family() -> None:
    assert len(PIECEWISE) + len(SMOOTH) + len(OF_ALL) == len(Activation) == len(ACTIVATIONS)
    names = {activation.name for activation in Activation}
    header = (project_root() / "firmware" / "lib" / "wire" / "wire_defs.h").read_text(encoding="utf-8")
    assert set(re.findall(r"WIRE_ACT_(\w+) =", header)) == names
