"""FPSCR, the floating-point status and control register of a Cortex-M4F, in words (ARM DDI 0403E, A2.5.3)."""

from __future__ import annotations

from typing import Any

from harness.protocol.messages import CountersReply, HelloReply
from harness.protocol.wire import Capability

SINCE_MINOR = 2
"""Of the protocol: an older firmware does not tell it."""

_ROUNDINGS = ("nearest", "up", "down", "zero")
_TOWARDS = {"up": "+infinity", "down": "-infinity", "zero": "zero"}
_ROUNDING_SHIFT = 22
_FLUSH_TO_ZERO = 1 << 24
_DEFAULT_NAN = 1 << 25

_EXCEPTIONS = {
    "invalid_operation": 1 << 0,
    "division_by_zero": 1 << 1,
    "overflow": 1 << 2,
    "underflow": 1 << 3,
    "inexact": 1 << 4,
    "input_denormal": 1 << 7,
}
"""Cumulative: set by an instruction, and by nobody cleared."""

_FLAGS = {
    "invalid_operation": "IOC",
    "division_by_zero": "DZC",
    "overflow": "OFC",
    "underflow": "UFC",
    "inexact": "IXC",
    "input_denormal": "IDC",
}
"""What the register's description, and a debugger, call them."""


def fpscr_fields(hello: HelloReply, counters: CountersReply | None) -> dict[str, Any] | None:
    """What the device's FPU is set to, and what has happened in it since it was started.

    Args:
        hello: what the device says of itself.
        counters: asked after it has computed; None: it did not come so far.

    Returns:
        None also of a process, which has no such register, and of a firmware that does not tell it.
    """
    tells = bool(hello.capabilities & Capability.FPU) and hello.protocol_minor >= SINCE_MINOR
    if counters is None or not tells:
        return None
    value = counters.fpscr
    return {
        "value": f"0x{value:08X}",
        "rounding": _ROUNDINGS[value >> _ROUNDING_SHIFT & 3],
        "flush_to_zero": bool(value & _FLUSH_TO_ZERO),
        "default_nan": bool(value & _DEFAULT_NAN),
        "happened": [name for name, bit in _EXCEPTIONS.items() if value & bit],
    }


def fpscr_line(fields: dict[str, Any] | None) -> str:
    """`0x00000010: rounds to nearest, FZ off, DN off; happened: IXC inexact`, of `fpscr_fields`."""
    if fields is None:
        return "none"
    towards = "to nearest" if fields["rounding"] == _ROUNDINGS[0] else f"towards {_TOWARDS[fields['rounding']]}"
    modes = ", ".join(
        f"{name} {'on' if fields[field] else 'off'}" for name, field in (("FZ", "flush_to_zero"), ("DN", "default_nan"))
    )
    happened = ", ".join(f"{_FLAGS[name]} {name.replace('_', ' ')}" for name in fields["happened"])
    return f"{fields['value']}: rounds {towards}, {modes}; happened: {happened or 'nothing'}"
