"""QEMU as a target, apart from what every target does."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.platformio import firmware_elf
from harness.errors import TargetUnavailable
from harness.targets.qemu import QemuTarget
from harness.workbench import Workbench

pytestmark = pytest.mark.hil_targets("qemu")


def test_qemu_that_ends_at_once_is_a_target_that_is_not_there(
    hil_workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.qemu.MACHINE", "no_such_board")
    with Workbench(QemuTarget(firmware_elf(), tmp_path / "log")) as bench, pytest.raises(TargetUnavailable) as refused:
        bench.device()
    assert refused.value.code == "target_not_started"
    assert "unsupported machine type" in refused.value.message, "QEMU's own words"


def test_what_is_preloaded_is_removed_with_the_target(hil_workbench: Workbench, tmp_path: Path) -> None:
    target = QemuTarget(firmware_elf(), tmp_path / "log")
    assert target.preload(b"bytes", hil_workbench.device().info.store_address)
    for _ in range(2):
        with Workbench(target) as bench:
            bench.device()
            folder = Path(str(target.scratch))
            assert (folder / "flash").read_bytes() == b"bytes"
        assert not folder.exists()
