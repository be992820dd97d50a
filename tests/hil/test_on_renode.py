"""What concerns a real Renode only, apart from what every target does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.build.platformio import firmware_elf
from harness.errors import TargetUnavailable
from harness.protocol.messages import Echo
from harness.protocol.wire import RunsOn
from harness.renode.find import find_renode
from harness.targets.boards import board, board_names
from harness.targets.renode import RenodeTarget
from harness.workbench import Workbench
from marked_processes import descendants, listening_on

pytestmark = pytest.mark.hil_targets("renode")


def test_it_listens_nowhere(hil_workbench: Workbench) -> None:
    hil_workbench.device().request(Echo())
    target = hil_workbench.target
    assert isinstance(target, RenodeTarget)
    assert target._process is not None
    launcher = target._process._process.pid
    assert listening_on([launcher, *descendants(launcher)]) == set()


def test_the_firmware_uses_nothing_that_the_platform_lacks(hil_workbench: Workbench) -> None:
    """Such a register reads 0, and the log says so. A tag stands in the platform for a register without a model."""
    hil_workbench.device().request(Echo())
    log = hil_workbench.target.log_path()
    assert log is not None
    missing = [
        line for line in log.read_text().splitlines() if "non existing peripheral" in line and "tag:" not in line
    ]
    assert not missing


@pytest.mark.parametrize("name", [name for name in board_names() if name != "nucleo_f446re"])
def test_the_firmware_of_another_board_finds_the_chip_that_is_there(
    hil_workbench: Workbench, name: str, tmp_path: Path
) -> None:
    with Workbench(RenodeTarget(firmware_elf(environment=name), tmp_path / "log", find_renode())) as bench:
        said = bench.device().info
        assert said.board == name
        assert said.runs_on == RunsOn.UNKNOWN
        assert said.idcode & 0xFFF == board("nucleo_f446re").device_id
        assert said.sysclk_hz == board(name).sysclk_hz


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("nothing: No.SuchType @ sysbus 0x0\n", "No.SuchType"),
        ("flash Memory.MappedMemory\n", "platform.repl"),
        (None, "platform.repl"),
    ],
)
def test_a_script_that_fails_is_told_in_renodes_own_words(
    hil_workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str | None, words: str
) -> None:
    path = tmp_path / "platform.repl"
    if platform is not None:
        path.write_text(platform)
    monkeypatch.setattr("harness.targets.renode.PLATFORM", path)
    monkeypatch.setattr("harness.targets.renode._START_TIMEOUT_S", 120.0)  # what it must not come to
    started_s = time.monotonic()
    with (
        Workbench(RenodeTarget(firmware_elf(), tmp_path / "log", find_renode())) as bench,
        pytest.raises(TargetUnavailable, match="script failed") as error,
    ):
        bench.device()
    assert words in error.value.message
    assert time.monotonic() - started_s < 100
