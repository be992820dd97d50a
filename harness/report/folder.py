"""The folder of a report: every file of one run, there together or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.errors import HilError
from harness.findings.writing import not_written
from harness.report.junit import junit_xml
from harness.report.page import Record, index_page, report_page
from harness.report.vectors import vectors, worst_inputs
from harness.validation import Validation

LINK_RECORD = "link.record"
"""The record of the link, kept where the run did not pass."""

RUN_FILES = ("vectors.npz", "worst.npz", "junit.xml", "report.json", "report.html")
"""In the order in which they appear: where the page is, all others are."""

INDEX_FILES = ("junit.xml", "index.html")

_MOST_NAME = 150
"""Characters of a folder's name: file systems take 255 bytes, and a path should stay legible. The end says more."""


def forget_report(folder: Path) -> None:
    """Remove what an earlier run left in a folder; of anything else in it nothing is touched."""
    _forget(folder, RUN_FILES)


def forget_index(folder: Path) -> None:
    """Remove what earlier runs left in a folder of reports, or of one with its record of the link."""
    _forget(folder, (*INDEX_FILES, LINK_RECORD))


def _forget(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        with suppress(OSError):  # said when it is written
            (folder / name).unlink(missing_ok=True)


def write_report(folder: Path, run: Validation, record: dict[str, Any]) -> Path:
    """Write everything about a run.

    Args:
        folder: made if it is not there.
        run: the run, whatever its end.
        record: of the same run.

    Returns:
        The page.

    Raises:
        HilError: the disk is full, or the folder cannot be written; what was there stays.
    """
    arrays, worst = vectors(run), worst_inputs(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".new-") as name:
            new = Path(name)
            if arrays:
                np.savez(new / "vectors.npz", **arrays)  # type: ignore[arg-type]
            if worst:
                np.savez(new / "worst.npz", **worst)  # type: ignore[arg-type]
            (new / "junit.xml").write_bytes(junit_xml([record]))
            (new / "report.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
            (new / "report.html").write_text(_page(run, record), encoding="utf-8", errors="replace")
            _move(new, folder, RUN_FILES)
    except OSError as error:
        raise _not_written(folder, error) from error
    return folder / "report.html"


def write_index(folder: Path, runs: Mapping[str, Record]) -> Path:
    """Write the page and the junit.xml of several runs.

    Args:
        folder: where their own folders are.
        runs: their records by the names of these.

    Raises:
        HilError: it cannot be written.
    """
    try:
        with TemporaryDirectory(dir=folder, prefix=".new-") as name:
            new = Path(name)
            (new / "junit.xml").write_bytes(junit_xml(runs.values()))
            (new / "index.html").write_text(index_page(runs), encoding="utf-8", errors="replace")
            _move(new, folder, INDEX_FILES)
    except OSError as error:
        raise _not_written(folder, error) from error
    return folder / "index.html"


def folder_named(text: str) -> str:
    """A name for a folder, of a test's id: on every file system, and no longer than one takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[-_MOST_NAME:] or "run"


def read_records(folders: Sequence[Path]) -> dict[str, Record]:
    """The records in folders of runs, by the names of these; a folder without one is left out."""
    found: dict[str, Record] = {}
    for folder in folders:
        with suppress(OSError, ValueError):
            found[folder.name] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


def _page(run: Validation, record: Record) -> str:
    """The page; a picture that cannot be drawn must not take the numbers with it."""
    from harness.report.pictures import pictures_of

    try:
        return report_page(record, pictures_of(run))
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - the verdict is known by now, and stays what it is
        return report_page(record, (), f"The pictures could not be drawn: {type(error).__name__}: {error}")


def _move(new: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Put the new files in the place of old ones: takes no room, so that it cannot fail half way on a full disk."""
    for name in names:
        if (new / name).exists():
            os.replace(new / name, folder / name)


def _not_written(folder: Path, error: OSError) -> HilError:
    return not_written(folder, error, code="report_not_written", remedy="name another folder for the report")
