"""What was done to weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import seeds
from harness.changes.weights import coarseness, weight_changes
from harness.model.array_types import Float32Array
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec

SPEC = seeds.random_lstm(4, 6)
(NODE,) = SPEC.nodes
assert isinstance(NODE, LstmNode)
KERNEL = NODE.kernel


def with_kernel(kernel: Float32Array) -> ModelSpec:
    assert isinstance(NODE, LstmNode)
    return replace(SPEC, nodes=(replace(NODE, kernel=kernel.astype(np.float32)),))


def test_the_same_weights_have_not_changed() -> None:
    changes, only_one_has = weight_changes(SPEC, SPEC)
    assert [change.name for change in changes] == ["lstm.kernel", "lstm.recurrent_kernel", "lstm.bias"]
    assert [(change.changed, change.max_abs, change.rms) for change in changes] == [(0, 0.0, 0.0)] * 3
    assert only_one_has == []


def test_pruning_shows_in_zeros() -> None:
    pruned = np.where(np.abs(KERNEL) < 0.1, 0, KERNEL)
    count = int(np.count_nonzero(np.abs(KERNEL) < 0.1))
    assert 0 < count < KERNEL.size
    (change, *_), _ = weight_changes(SPEC, with_kernel(pruned))
    assert (change.before.zeros, change.after.zeros, change.changed) == (0, count, count)
    assert change.max_abs == pytest.approx(np.abs(KERNEL[np.abs(KERNEL) < 0.1]).max())


@pytest.mark.parametrize(
    ("rounded", "bits", "decimals"),
    [
        (KERNEL.astype(np.float16), 11, None),
        (np.round(KERNEL, 2), 24, 2),
        (np.round(KERNEL * 8) / 8, 4, 3),
        (np.zeros_like(KERNEL), 0, 0),
        (np.full_like(KERNEL, 3), 2, 0),
    ],
    ids=["float16", "2 decimals", "eighths", "zeros", "three"],
)
def test_rounding_shows_in_bits_and_decimals(rounded: Float32Array, bits: int, decimals: int | None) -> None:
    (change, *_), _ = weight_changes(SPEC, with_kernel(rounded))
    assert change.before.significant_bits == 24
    assert change.before.decimals is None
    assert change.after.significant_bits <= bits
    assert change.after.decimals == decimals
    assert change.after.distinct == np.unique(rounded).size


def test_another_shape_is_told_and_not_subtracted() -> None:
    (change, *_), _ = weight_changes(SPEC, seeds.random_lstm(5, 6))
    assert change.shape == ((4, 24), (5, 24))
    assert (change.max_abs, change.rms, change.changed) == (None, None, 120)


def test_what_only_one_has_is_named() -> None:
    _, only_one_has = weight_changes(SPEC, seeds.random_lstm(4, 6, bias=False))
    assert only_one_has == ["lstm.bias"]


@given(arrays(np.float32, st.integers(1, 8), elements=st.floats(width=32)))
def test_any_values_have_a_coarseness(array: Float32Array) -> None:
    found = coarseness(array)
    assert 0 <= found.zeros <= array.size
    assert 0 <= found.significant_bits <= 24
    assert 1 <= found.distinct <= array.size
