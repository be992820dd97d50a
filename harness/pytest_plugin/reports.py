"""What stays of a validation: properties and a section in its test's report, and a folder of --hil-report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.baselines import wants_baseline
from harness.pytest_plugin.options import choices_of

if TYPE_CHECKING:
    from harness.model.inputs import Inputs
    from harness.model.whole import WholeInputs
    from harness.protocol.messages import HelloReply
    from harness.targets.base import Target
    from harness.validation import Validation

FAILURES = pytest.StashKey[list[list[str]]]()
"""What is to be said of validations that did not pass, in lines."""

_REPORTS = pytest.StashKey[int]()
"""How many reports a test has."""

_STARTED = pytest.StashKey[str]()
"""When the run of pytest began: a folder may hold reports of earlier ones."""


def note_start(config: pytest.Config) -> None:
    """Remember when the run began."""
    config.stash[_STARTED] = datetime.now(timezone.utc).isoformat(timespec="seconds")


def wants_reports(config: pytest.Config) -> bool:
    """Whether there is to be a folder of reports."""
    return config.getoption("hil_report") is not None


def counts_ticks(config: pytest.Config, target: Target, hello: HelloReply) -> bool:
    """Whether a validation counts what single steps cost: where that is reported; it takes a second at 115200 baud."""
    from harness.ticks import tick_unit

    is_reported = wants_reports(config) or wants_baseline(config) or bool(config.getoption("xmlpath", None))
    return is_reported and tick_unit(hello, target.description()) is not None


def keep_for_report(
    request: pytest.FixtureRequest,
    target: Target,
    result: Validation,
    inputs: str | Path | Mapping[str, Any] | Inputs | WholeInputs | None,
    options: dict[str, Any],
) -> None:
    """What a test's report says of a validation."""
    from harness.report.testcase import command_of, failure_lines, properties

    node = request.node
    if inputs is None or isinstance(inputs, str | Path):
        command = command_of(result.model_path, _as_options(target, request.config), {"inputs": inputs, **options})
    else:  # they are in the test's memory alone
        command = f"pytest {shlex.quote(node.nodeid)}"
    node.user_properties += properties(result, command, target.description())
    if not result:
        node.stash.setdefault(FAILURES, []).append(failure_lines(result, command))


def write_report_of(request: pytest.FixtureRequest, kind: str, target: Target, result: Validation) -> None:
    """The report of a validation, where reports are wanted; what cannot be written fails the test as an error."""
    folder = request.config.getoption("hil_report")
    if folder is None:
        return
    from harness.build.commit import commit_here
    from harness.build.program import program_facts
    from harness.report.folder import folder_named, write_report
    from harness.report.record import record_of

    count = request.node.stash.get(_REPORTS, 0) + 1
    request.node.stash[_REPORTS] = count
    command = ["pytest", request.node.nodeid]
    hello = result.hello
    record = record_of(
        result,
        choices_of(request.config)[kind][0],
        target,
        command=command,
        program=None if hello is None else program_facts(hello.build_id, hello.board),
        commit=commit_here(),
    )
    name = folder_named(request.node.nodeid if count == 1 else f"{request.node.nodeid} {count}")
    write_report(Path(folder).absolute() / name, result, record)


def _as_options(target: Target, config: pytest.Config) -> str:
    known = target.description()
    if target.kind != "board":
        return f"--{target.kind}"
    place = f"--sn {known['serial_number']}" if known["serial_number"] else f"--port {known['port']}"
    baud = config.getoption("hil_baud")
    return f"--board {known['name']} {place}" + ("" if baud is None else f" --baud {baud}")


def properties_of(target: Target) -> list[tuple[str, object]]:
    """What a test's report says of the target."""
    known = target.description()
    if target.kind != "board":
        return [("hil_target", target.kind)]
    return [("hil_target", known["name"]), ("hil_board", known["serial_number"] or known["port"])]


def write_index_of(config: pytest.Config) -> None:
    """The index of all reports of this run; with pytest-xdist the last of all processes writes it."""
    folder = config.getoption("hil_report")
    if folder is None or hasattr(config, "workerinput") or not Path(folder).is_dir():
        return
    from harness.report.folder import read_records, write_index

    records = read_records(sorted(path for path in Path(folder).iterdir() if path.is_dir()))
    started = config.stash[_STARTED]
    write_index(Path(folder), {name: each for name, each in records.items() if each["run"]["started"] >= started})
