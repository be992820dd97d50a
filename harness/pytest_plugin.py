"""The pytest plugin: the targets as options, a device and a validator as fixtures.

    pytest                 native and QEMU, each left out with its reason where it is not there
    pytest --native        only that one; an error where it is not there
    --hil-native, --hil-qemu    the same options by names that no other plugin owns

Fixtures:
    device     a greeted `harness.device.Device`; the test runs once for each target
    validate   `validate(model, inputs=None, ...)` -> `harness.validation.Validation`, on the same device

Loaded at every start of pytest in its environment, so it imports nothing heavy before a fixture is used.
"""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.device import Device
    from harness.model.inputs import Inputs
    from harness.validation import Validation
    from harness.workbench import Workbench

KINDS = ("native", "qemu")
"""Targets in the order in which tests run: the fast one first."""


_HELP = {
    "native": "run on the firmware as a process of this machine",
    "qemu": "run on the firmware under QEMU",
}
_TAKEN_NAMES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --hil-native and --hil-qemu."""
    group = parser.getgroup("hil", "lstm-hil: the target that runs the firmware")
    for kind in KINDS:
        group.addoption(f"--hil-{kind}", action="store_true", dest=f"hil_{kind}", help=_HELP[kind])


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
    for kind in KINDS:
        try:
            group.addoption(f"--{kind}", action="store_true", dest=f"hil_{kind}", help=f"the same as --hil-{kind}")
        except (ValueError, ArgumentError):  # pytest's answers to a name that is taken, by its version
            taken.append(f"--{kind}")
    return result


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the targets, and the short options that are another plugin's."""
    asked = _asked_for(config)
    lines = [f"hil: targets {', '.join(asked or KINDS)}{'' if asked else ' (default)'}"]
    taken = config.stash.get(_TAKEN_NAMES, [])
    if taken:
        lines.append(f"hil: {', '.join(taken)} belong to another plugin: use --hil-...")
    return lines


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "hil_targets(*kinds): run the test only on these targets (native, qemu)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that uses a device once for each target."""
    if "hil_kind" not in metafunc.fixturenames:
        return
    kinds = _asked_for(metafunc.config) or KINDS
    marker = metafunc.definition.get_closest_marker("hil_targets")
    chosen = [kind for kind in kinds if marker is None or kind in marker.args]
    metafunc.parametrize("hil_kind", chosen, scope="session")


@pytest.fixture(scope="session")
def hil_workbenches() -> Iterator[Callable[[str], Workbench]]:
    """A workbench for each kind of target, kept for the whole session."""
    benches: dict[str, Workbench] = {}
    failures: dict[str, Exception] = {}

    def bench_for(kind: str) -> Workbench:
        from harness.errors import TargetUnavailable
        from harness.workbench import Workbench, make_target

        if kind in failures:
            raise failures[kind]
        if kind not in benches:
            try:
                target = make_target(kind, lambda _: None)
                reason = target.unavailable_reason()
                if reason is not None:
                    raise TargetUnavailable(f"{kind} is not available: {reason}", remedy="run `./hil setup`")
            except TargetUnavailable as error:
                failures[kind] = error
                raise
            benches[kind] = Workbench(target)
        return benches[kind]

    yield bench_for
    for bench in benches.values():
        bench.close()


@pytest.fixture
def hil_workbench(
    hil_kind: str, hil_workbenches: Callable[[str], Workbench], request: pytest.FixtureRequest
) -> Workbench:
    """The workbench of the target at hand. A target that was asked for and is absent is an error, else a skip."""
    from harness.errors import TargetUnavailable

    try:
        return hil_workbenches(hil_kind)
    except TargetUnavailable as error:
        if hil_kind in _asked_for(request.config):
            raise
        pytest.skip(f"{hil_kind}: {error.message}; {error.remedy}")


@pytest.fixture
def device(hil_workbench: Workbench) -> Iterator[Device]:
    """A greeted device. One that fails is started anew for the next test."""
    from harness.errors import HilError

    device = hil_workbench.device()
    yield device
    try:
        device.counters()
    except HilError as error:
        hil_workbench.failed(error)


@pytest.fixture
def validate(hil_workbench: Workbench) -> Callable[..., Validation]:
    """Validate a model on the target at hand.

    `validate(model, inputs=None, atol=None, rtol=None, batch=8, steps=16, seed=0)`: model is the path of a .keras file,
    inputs an .npz path or a `harness.model.inputs.Inputs`. The result is true when it passed:
    `assert validate("model.keras")` prints the verdict line when it did not.
    """

    def run(
        model: str | Path,
        inputs: str | Path | Inputs | None = None,
        *,
        atol: float | None = None,
        rtol: float | None = None,
        batch: int = 8,
        steps: int = 16,
        seed: int = 0,
    ) -> Validation:
        from harness.model.inputs import Inputs, load_inputs, random_inputs
        from harness.validation import Limits, validate

        def make_inputs(spec: Any) -> Inputs:
            if isinstance(inputs, Inputs):
                return inputs
            return random_inputs(spec, batch, steps, seed) if inputs is None else load_inputs(Path(inputs), spec)

        result = validate(Path(model), make_inputs, hil_workbench.device, Limits(atol, rtol))
        if result.error is not None:
            raise hil_workbench.failed(result.error) if result.error.exit_code >= 5 else result.error
        return result

    return run


def _asked_for(config: pytest.Config) -> tuple[str, ...]:
    return tuple(kind for kind in KINDS if config.getoption(f"hil_{kind}"))
