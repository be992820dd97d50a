"""The pytest plugin: the targets as options, a device and a validator as fixtures.

    pytest                 native and QEMU, each left out with its reason where it is not there
    pytest --native        only that one; an error where it is not there; --qemu, --renode likewise
    pytest --board=nucleo_f446re [--port=URL] [--hil-sn=SERIAL] [--no-flash]    only on that board
    pytest --hil-sn=A --hil-sn=B -n 2    on these boards: every worker of pytest-xdist takes one, or waits for it
    pytest --labgrid PLACE    on the board of a labgrid place
    --hil-native, --hil-qemu, --hil-renode, --hil-board, --hil-port, --hil-flash
                           the same by names that no other plugin owns

Each test's report has the properties hil_target and, on a board, hil_board (serial number or port); those of
`validate` also hil_model, hil_verdict, hil_build_id, for each tensor its error and tolerance, and hil_command, which
does the same again. One that fails has a section "hil": where it is wrong, why, and that command.

    pytest --hil-report=DIR    a folder with the report of each validation, by the test's name, and an index of all

Markers: see harness.pytest_markers.

Fixtures:
    device     a greeted `harness.device.Device`; the test runs once for each target
    validate   `validate(model, inputs=None, ...)` -> `harness.validation.Validation`, on the same device

Loaded at every start of pytest in its environment, so it imports nothing heavy before a fixture is used.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from argparse import ArgumentError
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_markers import HELP, missing_feature, unknown_features

if TYPE_CHECKING:
    from harness.device import Device
    from harness.model.inputs import Inputs
    from harness.model.whole import WholeInputs
    from harness.oracle.load import LoadedModel
    from harness.protocol.messages import Log
    from harness.targets.base import Target
    from harness.targets.choice import TargetChoice
    from harness.validation import Validation
    from harness.workbench import Workbench

KINDS = ("native", "qemu")
"""Targets for which set-up gets all that they need, in the order in which tests run: the fast one first."""

ALL_KINDS = (*KINDS, "renode", "board")

_OPTIONS: dict[str, dict[str, Any]] = {
    "native": {
        "action": "store_true",
        "dest": "hil_native",
        "help": "run on the firmware as a process of this machine",
    },
    "qemu": {"action": "store_true", "dest": "hil_qemu", "help": "run on the firmware under QEMU"},
    "renode": {"action": "store_true", "dest": "hil_renode", "help": "run on the firmware under Renode"},
    "board": {"action": "append", "dest": "hil_board", "metavar": "NAME", "help": "run on a board, or on several"},
    "port": {
        "action": "append",
        "dest": "hil_port",
        "metavar": "URL",
        "help": "the board's port; write it with =, or pytest takes a device's name for a path to tests",
    },
    "sn": {
        "action": "append",
        "dest": "hil_sn",
        "metavar": "SERIAL",
        "help": "the board's USB serial number; once for each board",
    },
    "labgrid": {
        "action": "append",
        "dest": "hil_labgrid",
        "metavar": "PLACE",
        "help": "run on the board of a labgrid place; once for each",
    },
    "flash": {"dest": "hil_flash", "metavar": "if-changed|always|never", "help": "when to flash the board"},
    "wait": {
        "type": float,
        "dest": "hil_wait",
        "metavar": "SECONDS",
        "help": "wait for a board that somebody else uses; default: 0, in workers of pytest-xdist an hour",
    },
}
"""Options by their name behind --hil-."""

_SHORT_OPTIONS: dict[str, dict[str, Any]] = {
    **{
        f"--{name}": {**_OPTIONS[name], "help": f"the same as --hil-{name}"}
        for name in ("native", "qemu", "renode", "board", "port", "labgrid")
    },
    "--no-flash": {"action": "store_const", "const": "never", "dest": "hil_flash", "help": "--hil-flash=never"},
}
_XDIST_WAIT_S = 3600.0
"""A worker holds its board until it has no tests left, and another one may wait for all that time."""

_TAKEN_NAMES = pytest.StashKey[list[str]]()

_FAILURES = pytest.StashKey[list[list[str]]]()
_REPORTS = pytest.StashKey[int]()
_STARTED = pytest.StashKey[str]()
"""What is to be said of validations that did not pass, in lines."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options whose names nobody else has."""
    group = parser.getgroup("hil", "lstm-hil: the target that runs the firmware")
    for name, option in _OPTIONS.items():
        group.addoption(f"--hil-{name}", **option)
    group.addoption("--hil-report", metavar="DIR", help="write the report of each validation, and an index of all")


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
    for name, option in _SHORT_OPTIONS.items():
        try:
            group.addoption(name, **option)
        except (ValueError, ArgumentError):  # pytest's answers to a name that is taken, by its version
            taken.append(name)
    return result


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the targets, and the short options that are another plugin's."""
    choices = _choices(config)
    named = "; ".join(str(choice) for several in choices.values() for choice in several)
    lines = [f"hil: targets {named}{'' if _asked_for(config) else ' (default)'}"]
    taken = config.stash.get(_TAKEN_NAMES, [])
    if taken:
        lines.append(
            f"hil: {', '.join(taken)} {'belong' if len(taken) > 1 else 'belongs'} to another plugin: use --hil-..."
        )
    return lines


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse options that do not go together."""
    from harness.errors import UsageError

    config.stash[_STARTED] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    for marker, text in HELP.items():
        config.addinivalue_line("markers", f"{marker}: {text}")
    try:
        choices = _choices(config)
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
    kinds = _choices(metafunc.config)
    marker = metafunc.definition.get_closest_marker("hil_targets")
    if marker is not None and not set(marker.args) <= set(ALL_KINDS):
        raise pytest.UsageError(f"hil_targets{marker.args}: the targets are {', '.join(ALL_KINDS)}")
    chosen: list[Any] = [kind for kind in kinds if marker is None or kind in marker.args]
    boards = metafunc.definition.get_closest_marker("board")
    if boards is not None:
        reason = f"needs --board {' or '.join(boards.args)}"
        chosen = ["board"] if "board" in kinds else [pytest.param("board", marks=pytest.mark.skip(reason=reason))]
    needs = metafunc.definition.get_closest_marker("needs")
    if needs is not None and (unknown := unknown_features(needs.args)):
        raise pytest.UsageError(f"needs{needs.args}: no device has {', '.join(unknown)}")
    metafunc.parametrize("hil_kind", chosen, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs on a target; leave out what takes long, unless it is asked for."""
    for item in items:
        if "hil_kind" in getattr(item, "fixturenames", ()):
            item.add_marker("hil")
        if item.get_closest_marker("soak") and "soak" not in config.getoption("markexpr"):
            item.add_marker(pytest.mark.skip(reason="takes long: run it with -m soak"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the index of all reports; with pytest-xdist the last of all processes does."""
    folder = session.config.getoption("hil_report")
    if folder is None or "PYTEST_XDIST_WORKER" in os.environ or not Path(folder).is_dir():
        return
    from harness.report.folder import read_records, write_index

    records = read_records(sorted(path for path in Path(folder).iterdir() if path.is_dir()))
    started = session.config.stash[_STARTED]
    write_index(Path(folder), {name: each for name, each in records.items() if each["run"]["started"] >= started})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a failed validation is wrong, in the short summary and in a section of its own."""
    report = yield
    failures = item.stash.get(_FAILURES, [])
    if report.when == "call" and report.failed and failures:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = failures[0][0]
        report.sections += [("hil", "\n".join(lines)) for lines in failures]
    return report


@pytest.fixture(scope="session")
def hil_workbenches(request: pytest.FixtureRequest) -> Iterator[_Benches]:
    """A workbench for each kind of target, kept for the whole session."""
    benches = _Benches(request.config)
    yield benches
    benches.close()


class _Benches:
    """A workbench for each kind of target, made when first asked for.

    Of several boards it holds one at a time: two workers that each have one and wait for the other's would never end.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._open: dict[str, tuple[Workbench, ExitStack]] = {}
        self._failures: dict[tuple[str, ...], Exception] = {}

    def __call__(self, kind: str, boards: Sequence[str] = ()) -> Workbench:
        """The workbench of a kind.

        Args:
            kind: of the target.
            boards: names of which a board must have one, if one of them was asked for; empty: any.

        Raises:
            HilError: it is not there; said again each time without another try.
        """
        from harness.errors import HilError
        from harness.targets.choice import TargetChoice

        choices = _choices(self._config).get(kind) or (TargetChoice(kind),)
        choices = tuple(choice for choice in choices if choice.board in boards) or choices
        names = {choice.board for choice in choices}
        if kind in self._open:
            bench, _ = self._open[kind]
            if kind != "board" or bench.target.description()["name"] in names:
                return bench
            self._close(kind)
        key = (kind, *sorted(names))
        if key in self._failures:
            raise self._failures[key]
        try:
            self._open[kind] = self._leased(choices)
        except HilError as error:
            self._failures[key] = error
            raise
        return self._open[kind][0]

    def close(self) -> None:
        """End and give back all."""
        for kind in list(self._open):
            self._close(kind)

    def _leased(self, choices: tuple[TargetChoice, ...]) -> tuple[Workbench, ExitStack]:
        from harness.protocol.faults import earlier_fault_text
        from harness.targets.pool import Pool
        from harness.workbench import Workbench, make_target

        pool = Pool(
            choices,
            lambda choice: make_target(choice, lambda _: None),
            wait_s=choices[0].wait_s,
            say=lambda text: _say(self._config, text),
        )
        pool.check()
        lease = ExitStack()
        target = lease.enter_context(pool.lease())
        return Workbench(
            target, on_log=_log, on_fault=lambda fault: _say(self._config, earlier_fault_text(fault))
        ), lease

    def _close(self, kind: str) -> None:
        bench, lease = self._open.pop(kind)
        bench.close()
        lease.close()


def _say(config: pytest.Config, text: str) -> None:
    """On the terminal, at once: pytest keeps what is written while a test waits, also in a worker."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        worker = os.environ.get("PYTEST_XDIST_WORKER")
        sys.stderr.write(f"\nhil{f' {worker}' if worker else ''}: {text}\n")
        sys.stderr.flush()


def _log(log: Log) -> None:
    """What a device tells, where pytest shows what was logged: with the test that failed."""
    from harness.protocol.logs import log_text

    logging.getLogger("hil.device").log(log.level * 10 + 10, "%s", log_text(log))  # INFO 1 is logging's 20


@pytest.fixture
def hil_workbench(hil_kind: str, hil_workbenches: _Benches, request: pytest.FixtureRequest) -> Workbench:
    """The workbench of the target at hand. A target that was asked for and is absent is an error, else a skip."""
    from harness.errors import BuildFailed, TargetUnavailable

    try:
        boards = request.node.get_closest_marker("board")
        bench = hil_workbenches(hil_kind, () if boards is None else boards.args)
        request.node.user_properties += _properties(bench.target)
        _skip_what_it_cannot(request.node, bench)
        return bench
    except BuildFailed:
        raise  # the tools are there and the firmware is broken: a skip would hide that
    except TargetUnavailable as error:
        if hil_kind in _asked_for(request.config):
            raise
        pytest.skip(f"{hil_kind}: {error.message}; {error.remedy}")


@pytest.fixture
def device(hil_workbench: Workbench) -> Iterator[Device]:
    """A greeted device. One that fails is started anew for the next test.

    `validate` of a model too large for the RAM of an emulator starts it anew too, and ends this device.
    """
    from harness.errors import DeviceFault, HilError

    device = hil_workbench.device()
    yield device
    try:
        device.counters()
    except HilError as error:
        reported = hil_workbench.failed(error)
        if isinstance(reported, DeviceFault):  # behind the last thing that the test asked for
            raise reported from error


@pytest.fixture
def validate(hil_kind: str, hil_workbench: Workbench, request: pytest.FixtureRequest) -> Callable[..., Validation]:
    """Validate a model on the target at hand.

    `validate(model, inputs=None, layer=None, atol=None, rtol=None, batch=None, steps=None, seed=None, kernel=None,
    weights=None, trace="hc", expected=None)`: model is the path of a file (.keras, .h5, .npz, .golden), inputs an .npz
    path or a `harness.model.inputs.Inputs`, layer the name of an LSTM to be validated alone, kernel one of arm_math,
    packed, packed_fma, weights a file (.weights.h5) with weights in place of the model's own, trace one of none, last,
    h, hc, gates, expected an .npz of values in place of Keras'. The result is true when it passed:
    `assert validate("model.keras")` prints the verdict line when it did not. An ERROR (no verdict at all) is raised as
    the `HilError` that it is.
    """

    def run(
        model: str | Path,
        inputs: str | Path | Inputs | WholeInputs | None = None,
        *,
        layer: str | None = None,
        atol: float | None = None,
        rtol: float | None = None,
        batch: int | None = None,
        steps: int | None = None,
        seed: int | None = None,
        kernel: str | None = None,
        weights: str | Path | None = None,
        trace: str = "hc",
        expected: str | Path | None = None,
    ) -> Validation:
        from harness.build.paths import work_dir
        from harness.golden.file import SUFFIX
        from harness.golden.oracle import GoldenOracle
        from harness.model.pack import kernel_named
        from harness.model.trace import trace_named
        from harness.oracle.cache import Oracle
        from harness.protocol.wire import Kernel
        from harness.validation import Limits, make_inputs, validate

        __tracebackhide__ = True  # the test's own line is where it failed

        def inputs_of(loaded: LoadedModel) -> Inputs | WholeInputs:
            if isinstance(oracle, GoldenOracle):
                return oracle.inputs
            if inputs is None or isinstance(inputs, str | Path):
                return make_inputs(loaded, None if inputs is None else Path(inputs), batch, steps, seed)
            return inputs

        path = Path(model)
        oracle: Oracle | GoldenOracle
        if path.suffix == SUFFIX:
            inputs_given = any(each is not None for each in (inputs, batch, steps, seed))
            oracle = GoldenOracle.open(path, inputs_given=inputs_given)
            default_kernel = oracle.kernel
        else:
            oracle, default_kernel = Oracle(work_dir() / "oracle"), Kernel.ARM_MATH
        result = validate(
            path,
            inputs_of,
            hil_workbench.device_for,
            Limits(atol, rtol),
            oracle,
            layer=layer,
            kernel=default_kernel if kernel is None else kernel_named(kernel),
            weights=None if weights is None else Path(weights),
            level=trace_named(trace),
            expected_path=None if expected is None else Path(expected),
        )
        options = {"layer": layer, "weights": weights, "atol": atol, "rtol": rtol, "batch": batch, "steps": steps}
        options |= {"seed": seed or None, "kernel": kernel, "trace": trace, "expected": expected}
        _keep_for_report(request, hil_workbench.target, result, inputs, options)
        _write_report(request, hil_kind, hil_workbench.target, result)
        if result.error is not None:
            raise hil_workbench.failed(result.error) from None
        if result.bisect_error is not None:
            hil_workbench.failed(result.bisect_error)
        return result

    return run


def _keep_for_report(
    request: pytest.FixtureRequest,
    target: Target,
    result: Validation,
    inputs: str | Path | Inputs | WholeInputs | None,
    options: dict[str, Any],
) -> None:
    """What a test's report says of a validation."""
    from harness.report.testcase import command_of, failure_lines, properties

    node = request.node
    if inputs is None or isinstance(inputs, str | Path):
        command = command_of(result.model_path, _as_options(target), {"inputs": inputs, **options})
    else:  # they are in the test's memory alone
        command = f"pytest {shlex.quote(node.nodeid)}"
    node.user_properties += properties(result, command)
    if not result:
        node.stash.setdefault(_FAILURES, []).append(failure_lines(result, command))


def _write_report(request: pytest.FixtureRequest, kind: str, target: Target, result: Validation) -> None:
    """The report of a validation, where reports are wanted; what cannot be written fails the test as an error."""
    folder = request.config.getoption("hil_report")
    if folder is None:
        return
    from harness.report.folder import folder_named, write_report
    from harness.report.record import record_of

    count = request.node.stash.get(_REPORTS, 0) + 1
    request.node.stash[_REPORTS] = count
    command = ["pytest", request.node.nodeid]
    record = record_of(result, _choices(request.config)[kind][0], target, command=command)
    name = folder_named(request.node.nodeid if count == 1 else f"{request.node.nodeid} {count}")
    write_report(Path(folder).absolute() / name, result, record)


def _as_options(target: Target) -> str:
    known = target.description()
    if target.kind != "board":
        return f"--{target.kind}"
    place = f"--sn {known['serial_number']}" if known["serial_number"] else f"--port {known['port']}"
    return f"--board {known['name']} {place}"


def _skip_what_it_cannot(node: pytest.Item, bench: Workbench) -> None:
    """Leave out a test that is for another board, or needs what this device does not have."""
    boards, needs = node.get_closest_marker("board"), node.get_closest_marker("needs")
    name = bench.target.description().get("name")
    if boards is not None and name not in boards.args:
        pytest.skip(f"is for {' or '.join(boards.args)}, this board is {name}")
    missing = "" if needs is None else missing_feature(needs.args, bench.device().info)
    if missing:
        pytest.skip(missing)


def _asked_for(config: pytest.Config) -> tuple[str, ...]:
    """The kinds of targets that the command line names."""
    kinds = [kind for kind in (*KINDS, "renode") if config.getoption(f"hil_{kind}")]
    board_options = (config.getoption(f"hil_{name}") for name in ("board", "port", "sn", "labgrid", "flash", "wait"))
    return (*kinds, *(["board"] if any(value is not None for value in board_options) else []))


def _properties(target: Target) -> list[tuple[str, object]]:
    """What a test's report says of the target."""
    known = target.description()
    if target.kind != "board":
        return [("hil_target", target.kind)]
    return [("hil_target", known["name"]), ("hil_board", known["serial_number"] or known["port"])]


def _choices(config: pytest.Config) -> dict[str, tuple[TargetChoice, ...]]:
    """The targets of this run by their kinds; several boards are a pool of which every worker has one."""
    from harness.targets.choice import TargetChoice, chosen_targets

    wait_s = config.getoption("hil_wait")
    boards = chosen_targets(
        boards=config.getoption("hil_board") or (),
        ports=config.getoption("hil_port") or (),
        serial_numbers=config.getoption("hil_sn") or (),
        labgrid_places=config.getoption("hil_labgrid") or (),
        flash=config.getoption("hil_flash"),
        wait_s=wait_s,
    )
    if wait_s is None and "PYTEST_XDIST_WORKER" in os.environ:
        boards = tuple(replace(choice, wait_s=_XDIST_WAIT_S) for choice in boards)
    return {kind: boards if kind == "board" else (TargetChoice(kind),) for kind in _asked_for(config) or KINDS}
