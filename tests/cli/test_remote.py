"""A task on a worker: what ends it when nobody waits for it any more. No dask is needed for that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.bootstrap.system import missing_parts
from harness.cli import remote
from harness.cli.session import ModelFiles, Settings
from harness.spread.giving_up import GivenUp, check, give_up, of_run
from harness.targets.choice import TargetChoice
from harness.validation import Limits
from marked_processes import descendants

GOLDEN = Path(__file__).parents[1] / "golden" / "v1.golden"


def test_a_run_that_was_given_up_ends_with_its_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    before = set(descendants(os.getpid()))
    seen: list[set[int]] = []

    def given_up_in_the_middle() -> None:
        if running := set(descendants(os.getpid())) - before:  # the first share comes before the target
            seen.append(running)
            give_up("this run")
        check()

    monkeypatch.setattr(remote, "check", given_up_in_the_middle)
    task = remote.task_of(ModelFiles(GOLDEN), Settings((TargetChoice("native"),), Limits()))
    with pytest.raises(GivenUp):
        of_run("this run", remote.run_task, task)
    assert len(seen) == 1, "the firmware ran when it was given up"
    (running,) = seen
    assert not running & set(descendants(os.getpid()))
    with pytest.raises(GivenUp):
        of_run("this run", str, 1)
    assert of_run("another run", str, 1) == "1"
