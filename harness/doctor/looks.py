"""What kind of firmware sends these bytes. Guesses for people; the bytes are always shown beside them."""

from __future__ import annotations

import re

_LEAST_TEXT = 6
"""Characters below which noise may look like text: an answer of OK between line ends has as many."""

_TEXT_SHARE = 0.95
"""Of bytes received at a wrong baud some 40 % are printable; a lost or broken one among text is forgiven."""

_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\r\n\t\x1b")

_KINDS = (
    (rb"(?:^|[\r\n])(?:OK|ERROR|\+CM[ES] ERROR: ?\w+)[\r\n]", "a modem or radio module, by its answer to AT"),
    (rb">>> |MicroPython|CircuitPython", "a Python prompt, as of MicroPython"),
    (rb"login: ?$|Password: ?$", "a login prompt: the console of a computer"),
    (rb"uart:~\$|Zephyr", "Zephyr"),
    (rb"nsh> ", "a NuttX shell"),
    (rb"U-Boot", "U-Boot"),
    (rb"rst:0x|ESP-ROM|ets [A-Z][a-z]{2} ", "boot messages of an Espressif chip"),
    (rb"\$G[PNLAB][A-Z]{3},", "a GPS receiver, by its NMEA sentences"),
    (rb"[Hh]ard ?[Ff]ault|assertion|panic", "firmware that reports a failure of its own"),
)
"""What text says who sent it."""

_SHOWN_BYTES = 48


def is_text(data: bytes) -> bool:
    """Whether it was meant to be read by people."""
    printable = sum(byte in _PRINTABLE for byte in data)
    return len(data) >= _LEAST_TEXT and printable >= _TEXT_SHARE * len(data)


def looks_like(text: bytes) -> str:
    """Who sends text like this."""
    return next((kind for pattern, kind in _KINDS if re.search(pattern, text)), "firmware that sends text")


def is_boot_loader(answer: bytes) -> bool:
    """Whether a byte 0x7F was answered as ST's boot loaders do: ACK where they take the baud from it, else NACK.

    Source: AN3155, USART protocol used in the STM32 bootloader. It wants even parity; 0x7F has an odd number of ones,
    so its parity bit is a one, and on the line that is no different from the idle line behind a frame without parity.
    The same holds for 0x79 and 0x1F.
    """
    return len(answer) <= 2 and answer[:1] in (b"\x79", b"\x1f") and set(answer) <= {0x79, 0x1F}


def shown(data: bytes) -> str:
    """The last of it: text as Python writes it, other bytes in hexadecimal."""
    tail = data[-_SHOWN_BYTES:]
    return repr(tail) if is_text(tail) else tail[-16:].hex(" ")
