"""`hil list`: ports and targets, each with what stands in its way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import run
from harness.targets.boards import board_names
from harness.transport.ports import PortInfo

STLINK = PortInfo("/dev/ttyACM0", 0x0483, 0x374B, "0669FF01", "STM32 STLink")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    port = tmp_path / "ttyS9"
    port.touch()
    for module in ("ports", "serial_port"):
        monkeypatch.setattr(f"harness.transport.{module}.holders", lambda device: ("minicom (pid 7)",))
    ports = (STLINK, PortInfo(str(port)))
    monkeypatch.setattr("harness.transport.ports.serial_ports", lambda: ports)
    assert run(["list", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert run(["list"]) == 0
    return listing, capsys.readouterr().out


def test_a_port_with_its_board_and_its_user(listed: Any) -> None:
    listing, text = listed
    assert listing["ports"][0] == {
        "device": "/dev/ttyACM0",
        "usb_id": "0483:374B",
        "serial_number": "0669FF01",
        "description": "STM32 STLink",
        "may_be": ["nucleo_f401re", "nucleo_f411re", "nucleo_f446re"],
        "in_use_by": ["minicom (pid 7)"],
        "problem": None,
    }
    line = next(line for line in text.splitlines() if "/dev/ttyACM0" in line)
    for word in (
        "0483:374B",
        "0669FF01",
        "could be nucleo_f401re, nucleo_f411re, nucleo_f446re",
        "in use by minicom (pid 7)",
    ):
        assert word in line


def test_every_target_is_there_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["list", "--json"]) == 0
    targets = {target["name"]: target for target in json.loads(capsys.readouterr().out)["targets"]}
    assert list(targets) == ["qemu", "native", "renode", *board_names()]
    assert "qemu-system-arm" in targets["qemu"]["reason"]
    assert "gcc" in targets["native"]["reason"]
    for target in targets.values():
        assert target["available"] is (target["reason"] is None)
        assert (target["remedy"] is None) is target["available"]


def test_a_port_that_may_not_be_opened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("harness.transport.ports.serial_ports", lambda: (PortInfo("/dev/null"),))
    monkeypatch.setattr("harness.transport.ports.holders", lambda device: ())
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert run(["list"]) == 0
    assert "dialout" in capsys.readouterr().out
