"""Findings about a board that answers."""

from __future__ import annotations

from harness.errors import DeviceFault, MismatchError
from harness.findings.kinds import Finding

BOARD_FINDINGS = (
    Finding(
        "protocol_version",
        "link",
        MismatchError,
        "our firmware, of another protocol",
        "the firmware speaks protocol {theirs}, this hil {ours}",
        "flash the firmware that belongs to this version of hil: `hil flash`",
        {"theirs": "0.9", "ours": "1.0"},
    ),
    Finding(
        "fault_record",
        "faults",
        DeviceFault,
        "the device keeps the record of a fault",
        "the device stopped on {text}",
        "a bug of the firmware unless power or clock failed: report it with that line; the record goes when the "
        "board is unplugged",
        {"text": "a usage fault (division by zero), at 0x08001a34, called from 0x080012ef"},
    ),
    Finding(
        "wrong_board",
        "chip",
        MismatchError,
        "another board than was asked for",
        "at {port} is no {board}: the chip says {actual}, a {board} has {expected}",
        "{how}",
        {
            "port": "/dev/ttyACM0",
            "board": "nucleo_f446re",
            "actual": "device id 0x431 (STM32F411xC/E)",
            "expected": "0x421 (STM32F446)",
            "how": "name the board that it is: --board nucleo_f411re; or plug in the other one",
        },
    ),
)
