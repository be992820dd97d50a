"""A main loop that has come to a stop, on Renode: the one emulator with a watchdog. Its cause comes from RAM there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from faulty_firmware import Provoke, Provoked, faulty_elf
from harness.errors import DeviceFault
from harness.protocol.messages import Echo
from harness.protocol.wire import FaultCause, ResetCause
from harness.renode.find import find_renode
from harness.targets.renode import RenodeTarget
from harness.workbench import Workbench

pytestmark = pytest.mark.hil_targets("renode")

PERIOD_S = 8.0
"""Of the LSI's nominal clock, which is what Renode has."""


def test_it_restarts_a_program_that_hangs_and_leaves_one_that_waits(hil_kind: str, tmp_path: Path) -> None:
    with Workbench(RenodeTarget(faulty_elf(tmp_path), tmp_path / "log", find_renode())) as bench:
        device = bench.device()
        time.sleep(1.5 * PERIOD_S)
        assert device.request(Echo(data=b"still here")).data == b"still here"
        start_s = time.monotonic()
        with pytest.raises(DeviceFault, match="watchdog: its main loop came to a stop"):
            device.request(Provoke(what=Provoked.HANG))
        assert time.monotonic() - start_s > PERIOD_S / 2
        info = device.connect()
        assert info.reset_cause == ResetCause.WATCHDOG | ResetCause.FAULT
        fault = device.read_fault()
        assert fault is not None
        assert (fault.cause, fault.build_id) == (FaultCause.WATCHDOG, info.build_id)
        assert device.reset().reset_cause == ResetCause.UNKNOWN, "a reset that was asked for"
