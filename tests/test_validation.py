"""The verdict line of a run."""

from __future__ import annotations

from harness.model.trace import TraceLevel
from report_runs import made_run


def test_the_verdict_line_counts_tensors() -> None:
    assert "PASS" in made_run().summary
    assert ": 5 tensors within tolerance, closest " in made_run().summary
    assert ": 1 tensor within tolerance, closest output at " in made_run(level=TraceLevel.NONE).summary
