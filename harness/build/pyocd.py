"""Writes the chip's ELF to a board by pyOCD, for probes and machines that OpenOCD does not serve."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from harness.build import flasher
from harness.findings import found

_PYOCD = flasher.Flasher(
    "pyOCD",
    (
        (r"Access denied|insufficient permissions", "probe_permission"),
        (r"No connected debug probe|No available debug probe|No target device available", "no_probe"),
        (r"Target type \S+ not recognized", "no_chip_support"),
        (r"STLink error|No ACK|Error reading|cannot connect to target|TransferError|TransferFault", "no_chip"),
        (r"[Vv]erif\w* (failed|error)|contents? mismatch", "flash_verify"),
    ),
    by_hand="pyocd load -v",
    timeout_s=120.0,  # writing 60 KB takes some 5 s
)

_BESIDE = Path(sys.executable).with_name("pyocd")
"""Where pip puts it."""


def program() -> Path:
    """The program `pyocd`: beside the Python that runs us, else on the PATH.

    Raises:
        FlashError: there is none.
    """
    on_path = shutil.which("pyocd")
    if _BESIDE.is_file():
        return _BESIDE
    if on_path is None:
        raise found("no_pyocd", python=sys.executable)
    return Path(on_path)


def upload(elf: Path, chip: str, serial_number: str | None) -> None:
    """Write an ELF to the board behind a probe, and start it.

    Args:
        elf: what is written.
        chip: pyOCD's name of the chip.
        serial_number: of the probe; None where the only one there has none.

    Raises:
        FlashError: it could not be written.
    """
    pyocd = str(program())
    # -W: an absent probe is an error at once; without it pyOCD waits for one to be plugged in.
    argv = [pyocd, "load", "-W", "-t", chip, "-e", "sector", "--format", "elf"]
    argv += ["-u", serial_number] if serial_number is not None else []
    flasher.run(replace(_PYOCD, facts={"chip": chip, "pyocd": pyocd}), [*argv, str(elf)], serial_number)
