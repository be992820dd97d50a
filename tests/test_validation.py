"""The verdict line of a run."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import seeds
from harness.compare.tolerance import derived, distance_to_float64
from harness.diagnosis.coverage import coverage_of
from harness.diagnosis.score import Score, Unseen
from harness.errors import ModelRefused, UsageError
from harness.model.inputs import Inputs
from harness.model.nodes import ActivationNode
from harness.model.trace import TraceLevel
from harness.oracle.reference import reference
from harness.protocol.wire import Activation, Phase
from harness.report.page import report_page
from harness.report.terminal import print_summary
from harness.report.testcase import properties
from harness.validation import Limits, Validation, validate
from report_runs import ByReference, made_run, record


def test_the_verdict_line_counts_tensors() -> None:
    assert "PASS" in made_run().summary
    assert ": 5 tensors within tolerance, closest " in made_run().summary
    assert ": 1 tensor within tolerance, closest output at " in made_run(level=TraceLevel.NONE).summary


def run_that_sees(unseen: int, not_tried: int = 0, **options: Any) -> Validation:
    """A run whose score says that 63 mistakes were tried."""
    run = made_run(**options)
    assert run.loaded is not None
    assert run.inputs is not None
    spec, inputs = run.loaded.spec, run.inputs
    coverage = coverage_of(spec, inputs, reference(spec, inputs, gates=True))
    untried = (("swap_gates_f_c", None),) * not_tried
    run.score = Score(63, (Unseen("bias_dropped", None, 0.5),) * unseen, (), untried, coverage)
    return run


@pytest.mark.parametrize(
    ("unseen", "not_tried", "sees"),
    [(51, 0, "12 of 63 mistakes"), (0, 5, "63 of 63 mistakes, 5 not tried"), (0, 0, "")],
)
def test_a_pass_on_inputs_that_show_little_says_so_wherever_one_looks(unseen: int, not_tried: int, sees: str) -> None:
    run = run_that_sees(unseen, not_tried)
    assert run.summary.startswith("PASS seed.keras: 5 tensors within tolerance, closest ")
    assert run.summary.endswith(f"% of it{f', sees {sees}' if sees else ''} (exit 0)")
    assert dict(properties(run, "again", {})).get("hil_sees", "") == sees
    head = report_page(record(run)).partition("</header>")[0]
    assert (f"These inputs see {sees}; this verdict says nothing of the others." in head) == bool(sees)
    assert ("These inputs" in head) == bool(sees)
    shown = StringIO()
    print_summary(Console(file=shown, width=200), [run, run_that_sees(0)])
    titles, first, second, counts = shown.getvalue().splitlines()
    assert ("sees" in titles) == bool(sees)
    assert sees in first
    assert "mistakes" not in second
    assert counts == "2 PASS"


def test_what_inputs_see_is_told_of_a_pass_alone() -> None:
    def change(got: dict[str, Any]) -> None:
        got["lstm.h"][0, 0, 0] += 1

    failed = run_that_sees(51, change=change)
    assert failed.verdict == "FAIL"
    assert "mistakes" not in failed.summary
    assert "These inputs" not in report_page(record(failed)).partition("</header>")[0]


def test_a_path_without_a_name_is_told_whole() -> None:
    run = Validation(Path("."), error=ModelRefused("it is a folder", code="model_unreadable"))
    assert run.summary.startswith("ERROR .: model_unreadable")
    assert record(run)["model"]["file"] == "."
    shown = StringIO()
    print_summary(Console(file=shown, width=200), [run, made_run()])
    assert shown.getvalue().splitlines()[1].split()[:2] == [".", "ERROR"]


def test_nans_on_both_sides_do_not_hide_what_the_inputs_see() -> None:
    run = run_that_sees(51, inputs=Inputs(np.full((1, 2, 3), np.nan, np.float32)))
    assert run.summary.endswith("NaN on both sides, sees 12 of 63 mistakes (exit 0)")


class _ReachedError(UsageError):
    """The device would be started."""


@pytest.mark.parametrize(
    ("atol", "rtol", "level", "is_refused"),
    [
        (0, 2e-6, TraceLevel.HC, True),
        (0, 2e-6, TraceLevel.GATES, True),
        (0, 2e-6, TraceLevel.NONE, False),
        (1e-6, None, TraceLevel.GATES, False),
        (None, 0, TraceLevel.HC, False),
        (0, 0, TraceLevel.HC, False),
        (None, None, TraceLevel.HC, False),
    ],
)
@pytest.mark.parametrize("is_golden", [False, True])
def test_given_tolerances_are_held_against_keras_at_each_element(
    atol: float | None, rtol: float | None, level: TraceLevel, is_refused: bool, is_golden: bool
) -> None:
    """Some h are near 0, where 2e-6 of them is less than any float32 program is off by; the outputs are not."""

    def device_for(_: object) -> Any:
        raise _ReachedError("", remedy="")

    spec = seeds.random_lstm(3, 5)
    softmax = ActivationNode("softmax", 0, Phase.EVERY_STEP, 5, Activation.SOFTMAX)
    spec = replace(spec, nodes=(*spec.nodes, softmax), outputs=(1,))
    made = made_run(spec, level=level)
    assert made.expected is not None
    assert made.inputs is not None
    inputs = made.inputs
    exact = level.of(reference(spec, inputs, gates=True))
    made.expected = replace(made.expected, tensors=made.got)
    made.max_abs_to_float64 = distance_to_float64(made.got, exact)
    oracle = ByReference(made, derived(made.max_abs_to_float64) if is_golden else None)
    run = validate(made.model_path, lambda _: inputs, device_for, Limits(atol, rtol), oracle, level=level)
    assert run.error is not None
    assert (run.error.code == "tolerance_below_oracle") == is_refused, run.error
    assert isinstance(run.error, _ReachedError) != is_refused
