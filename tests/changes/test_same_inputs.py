"""Two sides that were, or are to be, given the same inputs: what is said where they cannot be, or were not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import seeds
from harness.changes.same_inputs import other_inputs, refuse_other_shapes
from harness.changes.side import Side
from harness.errors import UsageError
from harness.model.spec import ModelSpec, NetworkInput

SPEC = seeds.random_lstm(3, 5)
TEN = replace(SPEC, steps=10)


def run_of(name: str, shape: list[int], seed: int | None = 0, spec: ModelSpec | None = None) -> Side:
    return Side(name, {"inputs": {"sha256": name, "shape": shape, "seed": seed}}, {}, spec)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input_size": 4}, "b.keras takes x (any, any, 4): no inputs fit both"),
        ({"beside": (NetworkInput("v", 2, 0),)}, "x (any, any, 3), v (any, 2)"),
        ({"mask_input": "m"}, "x (any, any, 3), mask (any, any)"),
    ],
)
def test_models_that_no_inputs_fit_are_named_with_their_shapes(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_other_shapes("a.keras", SPEC, "b.keras", replace(SPEC, **changed))
    assert caught.value.message.startswith("a.keras takes x (any, any, 3), b.keras takes x (")
    assert said in caught.value.message
    assert "`hil validate a.keras b.keras`" in caught.value.remedy


def test_what_one_fixes_and_the_other_leaves_open_fits() -> None:
    refuse_other_shapes("a", TEN, "b", replace(SPEC, batch=4))
    with pytest.raises(UsageError, match=r"a takes x \(any, 10, 3\), b takes x \(any, 12, 3\)"):
        refuse_other_shapes("a", TEN, "b", replace(SPEC, steps=12))


@pytest.mark.parametrize(
    ("first", "side", "code", "remedy"),
    [
        (run_of("a", [8, 16, 3], 0, SPEC), run_of("b", [8, 10, 3], 0, TEN), "other_inputs", "--steps 10"),
        (run_of("a", [2, 4, 3], 7), run_of("b", [8, 16, 3], 0, SPEC), "other_inputs", "--batch 2 --steps 4 --seed 7"),
        (run_of("a", [2, 4, 3], None), run_of("b", [8, 16, 3], 0, SPEC), "other_inputs", "those of a are not random"),
        (run_of("a", [2, 4, 3], 0), run_of("b", [2, 5, 3], 0), "other_inputs", "run both on the same inputs"),
        (run_of("a", [2, 4, 3], 0), run_of("b", [2, 4, 5], 0, SPEC), "other_shapes", "that take the same inputs"),
        (run_of("a.golden", [2, 4, 3], 1, SPEC), run_of("b", [8, 16, 3], 0, SPEC), "other_inputs", "of its own"),
    ],
)  # fmt: skip
def test_the_remedy_is_one_that_helps(first: Side, side: Side, code: str, remedy: str) -> None:
    error = other_inputs(first, side)
    assert error.code == code
    assert remedy in error.remedy
    assert f"{first.name} x (" in error.message
