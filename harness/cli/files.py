"""Where a model's own files lie: an option may name a file, or a folder with one file per model in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.findings.writing import not_written
from harness.targets.choice import TargetChoice
from harness.transport.recording import Recording


def start_recording(path: Path, choice: TargetChoice) -> Recording:
    """A recording for one session of a target, in place of what is there.

    Raises:
        HilError: the file cannot be written.
    """
    _make(path.parent)
    return Recording(path, {"kind": choice.kind, "name": choice.name, "port": choice.port})


def refuse_overwriting(written: Iterable[Path | None], read: Iterable[Path | None]) -> None:
    """Nothing that is written may be something that is read, by whatever name; None: an option that was not given.

    Raises:
        UsageError: so it is.
    """
    known = {name for path in read if path is not None for name in _names(path)}
    for path in written:
        if path is not None and not known.isdisjoint(_names(path)):
            raise UsageError(f"{path} would be written over, and it is read", remedy="name another place")


def _names(path: Path) -> set[object]:
    """What one file has in common under all its names: the path without links, and the inode of hard links."""
    names: set[object] = {path.resolve()}
    if path.is_file():
        known = path.stat()
        names.add((known.st_dev, known.st_ino))
    return names


class PerModel:
    """An option like --json: one file, or a folder in which each file bears the stem of its model.

    Args:
        option: its name, for error messages.
        path: what was given; None: the option is not used. With a slash at its end it is a folder, there or not.
        suffix: of the files, e.g. ".json".
        models: all models of this run.
        one_for_all: a file may serve several models.

    Raises:
        UsageError: one file for several models, or two models of one stem in a folder.
    """

    def __init__(
        self, option: str, path: str | None, suffix: str, models: Sequence[Path], *, one_for_all: bool = False
    ) -> None:
        self._path = None if path is None else Path(path)
        self._suffix = suffix
        self._is_folder = False
        if path is None or self._path is None:
            return
        is_new_folder = path.endswith(("/", os.sep)) or (len(models) > 1 and not path.endswith(suffix))
        self._is_folder = self._path.is_dir() or (is_new_folder and not self._path.is_file())
        if len(models) > 1 and not self._is_folder and not one_for_all:
            raise UsageError(
                f"{option} names the file {path} for {len(models)} models",
                remedy=f"name a folder: each model's file is then called as the model, with {suffix}",
            )
        twice = [stem for stem, count in Counter(model.stem for model in models).items() if count > 1]
        if self._is_folder and twice:
            raise UsageError(
                f"{option} names a folder, and several models are called {twice[0]}",
                remedy="rename one of the models, or validate them one by one",
            )

    def writable(self) -> PerModel:
        """Itself, with the folder made: what cannot be written is said before anything is run.

        Raises:
            HilError: the folder cannot be made or written to.
        """
        if self._path is not None:
            folder = self._path if self._is_folder else self._path.parent
            _make(folder)
            if not os.access(folder, os.W_OK):
                raise UsageError(f"{folder} cannot be written to", remedy="name another place")
        return self

    @property
    def is_used(self) -> bool:
        """Whether the option was given."""
        return self._path is not None

    def of(self, model: Path) -> Path | None:
        """The file of one model; None if the option is not used."""
        if self._path is None:
            return None
        return self._path / f"{model.stem}{self._suffix}" if self._is_folder else self._path


class ReportFolder:
    """--report: the folder of one model's report, or of many, with a folder for each by its stem.

    Args:
        path: what was given.
        models: all models of this run.

    Raises:
        UsageError: two models of one stem.
    """

    def __init__(self, path: Path, models: Sequence[Path]) -> None:
        self.path = path
        self.holds_many = len(models) > 1
        twice = [stem for stem, count in Counter(model.stem for model in models).items() if count > 1]
        if twice:
            raise UsageError(
                f"--report names a folder, and several models are called {twice[0]}",
                remedy="rename one of the models, or validate them one by one",
            )

    def writable(self) -> ReportFolder:
        """Itself, with the folder made. Errors: see `PerModel.writable`."""
        PerModel("--report", f"{self.path}{os.sep}", "", [self.path]).writable()
        return self

    def of(self, model: Path) -> Path:
        """The folder of one model's report."""
        return self.path / model.stem if self.holds_many else self.path


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(folder, error, verb="made", remedy="name another place") from error
