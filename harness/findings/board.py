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
        "{how}",
        {
            "theirs": "0.9",
            "ours": "1.1",
            "how": "`hil flash` puts the firmware of this hil there",
        },
    ),
    Finding(
        "other_build",
        "hil flash --flash never",
        MismatchError,
        "our firmware, of another build",
        "the firmware on the board is build {theirs}, and not {ours}, which this hil has built",
        "`hil flash` puts ours there",
        {
            "theirs": "9f31c0de77aa",
            "ours": "2b1d09e4c35f",
        },
    ),
    Finding(
        "fault_record",
        "faults",
        DeviceFault,
        "the device keeps the record of a fault",
        "the device stopped on {text}",
        "report it with that line: it is a bug of the firmware unless power or clock failed; the next run "
        "tells it once more and clears it",
        {
            "text": "a usage fault (undefined instruction), at engine_lstm_step at "
            "firmware/lib/engine/engine.c:44 (0x08001a34), called from lstm_step at firmware/lib/image/image.c:49 "
            "(0x080012ee)",
        },
    ),
    Finding(
        "wrong_board",
        "chip",
        MismatchError,
        "another board than was asked for",
        "at {place} is no {board}: its chip has device id {actual}, a {board} has {expected}",
        "{how}; or look at the board's label, and at `hil list` for the port of the right one",
        {
            "place": "/dev/ttyACM0 (serial number 0669FF01)",
            "board": "nucleo_f446re",
            "actual": "0x431 (STM32F411RE)",
            "expected": "0x421 (STM32F446RE)",
            "how": "name the board that it is: --board nucleo_f411re",
        },
    ),
    Finding(
        "wrong_firmware",
        "chip",
        MismatchError,
        "our firmware, made for another board",
        "the firmware at {place} is made for the {made_for}, not for the {board}",
        "give --board {made_for} if that is the board, else flash it: `hil flash --board {board}`",
        {
            "place": "/dev/ttyACM0",
            "made_for": "nucleo_f411re",
            "board": "nucleo_f446re",
        },
    ),
)
