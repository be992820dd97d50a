"""`hil info`, `hil --help`, `hil --version`, and how the program ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import __version__
from harness.cli.app import run
from harness.cli.exit_codes import worst_exit_code
from harness.errors import ExitCode
from harness.targets.boards import board, board_names
from patience import PATIENCE_S, wait_until


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for word in ("validate", "demo", "info", "setup", "test", "8 oracle"):
        assert word in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"hil {__version__}\n"


@pytest.mark.parametrize("arguments", [["fly"], ["validate"], ["validate", "a.keras", "--frob"]])
def test_nonsense_is_a_usage_error(arguments: list[str]) -> None:
    assert run(arguments) == 2


def test_info_as_json(hil_kind: str, hil_workbench: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", f"--{hil_kind}", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["target"]["runs_on"] == hil_kind
    assert info["target"]["arena_bytes"] >= 100 * 1024
    assert info["model"]["crc32"] is None
    # A HELLO that comes while the chip starts is cut where its USART is switched on: one bad frame, and it is repeated.
    assert info["link"]["crc_errors"] <= (0 if hil_kind == "native" else 1)
    if hil_kind == "qemu":
        assert info["target"]["clock_source"] == "hsi", "QEMU has no clock tree, and the firmware must say so"
    assert (info["fpscr"] is None) == (hil_kind == "native")
    assert isinstance(info["link"]["fpscr"], int)


def test_info_tells_people_the_fpu_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--native"]) == 0
    (line,) = [line.split() for line in capsys.readouterr().out.splitlines() if "fpscr" in line]
    assert line == ["fpscr", "none"], "a process has no such register"


def test_export_prints_c(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(model), "--c", "--decimals", "2"]) == 0
    assert "static const float lstm_recurrent_kernel[100] = {" in capsys.readouterr().out
    assert run(["export", str(model)]) == 2
    assert run(["export", str(model), "--c", "--decimals", "-1"]) == 2


def test_worst_of_several_exit_codes() -> None:
    order = [8, 7, 6, 5, 4, 3, 2, 1, 0]
    for place, code in enumerate(order):
        assert worst_exit_code([ExitCode(other) for other in reversed(order[place:])]) == code


def test_sigterm_takes_the_firmware_with_us(model: Path, hil_kind: str, hil_workbench: object) -> None:
    """A validation that would run for minutes is ended; no emulator may be left behind."""
    arguments = ["validate", str(model), f"--{hil_kind}", "--batch", "5000", "--steps", "50"]
    # A marker in the environment finds our children among all processes.
    marker = f"HIL_TEST_MARKER={os.getpid()}_{hil_kind}"
    name, value = marker.split("=")
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        env={**os.environ, name: value},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    program = {"native": "firmware", "qemu": "qemu-system-arm"}[hil_kind]
    try:
        assert wait_until(lambda: program in _names_of(marker)), "the target never started"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert wait_until(lambda: not _names_of(marker)), _names_of(marker)


def _names_of(marker: str) -> list[str]:
    """Names of all processes with this variable in their environment."""
    names = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                names.append((folder / "comm").read_text().strip())
        except OSError:
            continue
    return [name for name in names if name]


def test_fit_says_what_a_model_needs(model: Path, large_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "FITS, runs from RAM" in shown
    assert " at 180 MHz\n" in shown
    assert "an estimate" in shown
    assert "recurrent_activation sigmoid" in shown
    assert "runs of any length, they stream" in shown
    assert run(["fit", str(large_model)]) == 2
    assert "DOES NOT FIT" in capsys.readouterr().out
    assert run(["fit", str(model), "--kernel", "fast"]) == 2
    assert "packed_fma" in capsys.readouterr().err
    assert run(["fit", str(model), "--steps", "0"]) == 2


def test_fit_knows_every_board(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory = {}
    for name in board_names():
        assert run(["fit", str(model), "--board", name]) == 0
        shown = capsys.readouterr().out
        assert f" at {board(name).sysclk_hz // 10**6} MHz\n" in shown
        memory[name] = int(re.search(r"of (\d+) of RAM", shown).group(1))  # type: ignore[union-attr]
    assert memory["nucleo_f446re"] - memory["nucleo_f401re"] == 32 * 1024
    assert run(["fit", str(model), "--board", "nucleo"]) == 2


def test_fit_of_a_model_that_fixes_its_steps(flash_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", str(flash_model)]) == 0
    shown = capsys.readouterr().out
    assert "weights in RAM: does not fit" in shown
    assert "weights in flash: runs of 28 steps, which the model fixes" in shown
