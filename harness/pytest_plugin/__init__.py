"""The pytest plugin: the targets as options, a device and a validator as fixtures.

    pytest                 native and QEMU, each left out with its reason where it is not there
    pytest --native        only that one; an error where it is not there; --qemu, --renode likewise
    pytest --board=nucleo_f446re [--port=URL] [--hil-sn=SERIAL] [--baud=N] [--no-flash]    only on that board
    pytest --hil-sn=A --hil-sn=B -n 2    on these boards: every worker of pytest-xdist takes one, or waits for it
    pytest --labgrid PLACE    on the board of a labgrid place
    --hil-native, --hil-qemu, --hil-renode, --hil-board, --hil-port, --hil-baud, --hil-flash
                           the same by names that no other plugin owns

Each test's report has the properties hil_target and, on a board, hil_board (serial number or port); those of `validate`
also hil_model, hil_verdict, hil_build_id, for each tensor its error and tolerance, and hil_command, which does the same
again; of a pass on inputs that could not have shown each mistake hil_sees ("36 of 47 mistakes"); where it failed
hil_where (the first wrong element: seq, step, unit, gate, expected, got) and hil_why (the likely mistake, or why none
is named; hil_why_expected: of the values that were given); on a board with --junitxml or
--hil-report, and on QEMU with the latter, cycles_median or instructions_median. One that fails has a section "hil":
where it is wrong, why, and that command.

    pytest --hil-report=DIR    a folder with the report of each validation, by the test's name, and an index of all

    pytest --hil-baseline=FILE [--hil-update-baseline]    a validation that is worse than in FILE fails its test

Markers: see harness.pytest_plugin.markers.

Fixtures:
    device     a greeted `harness.device.Device`; the test runs once for each target
    validate   `validate(model, inputs=None, ...)` -> `harness.validation.Validation`, on the same device

Files: options and markers say what can be asked for, benches keeps the targets, fixtures hands them out, reports says
what came of a validation, and baselines whether it is worse than it was. The hooks stand here.

Loaded at every start of pytest in its environment, so it imports nothing heavy before a fixture is used.
"""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from harness.pytest_plugin.baselines import add_options, check_baseline
from harness.pytest_plugin.fixtures import device, hil_workbench, hil_workbenches, validate
from harness.pytest_plugin.markers import FEATURES, HELP
from harness.pytest_plugin.options import ALL_KINDS, OPTIONS, SHORT_OPTIONS, asked_for, choices_of
from harness.pytest_plugin.reports import FAILURES, note_start, write_index_of

__all__ = ["device", "hil_workbench", "hil_workbenches", "validate"]  # fixtures; pytest finds the hooks by their names

_TAKEN_NAMES = pytest.StashKey[list[str]]()
"""Short options that are another plugin's."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options whose names nobody else has."""
    group = parser.getgroup("hil", "lstm-hil: the target that runs the firmware")
    for name, option in OPTIONS.items():
        group.addoption(f"--hil-{name}", **option)
    group.addoption("--hil-report", metavar="DIR", help="write the report of each validation, and an index of all")
    add_options(group)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser
) -> Generator[None, object, object]:
    """Add the short names that are still free once every other plugin and conftest.py has added its own.

    Two owners of one option stop pytest, and this is the last hook before the command line is read.
    """
    result = yield
    group = parser.getgroup("hil")
    taken = early_config.stash.setdefault(_TAKEN_NAMES, [])
    for name, option in SHORT_OPTIONS.items():
        try:
            group.addoption(name, **option)
        except (ValueError, ArgumentError):  # pytest's answers to a name that is taken, by its version
            taken.append(name)
    return result


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the targets, and the short options that are another plugin's."""
    choices = choices_of(config)
    named = "; ".join(str(choice) for several in choices.values() for choice in several)
    lines = [f"hil: targets {named}{'' if asked_for(config) else ' (default)'}"]
    taken = config.stash.get(_TAKEN_NAMES, [])
    if taken:
        lines.append(
            f"hil: {', '.join(taken)} {'belong' if len(taken) > 1 else 'belongs'} to another plugin: use --hil-..."
        )
    return lines


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse options that do not go together."""
    from harness.errors import UsageError

    note_start(config)
    for marker, text in HELP.items():
        config.addinivalue_line("markers", f"{marker}: {text}")
    try:
        choices = choices_of(config)
        check_baseline(config)
    except UsageError as error:
        raise pytest.UsageError(f"{error.message}; {error.remedy}") from error
    for port in (choice.port for choice in choices.get("board", ())):
        if port is not None and config.rootpath.is_relative_to(Path(port).parent) and Path(port).is_absolute():
            # pytest looks for its root among all arguments that are paths, before any plugin can say what they mean.
            raise pytest.UsageError(f"pytest took {port} for a path to tests: write it with =, as --hil-port={port}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that uses a device once for each target."""
    if "hil_kind" not in metafunc.fixturenames:
        return
    _refuse_misdirected(metafunc.config)
    kinds = choices_of(metafunc.config)
    marker = metafunc.definition.get_closest_marker("hil_targets")
    if marker is not None:
        _check_names(metafunc, "hil_targets", marker.args, ALL_KINDS)
    chosen: list[Any] = [kind for kind in kinds if marker is None or kind in marker.args]
    boards = metafunc.definition.get_closest_marker("board")
    if boards is not None:
        from harness.targets.boards import board_names

        _check_names(metafunc, "board", boards.args, board_names())
        reason = f"needs --board {' or '.join(boards.args)}"
        chosen = ["board"] if "board" in kinds else [pytest.param("board", marks=pytest.mark.skip(reason=reason))]
    needs = metafunc.definition.get_closest_marker("needs")
    if needs is not None:
        _check_names(metafunc, "needs", needs.args, FEATURES)
    metafunc.parametrize("hil_kind", chosen, scope="session")


def _refuse_misdirected(config: pytest.Config) -> None:
    """Refuse `--port=X` and its like where another plugin took it: the tests would pass on targets of no such name.

    Who wants the other plugin's option beside our tests names their target too.
    """
    words = getattr(config, "workerinput", {}).get("mainargv") or config.invocation_params.args
    given = {str(word).partition("=")[0] for word in words}
    taken = [name for name in config.stash.get(_TAKEN_NAMES, []) if name in given]
    if taken and not asked_for(config):
        name = taken[0]
        ours = "--hil-flash=never" if name == "--no-flash" else f"--hil-{name.removeprefix('--')}"
        raise pytest.Collector.CollectError(
            f"{name} went to another plugin, and no target is named: write {ours}, or name one, as --hil-qemu"
        )


def _check_names(metafunc: pytest.Metafunc, marker: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a marker's names that mean nothing: one line, where pytest names the file that it could not collect."""
    known = list(known)
    for name in names:
        if name not in known:
            raise pytest.Collector.CollectError(
                f"{metafunc.definition.nodeid}: {marker}({name!r}) is unknown; known are {', '.join(known)}"
            )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs on a target; leave out what takes long, unless it is asked for."""
    for item in items:
        if "hil_kind" in getattr(item, "fixturenames", ()):
            item.add_marker("hil")
        if item.get_closest_marker("soak") and "soak" not in config.getoption("markexpr"):
            item.add_marker(pytest.mark.skip(reason="takes long: run it with -m soak"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the index of all reports."""
    write_index_of(session.config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a failed validation is wrong, in the short summary and in a section of its own."""
    report = yield
    failures = item.stash.get(FAILURES, [])
    if report.when == "call" and report.failed and failures:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = failures[0][0]
        report.sections += [("hil", "\n".join(lines)) for lines in failures]
    return report
