"""A fault record in words: what ended the program, and where. Bits as in Arm's ARMv7-M manual (DDI 0403E), B3.2.15."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import DeviceFault
from harness.protocol.messages import Fault
from harness.protocol.wire import FAULT_MAGIC, FaultCause, crc32

Locate = Callable[[bytes, int], str]
"""Given the build id of a program and an address in it: function, file and line, or why that cannot be said."""

_CAUSES = {
    FaultCause.HARD_FAULT: "a hard fault",
    FaultCause.MEMORY_FAULT: "a memory fault",
    FaultCause.BUS_FAULT: "a bus fault",
    FaultCause.USAGE_FAULT: "a usage fault",
    FaultCause.STACK_OVERFLOW: "a stack overflow, caught by the MPU's guard",
    FaultCause.UNEXPECTED_EXCEPTION: "an exception that nobody expects",
    FaultCause.WATCHDOG: "the watchdog: its main loop came to a stop",
}

_CFSR = {
    0: "instruction fetch refused by the MPU",
    1: "data access refused by the MPU",
    3: "MPU fault on return from an exception",
    4: "MPU fault on entry to an exception",
    5: "MPU fault while floating-point state was saved",
    8: "bus error on instruction fetch",
    9: "precise bus error",
    10: "imprecise bus error: pc is behind the access",
    11: "bus error on return from an exception",
    12: "bus error on entry to an exception",
    13: "bus error while floating-point state was saved",
    16: "undefined instruction",
    17: "invalid state: a jump to an address without the Thumb bit",
    18: "invalid return from an exception",
    19: "no coprocessor: the FPU is off",
    24: "unaligned access",
    25: "division by zero",
}
"""By bit of CFSR. Bits 7 and 15 say that MMFAR and BFAR are valid."""

_MMFAR_VALID, _BFAR_VALID = 1 << 7, 1 << 15

_HFSR = {1: "vector table unreadable", 30: "escalated: it came while faults could not be handled", 31: "debug event"}


def is_sound(fault: Fault) -> bool:
    """Whether it is a record, and one whose CRC-32 is right."""
    return fault.magic == FAULT_MAGIC and crc32(fault.pack()[:-4]) == fault.crc32 and fault.cause != FaultCause.NONE


def cause_text(fault: Fault) -> str:
    """`a usage fault (division by zero)`, with the addresses that were refused."""
    known = {int(cause): text for cause, text in _CAUSES.items()}
    text = known.get(fault.cause, f"cause {fault.cause}, which this hil does not know")
    if fault.cause == FaultCause.UNEXPECTED_EXCEPTION:
        text += f" (number {fault.exception})"
    return text + (f" ({'; '.join(details)})" if (details := list(_details(fault))) else "")


def fault_fields(fault: Fault, locate: Locate) -> dict[str, Any]:
    """The record for reports: cause in words, registers in hexadecimal, places in the source."""
    registers = {
        name: f"0x{getattr(fault, name):08x}"
        for name in ("pc", "lr", "xpsr", "sp", "exc_return", "cfsr", "hfsr", "mmfar", "bfar")
    }
    return {
        "cause": _name_of(fault),
        "text": cause_text(fault),
        **registers,
        "pc_at": locate(fault.build_id, fault.pc) if fault.pc else None,
        "lr_at": locate(fault.build_id, _call_of(fault)) if _call_of(fault) else None,
        "exception": fault.exception,
        "count": fault.count,
        "build_id": fault.build_id.hex(),
        "crc32": f"0x{fault.crc32:08x}",
    }


def fault_text(fault: Fault, locate: Locate) -> str:
    """Cause and place, in one sentence without its end."""
    text = cause_text(fault)
    if fault.pc:
        text += f", at {locate(fault.build_id, fault.pc)}"
    if _call_of(fault):
        called = "called from" if fault.pc else "the last call that its stack shows is at"
        text += f", {called} {locate(fault.build_id, _call_of(fault))}"
    return text + (f" ({fault.count} faults since a record was last cleared)" if fault.count > 1 else "")


def earlier_fault_text(fault: dict[str, Any]) -> str:
    """The same of what `fault_fields` gave, for a fault before the session."""
    places = [
        f", at {fault['pc_at']}" if fault["pc_at"] else "",
        f", call at {fault['lr_at']}" if fault["lr_at"] else "",
    ]
    count = f" ({fault['count']} faults since a record was last cleared)" if fault["count"] > 1 else ""
    return f"before this it stopped on {fault['text']}{''.join(places)}{count}"


def device_fault(fault: Fault, locate: Locate) -> DeviceFault:
    """The exception for a fault that ended the program in the middle of a session."""
    if not is_sound(fault):
        return DeviceFault(
            "the device restarted after a fault, and its record of that is damaged",
            code="fault_damaged",
            remedy="run again; if it stays, flash the firmware that belongs to this version of hil",
        )
    return DeviceFault(
        f"the device stopped on {fault_text(fault, locate)}, and restarted; what was loaded is gone",
        code=f"fault_{_name_of(fault)}",
        remedy="this is a bug of the firmware: report it with the line above",
        record=fault_fields(fault, locate),
    )


def address_only(build_id: bytes, address: int) -> str:  # noqa: ARG001 - as every Locate
    """A `Locate` without an ELF."""
    return f"0x{address:08x}"


def _details(fault: Fault) -> list[str]:
    details = [text for bit, text in _CFSR.items() if fault.cfsr >> bit & 1]
    details += [text for bit, text in _HFSR.items() if fault.hfsr >> bit & 1]
    if fault.cfsr & _MMFAR_VALID:
        details.append(f"address 0x{fault.mmfar:08x}")
    if fault.cfsr & _BFAR_VALID:
        details.append(f"address 0x{fault.bfar:08x}")
    return details


def _call_of(fault: Fault) -> int:
    """Address of the call that lr returns behind; 0 where lr is none, as in an exception handler."""
    is_code = fault.lr & 1 and fault.lr < 0xF0000000  # above lie EXC_RETURN values, which are no addresses
    return (fault.lr & ~1) - 1 if is_code else 0


def _name_of(fault: Fault) -> str:
    known = {int(cause): cause.name.lower() for cause in FaultCause}
    return known.get(fault.cause, f"cause_{fault.cause}")
