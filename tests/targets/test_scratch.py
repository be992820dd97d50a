"""An emulator's folder goes with it, and one that was killed leaves none for long."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from harness.targets.scratch import Scratch


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def make_old(folder: Path) -> None:
    hour_ago_s = time.time() - 3600
    os.utime(folder, (hour_ago_s, hour_ago_s))


def test_it_is_removed_with_what_is_in_it(tmp_path: Path) -> None:
    scratch = Scratch("qemu")
    (scratch.path / "flash").write_bytes(b"1")
    scratch.remove()
    scratch.remove()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    for name in ("hil-qemu-killed", "hil-qemu-young", "hil-renode-other", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flash").write_bytes(b"1")
    (tmp_path / "hil-qemu-link").symlink_to(tmp_path / "elsewhere")
    for name in ("hil-qemu-killed", "hil-renode-other", "elsewhere"):
        make_old(tmp_path / name)
    running = Scratch("qemu")
    assert not (tmp_path / "hil-qemu-killed").exists()
    make_old(running.path)
    Scratch("qemu").remove()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"hil-qemu-young", "hil-qemu-link", "hil-renode-other", "elsewhere", running.path.name}
    assert (tmp_path / "elsewhere" / "flash").exists()
    running.remove()
