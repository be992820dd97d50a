"""What need not be run again: models whose record says that nothing has changed since that its verdict depends on.

A stale verdict must be impossible. So a record holds a key, a hash over everything that its verdict depends on and that
is known without the device: the files' contents, the options, the program with its oracle, their versions and settings.
It is taken before the run and after it, and kept only if both are the same. The firmware and what it runs on are asked
for when it is resumed. What cannot be read, or says ERROR, is run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.build.identity import program_identity
from harness.cli.lazy_workbench import LazyWorkbench
from harness.cli.session import ModelFiles, Outcome, Settings, oracle_environment
from harness.errors import ExitCode, HilError, TargetUnavailable, UsageError
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from harness.targets.snapshot import Snapshot

_DONE = ("PASS", "MARGINAL", "FAIL")
"""Verdicts on numbers. An ERROR is none: its cause may be gone."""

_OF_TARGET = ("machine", "emulator", "serial_number", "port", "labgrid_place")
"""What a record says of where the firmware ran, as far as it must be the same."""


@dataclass(frozen=True)
class Earlier:
    """What an earlier run found: as much of a Validation as a table of many needs."""

    model_path: Path
    verdict: str
    exit_code: ExitCode
    reason: str
    sees: str


class Keys:
    """The keys of models.

    Args:
        settings: what is the same for all of them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def of(self, files: ModelFiles) -> str | None:
        """A model's key as of now; None: it has none, since a file cannot be read, or the firmware's sources."""
        if any(path is not None and not path.is_file() for path in files.paths.values()):
            return None  # before a pipe is waited for
        try:
            hashes = {
                name: None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
                for name, path in files.paths.items()
            }
            facts = {"files": hashes, "suffix": files.model.suffix, **self._of_all}
        except (OSError, TargetUnavailable):
            return None
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def still(self, before: str | None, files: ModelFiles, outcome: Outcome) -> str | None:
        """The key of a run that has ended: what it was before, where the oracle was asked on a machine like this."""
        if before is None or not outcome.oracle_environment or self.asked_elsewhere(outcome):
            return None
        return before if self.of(files) == before else None

    @staticmethod
    def asked_elsewhere(outcome: Outcome) -> bool:
        """Whether the oracle was asked where it depends on something else than here: its answers give no key."""
        return outcome.oracle_environment not in ("", oracle_environment())

    @cached_property
    def _of_all(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "program": program_identity(),
            "oracle": oracle_environment(),
            "targets": [_named(choice) for choice in settings.choices],
            "options": {name: value for name, value in asdict(settings).items() if name != "choices"},
        }


def check_resume(json_path: str | None, report: Path | None, targets: Sequence[TargetChoice]) -> None:
    """Refuse --resume where there is nothing to resume by.

    Raises:
        UsageError: without records, with a report, which needs the runs themselves, or on one of several boards.
    """
    if json_path is None:
        raise UsageError("--resume goes by the records of an earlier run", remedy="name them: --json FOLDER/")
    if report is not None:
        raise UsageError(
            "--resume and --report were both given, and a report needs the runs themselves", remedy="leave out one"
        )
    if len(targets) > 1:
        raise UsageError(
            "--resume and several boards were given: a record is of one board, and nobody knows which gets a model",
            remedy="name one board",
        )


def earlier_runs(
    models: Sequence[tuple[ModelFiles, Path | None, Path | None]], keys: Keys, settings: Settings
) -> dict[int, Earlier]:
    """Which models need not be run again, by their place.

    Args:
        models: each with the files of --json and --save.
        keys: of the models.
        settings: the target; it is started and asked only if there is a record that counts otherwise.
    """
    found = {
        place: record
        for place, (files, json_path, save_path) in enumerate(models)
        if (record := _read(json_path)) is not None and _counts(record, keys.of(files), save_path)
    }
    if not found:
        return {}
    there = _asked(settings)
    if there is None:
        return {}
    build_id, target = there
    return {
        place: _earlier(models[place][0].model, record)
        for place, record in found.items()
        if record["firmware"]["build_id"] == build_id and _same_target(record["target"], target)
    }


def saved_sha256(path: Path | None) -> str | None:
    """Of what --save has written."""
    if path is None:
        return None
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _read(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.is_file():
        return None
    with suppress(OSError, ValueError, RecursionError):
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict):
            return record
    return None


def _counts(record: Mapping[str, Any], key: str | None, save_path: Path | None) -> bool:
    """Whether a record is of the same run, as far as that is known without the device."""
    from harness.report.record import SCHEMA

    resume, firmware, target = (record.get(name) for name in ("resume", "firmware", "target"))
    if not (isinstance(resume, dict) and isinstance(firmware, dict) and isinstance(target, dict)):
        return False
    return (
        key is not None
        and record.get("schema") == SCHEMA
        and record.get("verdict") in _DONE
        and record.get("exit_code") == (ExitCode.OUT_OF_TOLERANCE if record["verdict"] == "FAIL" else ExitCode.PASS)
        and isinstance(record.get("summary"), str)
        and resume.get("key") == key
        and "build_id" in firmware
        and (save_path is None or (resume.get("saved_sha256") or "none") == saved_sha256(save_path))
    )


def _asked(settings: Settings) -> tuple[str, Snapshot] | None:
    """The firmware that a run would meet now, and where; None: no run would come so far."""
    from harness.targets.snapshot import snapshot_of

    bench = LazyWorkbench(settings.choices)
    try:
        workbench = bench.workbench()
        build_id = workbench.device().info.build_id.hex()
        return build_id, snapshot_of(workbench.target)
    except HilError:
        return None  # which each model is told in its turn
    finally:
        bench.close()


def _same_target(recorded: Mapping[str, Any], target: Snapshot) -> bool:
    known = target.description()
    # A lab gives a place another port each time.
    names = [name for name in _OF_TARGET if name != "port" or not known.get("labgrid_place")]
    return all(recorded.get(name) == known.get(name) for name in names)


def _named(choice: TargetChoice) -> dict[str, Any]:
    """A choice without what says only how to get there."""
    fields = asdict(choice)
    return {name: value for name, value in fields.items() if name not in ("is_default", "wait_s", "flash")}


def _earlier(model: Path, record: Mapping[str, Any]) -> Earlier:
    from harness.validation.result import SEES

    reason, _, sees = record["summary"].partition(": ")[2].rpartition(" (exit ")[0].partition(SEES)
    return Earlier(model, record["verdict"], ExitCode(record["exit_code"]), f"{reason} (an earlier run)", sees)
