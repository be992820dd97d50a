"""One model as a task for a worker on another machine: its files travel with it."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.build.identity import program_identity
from harness.cli.session import ModelFiles, Outcome, Settings
from harness.errors import HilError
from harness.spread.giving_up import check


@dataclass(frozen=True)
class File:
    """A file's name and what is in it; None in place of the content: it could not be read here, which is told there."""

    path: Path
    content: bytes | None


@dataclass(frozen=True)
class Task:
    """One model with all that is read, by the names of ModelFiles. Can be pickled."""

    settings: Settings
    files: Mapping[str, File]


def task_of(files: ModelFiles, settings: Settings) -> Task:
    """The task of one model."""
    return Task(settings, {name: _read(path) for name, path in files.paths.items() if path is not None})


def run_task(task: Task) -> Outcome:
    """Validate it here, on a target of its own; what is told of it names the files as they were given.

    Raises:
        GivenUp: nobody waits for it any more.
    """
    with tempfile.TemporaryDirectory(prefix="lstm-hil-task-") as folder:
        there = {name: Path(folder, name, file.path.name) for name, file in task.files.items()}
        for name, file in task.files.items():
            there[name].parent.mkdir()
            if file.content is not None:
                there[name].write_bytes(file.content)
        with task.settings.session() as session:
            outcome = session(ModelFiles(**there), lambda _: check())
    run, given = outcome.run, task.files
    run.model_path = given["model"].path
    if run.loaded is not None:
        weights = given["weights"].path if "weights" in given else None
        run.loaded = replace(run.loaded, path=run.model_path, weights_path=weights)
    if run.expected_file is not None and "expected" in given:
        run.expected_file = replace(run.expected_file, path=given["expected"].path)
    if run.error is not None:
        _name_as_given(run.error, {str(there[name]): str(file.path) for name, file in given.items()})
    target = outcome.target
    if target is not None:
        target = replace(target, described={**target.described, "worker": platform.node()})
    return replace(outcome, target=target)


def identity() -> str:
    """Which program runs here."""
    return program_identity()


def _read(path: Path) -> File:
    try:
        return File(path, path.read_bytes() if path.is_file() else None)
    except OSError:
        return File(path, None)


def _name_as_given(error: HilError, names: dict[str, str]) -> None:
    for there, here in names.items():
        error.message = error.message.replace(there, here)
        error.remedy = error.remedy.replace(there, here)
