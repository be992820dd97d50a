"""`hil flash`: a fake board on a pseudo-terminal whose program a played `pyocd` or OpenOCD changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.build import pio_local
from harness.build.elf import build_id
from harness.build.platformio import firmware_elf
from harness.cli.app import run
from harness.errors import TargetUnavailable
from harness.fake import FakeDevice
from harness.protocol.messages import HelloReply
from pty_line import PtyDevice

THEIRS = b"\x42" * 20


class FlashableBoard:
    """A board and its probe, and a flashing program that is told to write to it.

    Args:
        folder: first on the PATH.
        serial_number: of the probe.
    """

    def __init__(self, folder: Path, serial_number: str = "0669FF01") -> None:
        self.serial_number = serial_number
        self.told = folder / "told"
        self._folder = folder
        self.device = FakeDevice(hello=HelloReply(max_payload_bytes=1040, build_id=THEIRS))
        self.moves = False
        self.writes = build_id(firmware_elf())
        self._port = PtyDevice(self._answer)
        self._is_moved = False

    def install(self, name: str, output: str = "", status: int = 0) -> None:
        """A program that notes what it was told, writes a text and ends."""
        program = self._folder / name
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {self.told}\necho '{output}' >&2\nexit {status}\n")
        program.chmod(0o755)

    @property
    def arguments(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    @property
    def url(self) -> str:
        return self._port.url

    def port(self) -> SimpleNamespace:
        """As pyserial lists it; where it moves, at another port once it was flashed."""
        if self.moves and self.told.exists() and not self._is_moved:
            self._is_moved = True
            self._port.hang_up()
            self._port = PtyDevice(self._answer)
        number, text = self.serial_number, "STM32 STLink"
        return SimpleNamespace(device=self.url, vid=0x0483, pid=0x374B, serial_number=number, description=text)

    def unplug(self) -> None:
        self._port.hang_up()

    def _answer(self, data: bytes) -> bytes:
        if self.told.exists():
            self.device.hello = replace(self.device.hello, build_id=self.writes)
        return self.device.receive(data)


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[FlashableBoard | SimpleNamespace]:
    """What is plugged in."""
    plugged: list[FlashableBoard | SimpleNamespace] = []
    monkeypatch.setattr(
        "serial.tools.list_ports.comports",
        lambda: [item.port() if isinstance(item, FlashableBoard) else item for item in plugged],
    )
    return plugged


@pytest.fixture
def nucleo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ports: list[FlashableBoard | SimpleNamespace]
) -> Iterator[FlashableBoard]:
    try:
        plugged = FlashableBoard(tmp_path)
    except TargetUnavailable as error:
        pytest.skip(error.message)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("harness.build.pyocd._BESIDE", tmp_path / "nothing")
    ports.append(plugged)
    yield plugged
    plugged.unplug()


def ours() -> str:
    return build_id(firmware_elf()).hex()[:12]


def test_pyocd_writes_our_elf_by_the_probe_of_this_number(
    nucleo: FlashableBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    nucleo.install("pyocd")
    assert run(["flash", "--tool", "pyocd", "--sn", "0669ff01"]) == 0
    captured = capsys.readouterr()
    assert nucleo.arguments == [
        *["load", "-W", "-t", "stm32f446retx", "-e", "sector", "--format", "elf", "-u", "0669FF01"],
        str(firmware_elf()),
    ]
    place = f"{nucleo.url} (serial number 0669FF01)"
    assert f"flashing nucleo_f446re at {place}" in captured.err
    assert captured.out.splitlines() == [
        "target  board nucleo_f446re, serial number 0669ff01",
        f"FLASHED nucleo_f446re at {place}: build {ours()} answers (exit 0)",
    ]


def test_a_board_that_has_our_build_is_left_alone_unless_always(
    nucleo: FlashableBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    nucleo.install("pyocd")
    nucleo.device.hello = replace(nucleo.device.hello, build_id=nucleo.writes)
    assert run(["flash", "--tool", "pyocd"]) == 0
    assert nucleo.arguments == []
    assert capsys.readouterr().out.splitlines()[-1].startswith("UNCHANGED nucleo_f446re at ")
    assert run(["flash", "--tool", "pyocd", "--flash", "always"]) == 0
    assert nucleo.arguments[0] == "load"


def test_never_only_asks(nucleo: FlashableBoard, capsys: pytest.CaptureFixture[str]) -> None:
    nucleo.install("openocd")
    assert run(["flash", "--flash", "never"]) == 6
    output = capsys.readouterr().out
    assert ours() in output
    assert "424242424242" in output
    assert output.splitlines()[-1] == "ERROR board nucleo_f446re: other_build (exit 6)"
    nucleo.device.hello = replace(nucleo.device.hello, build_id=nucleo.writes)
    assert run(["flash", "--no-flash"]) == 0
    assert nucleo.arguments == []


def test_a_probe_that_comes_back_at_another_port_is_found_by_its_number(
    nucleo: FlashableBoard, ports: list[FlashableBoard | SimpleNamespace], capsys: pytest.CaptureFixture[str]
) -> None:
    nucleo.install("pyocd")
    nucleo.moves = True
    assert run(["flash", "--tool", "pyocd"]) == 0
    assert f"FLASHED nucleo_f446re at {nucleo.url} " in capsys.readouterr().out
    assert nucleo._is_moved


def test_by_platformio(nucleo: FlashableBoard) -> None:
    if not pio_local.is_installed():
        pytest.skip("PlatformIO takes its packages from its registry here, with an OpenOCD of its own")
    nucleo.install("openocd")
    assert run(["flash"]) == 0
    assert nucleo.arguments[:2] == ["-c", "adapter serial 0669FF01"]


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("0000249 C No connected debug probe matches unique ID", "no_probe"),
        ("0001200 C Target type stm32f446retx not recognized. Use pyocd list --targets", "no_chip_support"),
        ("0000310 W [Errno 13] Access denied (insufficient permissions)", "probe_permission"),
        ("0000310 C STLink error (5): No device connected", "no_chip"),
        ("0000310 C something that nobody has seen", "flash_error"),
    ],
)
def test_why_pyocd_failed(says: str, code: str, nucleo: FlashableBoard, capsys: pytest.CaptureFixture[str]) -> None:
    nucleo.install("pyocd", says, 1)
    assert run(["flash", "--tool", "pyocd"]) == 4
    output = capsys.readouterr().out
    assert says in output
    assert "what to do: " in output
    assert output.splitlines()[-1] == f"ERROR board nucleo_f446re: {code} (exit 4)"


def test_a_chip_that_pyocd_does_not_know_is_a_command_away(
    nucleo: FlashableBoard, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nucleo.install("pyocd", "Target type stm32f446retx not recognized", 1)
    assert run(["flash", "--tool", "pyocd"]) == 4
    assert f"`{tmp_path / 'pyocd'} pack install stm32f446retx`" in capsys.readouterr().out.replace("\n", " ")


def test_no_pyocd_is_said_before_anything_is_done(
    nucleo: FlashableBoard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["flash", "--tool", "pyocd"]) == 4
    assert "lstm-hil[pyocd]" in capsys.readouterr().err


def test_what_was_flashed_must_answer(nucleo: FlashableBoard, capsys: pytest.CaptureFixture[str]) -> None:
    nucleo.install("pyocd")
    nucleo.writes = b"\x43" * 20  # the program says that all went well
    assert run(["flash", "--tool", "pyocd"]) == 4
    output = capsys.readouterr().out
    assert "announces build 434343434343" in output
    assert output.splitlines()[-1] == "ERROR board nucleo_f446re: flash_not_verified (exit 4)"


def test_several_boards_the_worst_counts(
    nucleo: FlashableBoard, ports: list[FlashableBoard | SimpleNamespace], capsys: pytest.CaptureFixture[str]
) -> None:
    nucleo.install("pyocd")
    assert run(["flash", "--tool", "pyocd", "--sn", "0669FF01", "--sn", "0669FF99"]) == 3
    verdicts = [line for line in capsys.readouterr().out.splitlines() if "(exit" in line]
    assert verdicts[0].startswith("FLASHED nucleo_f446re at ")
    assert verdicts[1].endswith("serial number 0669FF99: no_board (exit 3)")


def test_no_board(
    ports: list[FlashableBoard | SimpleNamespace],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ports.append(
        SimpleNamespace(device="/dev/ttyUSB0", vid=0x1A86, pid=0x7523, serial_number=None, description="USB Serial")
    )
    dongle = tmp_path / "1-1"
    dongle.mkdir()
    for file, text in {"idVendor": "0483", "idProduct": "3748", "serial": "55FF6B", "product": "STM32 STLink"}.items():
        (dongle / file).write_text(f"{text}\n")
    monkeypatch.setattr("harness.transport.usb.SYSFS", tmp_path)
    assert run(["flash"]) == 3
    output = capsys.readouterr().out.replace("\n", " ")
    for part in (
        "looked for a serial port with USB id 0483:374B or 0483:374A or 0483:3752",
        "found /dev/ttyUSB0 (1A86:7523, USB Serial)",
        "without a serial port: 0483:3748 ST-LINK/V2, which has no serial port, serial number 55FF6B",
    ):
        assert part in output


def test_a_port_without_a_probe_cannot_be_flashed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flash", "--port", "socket://127.0.0.1:1"]) == 2
    assert "port_cannot_flash (exit 2)" in capsys.readouterr().out


def test_a_labs_board_is_flashed_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flash", "--labgrid", "desk"]) == 2
    assert "`hil info --labgrid desk` says which build runs there" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--tool", "jlink"], ["--flash", "sometimes"], ["--qemu"]])
def test_usage(arguments: list[str]) -> None:
    assert run(["flash", *arguments]) == 2
