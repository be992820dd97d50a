"""Flashing by PlatformIO with an OpenOCD that is played: what it is told, and what a person is told when it fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.build import pio_local, upload
from harness.build.paths import project_root
from harness.errors import FlashError
from patience import wait_until

NO_PROBE = "Error: open failed"
NO_CHIP = "Error: init mode failed (unable to connect to the target)"


class PlayedOpenOcd:
    """A program called openocd, first on the PATH; PlatformIO finds it where it takes what is installed here."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._program = folder / "openocd"
        self._told = folder / "told"
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        self.says("** Verified OK **", 0)

    def says(self, text: str, status: int) -> None:
        self._program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {self._told}\necho '{text}' >&2\nexit {status}\n")
        self._program.chmod(0o755)

    @property
    def arguments(self) -> list[str]:
        return self._told.read_text().splitlines()


@pytest.fixture
def openocd(chip_elf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedOpenOcd:
    if not pio_local.is_installed():
        pytest.skip("PlatformIO takes its packages from its registry here, with an OpenOCD of its own")
    return PlayedOpenOcd(tmp_path, monkeypatch)


def test_the_elf_that_is_built_goes_to_the_probe_of_this_number(openocd: PlayedOpenOcd, chip_elf: Path) -> None:
    before = chip_elf.read_bytes()
    upload.upload("0669FF01")
    # In front of everything else: before the board's file has chosen a driver.
    assert openocd.arguments[:2] == ["-c", "adapter serial 0669FF01"]
    assert openocd.arguments[2:5] == ["-d1", "-f", "board/st_nucleo_f4.cfg"]
    command = openocd.arguments[-1]
    assert command.startswith("program {")
    assert command.endswith("} verify reset; shutdown;")
    elf = Path(command[len("program {") : command.index("}")])
    assert (project_root() / elf).samefile(chip_elf)
    assert chip_elf.read_bytes() == before, "nothing is built anew"


def test_a_probe_without_a_number_is_the_only_one(openocd: PlayedOpenOcd) -> None:
    upload.upload(None)
    assert openocd.arguments[0] == "-d1"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (NO_PROBE, "no_probe"),
        (NO_CHIP, "no_chip"),
        ("Error: libusb_open() failed with LIBUSB_ERROR_ACCESS", "probe_permission"),
        ("Error: checksum mismatch - attempting binary compare", "flash_verify"),
        ("Error: something that nobody has seen", "flash_error"),
    ],
)
def test_a_failure_is_named_and_shown(openocd: PlayedOpenOcd, text: str, code: str) -> None:
    openocd.says(text, 1)
    with pytest.raises(FlashError) as error:
        upload.upload("0669FF01")
    assert error.value.exit_code == 4
    assert error.value.code == code
    assert text in error.value.message
    assert "serial number 0669FF01" in error.value.message
    assert error.value.remedy


def test_an_openocd_that_hangs_is_ended(
    openocd: PlayedOpenOcd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    (tmp_path / "openocd").write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 300\n")
    communicate = subprocess.Popen.communicate

    def until_it_hangs(process: subprocess.Popen[str], *, timeout: float | None = None) -> tuple[str, str]:
        if timeout is not None:
            assert wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
            timeout = 0.01
        return communicate(process, timeout=timeout)

    monkeypatch.setattr(subprocess.Popen, "communicate", until_it_hangs)
    with pytest.raises(FlashError) as error:
        upload.upload("0669FF01")
    assert error.value.code == "flash_hangs"
    process = Path(f"/proc/{pid.read_text().strip()}")
    assert wait_until(lambda: not process.exists()), "dead at once, and listed until its new parent has looked"


def test_no_openocd_at_all(chip_elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pio_local.is_installed():
        pytest.skip("PlatformIO brings its own OpenOCD here")
    if any(Path(folder, "openocd").exists() for folder in os.environ["PATH"].split(os.pathsep)):
        pytest.skip("there is an OpenOCD here")
    with pytest.raises(FlashError) as error:
        upload.upload("0669FF01")
    assert error.value.code == "no_openocd"
    assert "install it" in error.value.remedy
