"""What is found out beside the numbers, and what was not."""

from __future__ import annotations

from io import StringIO

import numpy as np
from rich.console import Console

from harness.diagnosis.bisection import Bisection, Place, StepErrors
from harness.diagnosis.score import score
from harness.errors import LinkTimeout, ModelRefused
from harness.model.array_types import Float32Array
from harness.report.junit import junit_xml
from harness.report.page import report_page
from harness.report.reasons import print_findings
from harness.report.testcase import failure_lines
from harness.validation import Validation
from report_runs import made_run, record
from report_schema import check_record


def test_mistakes_that_were_not_tried_are_warned_of() -> None:
    """On a slow machine the time is up early: what a PASS then says nothing of must not be overlooked."""
    run = made_run()
    assert run.loaded is not None
    assert run.inputs is not None
    for limit_s, is_warned in ((0.0, True), (60.0, False)):
        run.score = score(run.loaded.spec, run.inputs, run.tolerances, limit_s=limit_s)
        shown = StringIO()
        print_findings(Console(file=shown, width=200), run)
        warnings = [line for line in shown.getvalue().splitlines() if line.startswith("warning ")]
        said = f"{run.score.not_tried} more mistakes were not tried in time: a PASS says nothing of them"
        assert [said in line for line in warnings] == [True] * is_warned
        check_record(record(run))
        assert (said in report_page(record(run), [])) == is_warned


def told(run: Validation) -> str:
    shown = StringIO()
    print_findings(Console(file=shown, width=400, soft_wrap=True), run)
    return shown.getvalue()


NEAREST = Place("lstm.h", "lstm", None, 0, 1, 2, None, 0.5, 0.5, 0.2)


def test_the_steps_of_a_pass_are_in_its_report_alone() -> None:
    run = made_run()
    run.bisection = Bisection(NEAREST, "none", (StepErrors(0, 1e-8, 1e-9),))
    assert told(run) == ""
    of_run = record(run)
    assert of_run["bisect"]["steps"] == [{"step": 0, "free_running": 1e-8, "teacher_forced": 1e-9}]
    assert of_run["bisect_note"] is None
    assert "Where and why" not in report_page(of_run)
    run.looked_closer = True
    assert told(run).startswith("where   nearest to its tolerance is seq 0 step 1 unit 2 of lstm.h: ")


def test_a_failure_that_is_not_of_the_device_has_its_own_first_line() -> None:
    """Values that somebody gave are wrong, or a bit: what is nearest to Keras' is no mistake."""

    def wrong(got: dict[str, Float32Array]) -> None:
        got["output"] = got["output"] + np.float32(1)

    run = made_run(change=wrong)
    run.bisection = Bisection(NEAREST, "none", (StepErrors(0, 1e-8, 1e-9),))
    assert told(run) == ""
    assert failure_lines(run, "again") == [run.summary, "again: again"]
    assert "where:" not in junit_xml([record(run)]).decode()
    assert "Where and why" not in report_page(record(run))


def test_a_device_that_fails_behind_a_pass_is_told_of_in_a_note() -> None:
    run = made_run()
    run.bisect_error = LinkTimeout("no answer to Run within 31 s")
    assert told(run) == "note    single steps: no answer to Run within 31 s\n"
    assert (run.verdict, run.exit_code) == ("PASS", 0)
    assert record(run)["bisect_note"] == "no answer to Run within 31 s"
    assert "Single steps: no answer to Run within 31 s." in report_page(record(run))
    run.bisect_error = ModelRefused("it does not fit")
    assert told(run) == "", "nothing has gone wrong"
    assert "Single steps: it does not fit." in report_page(record(run))
    run = made_run()
    run.bisection = Bisection(NEAREST, "none")
    assert told(run) == ""
    assert "Single steps: h and c of every step were not fetched (--trace hc)." in report_page(record(run))
