"""One model as a task for a worker on another machine: its files travel with it."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from harness.build.identity import program_identity
from harness.cli.session import ModelFiles, Outcome, Settings
from harness.errors import HilError


@dataclass(frozen=True)
class File:
    """A file's name and what is in it; None in place of the content: it could not be read here, which is told there."""

    path: Path
    content: bytes | None


@dataclass(frozen=True)
class Task:
    """One model with all that is read. Can be pickled."""

    settings: Settings
    model: File
    weights: File | None
    inputs: File | None
    expected: File | None = None


def task_of(files: ModelFiles, settings: Settings) -> Task:
    """The task of one model."""
    others = (files.weights, files.inputs, files.expected)
    return Task(settings, _read(files.model), *(None if path is None else _read(path) for path in others))


def run_task(task: Task) -> Outcome:
    """Validate it here, on a target of its own; what is told of it names the files as they were given."""
    with tempfile.TemporaryDirectory(prefix="lstm-hil-task-") as folder:
        paths = {}
        named = {"model": task.model, "weights": task.weights, "inputs": task.inputs, "expected": task.expected}
        for name, file in named.items():
            if file is not None:
                paths[name] = Path(folder, name, file.path.name)
                paths[name].parent.mkdir()
                if file.content is not None:
                    paths[name].write_bytes(file.content)
        files = ModelFiles(**paths)
        with task.settings.session() as session:
            outcome = session(files, lambda _: None)
    run = outcome.run
    run.model_path = task.model.path
    if run.loaded is not None:
        weights = None if task.weights is None else task.weights.path
        run.loaded = replace(run.loaded, path=task.model.path, weights_path=weights)
    if run.expected_file is not None and task.expected is not None:
        run.expected_file = replace(run.expected_file, path=task.expected.path)
    if run.error is not None:
        given = [file for file in named.values() if file is not None]
        names = {str(there): str(file.path) for there, file in zip(paths.values(), given, strict=True)}
        _name_as_given(run.error, names)
    target = outcome.target
    if target is not None:
        target = replace(target, described={**target.described, "worker": platform.node()})
    return replace(outcome, target=target)


def identity() -> str:
    """Which program runs here."""
    return program_identity()


def _read(path: Path) -> File:
    try:
        return File(path, path.read_bytes())
    except OSError:
        return File(path, None)


def _name_as_given(error: HilError, names: dict[str, str]) -> None:
    for there, here in names.items():
        error.message = error.message.replace(there, here)
        error.remedy = error.remedy.replace(there, here)
