"""Fixtures of the tests that run the firmware. Each test runs on every target that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.protocol.messages import Reset
from harness.targets.choice import TargetChoice
from harness.transport.serial_port import SerialPort
from harness.workbench import Workbench, make_target
from raw_line import RawLine


@pytest.fixture
def raw_line(hil_kind: str, hil_workbench: Workbench) -> Iterator[RawLine]:
    """A line to a freshly booted device of the target at hand: whole frames and broken ones, without a session."""
    if hil_kind == "board":  # of which there is one: the device that others use is restarted
        hil_workbench.device().request(Reset())
        hil_workbench.close()
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
def both(hil_workbenches: Callable[[str], Workbench]) -> tuple[Workbench, Workbench]:
    """Native and QEMU side by side."""
    from harness.errors import TargetUnavailable

    try:
        return hil_workbenches("native"), hil_workbenches("qemu")
    except TargetUnavailable as error:
        pytest.skip(f"needs native and qemu: {error.message}")
