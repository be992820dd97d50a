"""What is found out beside the numbers, and what was not."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from harness.diagnosis.score import score
from harness.report.page import report_page
from harness.report.reasons import print_findings
from report_runs import made_run, record
from report_schema import check_record


def test_mistakes_that_were_not_tried_are_warned_of() -> None:
    """On a busy machine the time is up early: what a PASS then says nothing of must not be overlooked."""
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
