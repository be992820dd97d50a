"""Fixtures of the tests that run the firmware. Each test runs on every target that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.build.platformio import firmware_elf
from harness.errors import BuildFailed, TargetUnavailable
from harness.protocol.messages import Reset
from harness.protocol.wire import Kernel
from harness.targets.choice import TargetChoice
from harness.transport.base import Transport
from harness.transport.serial_port import SerialPort
from harness.workbench import Workbench, make_target
from pty_line import QemuOnPty
from raw_line import RawLine


@pytest.fixture
def raw_line(hil_kind: str, hil_workbench: Workbench) -> Iterator[RawLine]:
    """A line to a freshly booted device of the target at hand: whole frames and broken ones, without a session."""
    if hil_kind == "board":  # of which there is one: the device that others use is restarted
        hil_workbench.device().request(Reset())
        hil_workbench.end()
        line = RawLine(SerialPort(hil_workbench.target.description()["port"]))
        line.wait_for_boot()
        yield line
        line.close()
        return
    target = make_target(TargetChoice(hil_kind), lambda text: None)
    line = RawLine(target.start())
    line.wait_for_boot()
    yield line
    line.close()
    target.stop()


@pytest.fixture
def line(hil_kind: str) -> Iterator[Transport]:
    """A line to a target of its own, that nobody has greeted since it booted."""
    target = make_target(TargetChoice(hil_kind), lambda _: None)
    line = target.start()
    yield line
    line.close()
    target.stop()


@pytest.fixture(params=["qemu", "serial", "renode"])
def both(request: pytest.FixtureRequest, hil_workbenches: Callable[[str], Workbench]) -> tuple[Workbench, Workbench]:
    """Native beside each other way to run the firmware without a board. Serial: QEMU as a board at a serial port."""
    way = request.param
    try:
        other = hil_workbenches("qemu" if way == "serial" else way)
        return hil_workbenches("native"), request.getfixturevalue("serial_workbench") if way == "serial" else other
    except BuildFailed:
        raise
    except TargetUnavailable as error:
        if way == "renode" and request.config.getoption("hil_renode"):
            raise
        pytest.skip(f"needs native and {way}: {error.message}; {error.remedy}")


@pytest.fixture(scope="session")
def serial_workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A board at a pseudo-terminal, which is QEMU in truth."""
    qemu = QemuOnPty(firmware_elf(), tmp_path_factory.mktemp("serial") / "log")
    choice = TargetChoice("board", board="nucleo_f446re", port=qemu.url)
    with Workbench(make_target(choice, lambda _: None)) as bench:
        yield bench
    qemu.stop()


@pytest.fixture(params=Kernel, ids=lambda kernel: kernel.name.lower())
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """Each of the engine's kernels."""
    return Kernel(request.param)
