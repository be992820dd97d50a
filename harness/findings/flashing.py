"""Findings that only flashing comes upon."""

from __future__ import annotations

from harness.errors import FlashError, UsageError
from harness.findings.kinds import Finding

FLASH_FINDINGS = (
    Finding(
        "no_probe",
        "hil flash",
        FlashError,
        "the flashing tool finds no probe",
        "flashing failed: {tool} found no such probe; looked for {probe}",
        "look at the cable, and whether a debugger, another OpenOCD or a virtual machine has the probe; `hil "
        "doctor` shows whether this user may use it",
        {
            "tool": "OpenOCD",
            "probe": "the ST-LINK with serial number 0669FF01",
        },
    ),
    Finding(
        "no_chip",
        "hil flash",
        FlashError,
        "the probe does not reach the chip",
        "flashing failed: the probe is there and cannot reach the chip; {tool} looked for {probe}",
        "look at the board's power and at the jumpers of its probe (CN2 both in, JP5 on U5V, JP6 in), then plug "
        "it in again; firmware that sleeps or has turned off SWD is caught by holding the black reset button "
        "while flashing begins",
        {
            "tool": "OpenOCD",
            "probe": "the ST-LINK with serial number 0669FF01",
        },
    ),
    Finding(
        "flash_verify",
        "hil flash",
        FlashError,
        "what was read back is not what was written",
        "flashing failed: what was read back is not what was written; {tool} wrote by {probe}",
        "run again; if it stays, the flash is write-protected (option bytes) or worn out: try another board",
        {
            "tool": "OpenOCD",
            "probe": "the ST-LINK with serial number 0669FF01",
        },
    ),
    Finding(
        "no_chip_support",
        "hil flash",
        FlashError,
        "this pyOCD does not know the chip",
        "flashing failed: {tool} does not know the chip {chip}; looked for {probe}",
        "`{pyocd} pack install {chip}` fetches its description once (from the internet); or use --tool platformio",
        {
            "tool": "pyOCD",
            "chip": "stm32f446retx",
            "probe": "the ST-LINK with serial number 0669FF01",
            "pyocd": "~/lstm-hil/.venv/bin/pyocd",
        },
    ),
    Finding(
        "flash_hangs",
        "hil flash",
        FlashError,
        "flashing does not end",
        "flashing did not end within {seconds} s; {tool} looked for {probe}",
        "plug the board in again, then run again",
        {
            "tool": "OpenOCD",
            "probe": "the ST-LINK with serial number 0669FF01",
            "seconds": 600,
        },
    ),
    Finding(
        "flash_error",
        "hil flash",
        FlashError,
        "flashing failed",
        "flashing failed with status {status}; {tool} looked for {probe}",
        "plug the board in again, then run again; `{by_hand}` shows more",
        {
            "tool": "OpenOCD",
            "probe": "the ST-LINK with serial number 0669FF01",
            "status": 1,
            "by_hand": "pio run -t upload -v",
        },
    ),
    Finding(
        "flash_not_verified",
        "hil flash",
        FlashError,
        "flashed, and our firmware does not answer",
        "{board} was flashed, and does not answer with our firmware at {port}: {reason}",
        "press the board's reset button and run again; if it stays silent, look whether its probe's serial port "
        "is wired to USART2 (PA2, PA3): SB13 and SB14 closed on a Nucleo-64",
        {
            "board": "nucleo_f446re",
            "port": "/dev/ttyACM0",
            "reason": "no answer to Hello within 2 s (0 bytes came, 0 frames, 0 bad)",
        },
    ),
    Finding(
        "port_cannot_flash",
        "hil flash",
        UsageError,
        "a port without a probe cannot be flashed",
        "{port} belongs to no probe, so nothing can be flashed there",
        "leave out --port to have the board found on USB, or flash it at the machine that its probe is plugged "
        "into; a run takes what is on the board with --flash never",
        {
            "port": "socket://bench7:3000",
        },
    ),
)
