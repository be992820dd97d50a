"""What concerns a real Renode only, apart from what every target does."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from harness.build.platformio import firmware_elf
from harness.errors import TargetUnavailable
from harness.protocol.messages import Echo
from harness.renode.find import find_renode
from harness.targets.renode import RenodeTarget
from harness.workbench import Workbench

pytestmark = pytest.mark.hil_targets("renode")

LISTENING = "0A"  # proc(5), net/tcp


def sockets_of_session(session: int) -> set[str]:
    """The inodes of the sockets that the processes of a session have open."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                found |= set(re.findall(r"socket:\[(\d+)\]", " ".join(map(os.readlink, stat.parent.glob("fd/*")))))
        except OSError:
            continue
    return found


def test_it_listens_nowhere(hil_workbench: Workbench) -> None:
    hil_workbench.device().request(Echo())
    target = hil_workbench.target
    assert isinstance(target, RenodeTarget)
    assert target._process is not None
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {fields[9] for line in lines if (fields := line.split())[3] == LISTENING}
    assert not listening & sockets_of_session(target._process._process.pid)


def test_the_firmware_uses_nothing_that_the_platform_lacks(hil_workbench: Workbench) -> None:
    """Such a register reads 0, and the log says so. A tag stands in the platform for a register without a model."""
    hil_workbench.device().request(Echo())
    log = hil_workbench.target.log_path()
    assert log is not None
    missing = [
        line for line in log.read_text().splitlines() if "non existing peripheral" in line and "tag:" not in line
    ]
    assert not missing


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
