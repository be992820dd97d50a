"""`--hil-baseline`: the figures of each validation against those of a committed file (docs/COMPARE.md)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.pytest_plugin.options import choices_of

if TYPE_CHECKING:
    from harness.baseline import AnyKey, Entry
    from harness.validation import Validation

_COUNT = pytest.StashKey[int]()
"""How many validations of a test were held against the file."""


def add_options(group: pytest.OptionGroup) -> None:
    """Add them. No short names: other plugins keep baselines too."""
    group.addoption(
        "--hil-baseline", metavar="FILE", help="fail a test whose validation has a figure worse than in this file"
    )
    group.addoption(
        "--hil-update-baseline", action="store_true", help="put the figures into that file, in place of old ones"
    )


def wants_baseline(config: pytest.Config) -> bool:
    """Whether figures are to be held against a file."""
    return config.getoption("hil_baseline") is not None


def check_baseline(config: pytest.Config) -> None:
    """Refuse what makes no sense, and a file that is none.

    Raises:
        UsageError: so it is.
    """
    from harness.baseline import read_baseline
    from harness.errors import UsageError

    updates = config.getoption("hil_update_baseline")
    if not wants_baseline(config):
        if updates:
            raise UsageError(
                "--hil-update-baseline was given without --hil-baseline", remedy="name the file: --hil-baseline=FILE"
            )
    elif not updates or _file(config).exists():
        read_baseline(_file(config))


def hold_against_baseline(request: pytest.FixtureRequest, kind: str, result: Validation) -> None:
    """Judge a validation by the file, before anything is written of it, or keep what it measured.

    One that did not pass is left alone. What keeps the file from being read or written is the validation's error.
    """
    if not wants_baseline(request.config) or not result:
        return
    from harness.baseline import Held, compare_with, read_baseline
    from harness.errors import HilError
    from harness.report.baselines import model_entry

    node, path = request.node, _file(request.config)
    count = node.stash[_COUNT] = node.stash.get(_COUNT, 0) + 1
    key, entry = model_entry(result, choices_of(request.config)[kind][0])
    test = node.nodeid if count == 1 else f"{node.nodeid} {count}"
    measured: dict[AnyKey, Entry] = {replace(key, model=f"{test} {key.model}"): entry}
    try:
        if request.config.getoption("hil_update_baseline"):
            _update(path, measured)
            return
        baseline = read_baseline(path)
    except HilError as error:
        result.error = error
        return
    found = compare_with(baseline, measured)
    result.baseline = Held(path.name, baseline.percent, found)
    node.user_properties += [("hil_baseline", text) for text in map(str, (*found.worse, *found.better, *found.notes))]


def fail_if_worse(result: Validation) -> None:
    """Fail a test whose validation has become worse."""
    __tracebackhide__ = True
    held = result.baseline
    if held is not None and held.has_failed:
        pytest.fail("\n".join([f"worse than in {held.file}:", *map(str, held.found.worse)]), pytrace=False)


def _update(path: Path, measured: Mapping[AnyKey, Entry]) -> None:
    from filelock import FileLock

    from harness.baseline import DEFAULT_PERCENT, Baseline, read_baseline
    from harness.report.baselines import write_baseline

    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"hil-baseline-{name}.lock"):  # of pytest-xdist's other workers
        before = read_baseline(path) if path.exists() else Baseline(DEFAULT_PERCENT, {})
        write_baseline(before.updated(measured), path)


def _file(config: pytest.Config) -> Path:
    return Path(config.invocation_params.dir, config.getoption("hil_baseline"))
