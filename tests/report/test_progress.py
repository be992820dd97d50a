"""How far a run has come: lines for a pipe now and then, none where there is nothing to wait for."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.report import progress


def shown(monkeypatch: pytest.MonkeyPatch, seconds_per_sequence: float) -> str:
    """What is printed of one run of ten sequences."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    output = io.StringIO()
    console = Console(file=output, force_terminal=False, width=200)
    with progress.RunsProgress(console, 1) as runs:
        for done in range(1, 11):
            now[0] += seconds_per_sequence
            runs.progressed(0, done / 10)
        runs.finished(0)
    return output.getvalue()


def test_a_long_run_tells_a_pipe_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 3.0).splitlines()
    assert len(lines) == 5, "every second one of 3 s: no more often than each 5 s"
    assert [line.split(",")[0] for line in lines] == [f"done    {share}%" for share in (20, 40, 60, 80, 100)]
    assert all(" left" in line for line in lines)


def test_what_is_done_behind_the_last_sequence_is_told_where_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    output = io.StringIO()
    with progress.RunsProgress(Console(file=output, force_terminal=False, width=200), 2) as runs:
        for step in range(8):
            now[0] += 6.0 if step == 0 else 0.1
            runs.doing(f"{step} of 8 steps on their own")
        assert output.getvalue() == "", "the time before it is none of it"
        now[0] += 5.0
        runs.doing("8 of 8 steps on their own")
    assert output.getvalue() == "done    8 of 8 steps on their own\n"


def test_a_short_run_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, 0.1) == ""
