"""Which baud a USART can have: the arithmetic of its divisor, as the firmware does it (firmware/lib/app/baud.c).

The USART divides its clock by a whole number for each bit (RM0390 25.4.4: BRR, with oversampling by 16), so most rates
are missed by a little. What both sides miss adds up, and what is missed over ten bits must stay well below half a bit.
"""

from __future__ import annotations

from harness.protocol.wire import MAX_BAUD, MAX_BAUD_DIVISOR, MAX_BAUD_ERROR_PER_MILLE, MIN_BAUD_DIVISOR

COMMON_BAUDS = (115200, 230400, 460800, 921600, 1_000_000, 1_500_000, 2_000_000)
"""What serial ports are asked for."""

ECHO_PATTERN = bytes(range(256)) + b"\x55" * 128 + b"\xaa" * 128 + b"\x00\xff" * 128
"""What is sent to and fro at a new baud before it is kept: every byte, and the most and the fewest edges."""


def _divisor(clock_hz: int, baud: int) -> int | None:
    divisor = (clock_hz + baud // 2) // baud if baud > 0 else 0
    return divisor if MIN_BAUD_DIVISOR <= divisor <= MAX_BAUD_DIVISOR else None


def real_baud(clock_hz: int, baud: int) -> float | None:
    """The nearest that a clock gives; None where it is too slow or too fast for it, or there is none.

    Args:
        clock_hz: of the USART; 0: none.
        baud: wanted, bits per second.
    """
    divisor = _divisor(clock_hz, baud)
    return None if divisor is None else clock_hz / divisor


def baud_error(clock_hz: int, baud: int) -> float | None:
    """How far the nearest one is off, as a share of what is wanted: positive where it is faster."""
    real = real_baud(clock_hz, baud)
    return None if real is None else real / baud - 1


def is_possible(clock_hz: int, baud: int) -> bool:
    """Whether the firmware will accept it."""
    divisor = _divisor(clock_hz, baud)
    if divisor is None or baud > MAX_BAUD:
        return False
    return abs(clock_hz - baud * divisor) * 1000 <= baud * divisor * MAX_BAUD_ERROR_PER_MILLE  # in whole cycles
