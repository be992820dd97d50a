"""Fault records in words: what ended the program, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DeviceReset, ExitCode
from harness.protocol.faults import address_only, cause_text, device_fault, fault_fields, fault_text, is_sound
from harness.protocol.messages import Fault
from harness.protocol.wire import FAULT_MAGIC, FaultCause, crc32


def record(**fields: Any) -> Fault:
    """A sound one: an undefined instruction, unless the fields say something else."""
    about = {"cause": FaultCause.USAGE_FAULT, "cfsr": 1 << 16, "pc": 0x08001234, "lr": 0x08002345, "count": 1}
    fault = Fault(magic=FAULT_MAGIC, **{**about, **fields})
    return replace(fault, crc32=crc32(fault.pack()[:-4]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"cfsr": 1 << 25}, "a usage fault (division by zero)"),
        ({"cfsr": 1 << 16}, "a usage fault (undefined instruction)"),
        (
            {"cause": FaultCause.BUS_FAULT, "cfsr": 1 << 9 | 1 << 15, "bfar": 0x20020000},
            "a bus fault (precise bus error; address 0x20020000)",
        ),
        (
            {"cause": FaultCause.BUS_FAULT, "cfsr": 1 << 10},
            "a bus fault (imprecise bus error: pc is behind the access)",
        ),
        (
            {"cause": FaultCause.STACK_OVERFLOW, "cfsr": 1 << 1 | 1 << 7, "mmfar": 0x1FFFFFF0},
            "a stack overflow, caught by the MPU's guard (data access refused by the MPU; address 0x1ffffff0)",
        ),
        ({"cause": FaultCause.WATCHDOG, "cfsr": 0, "pc": 0, "lr": 0}, "the watchdog: its main loop came to a stop"),
        (
            {"cause": FaultCause.UNEXPECTED_EXCEPTION, "cfsr": 0, "exception": 18},
            "an exception that nobody expects (number 18)",
        ),
        ({"cause": 77, "cfsr": 0}, "cause 77, which this hil does not know"),
    ],
)
def test_the_cause_in_words(fields: dict[str, int], said: str) -> None:
    assert cause_text(record(**fields)) == said


def test_places_come_from_the_program_that_faulted() -> None:
    asked: list[tuple[bytes, int]] = []

    def locate(build_id: bytes, address: int) -> str:
        asked.append((build_id, address))
        return f"f{len(asked)}"

    text = fault_text(record(build_id=b"x" * 20), locate)
    assert text == "a usage fault (undefined instruction), at f1, called from f2"
    assert asked == [(b"x" * 20, 0x08001234), (b"x" * 20, 0x08002343)], "of lr the call, not what follows it"


def test_what_is_not_known_is_not_located() -> None:
    overflow = record(cause=FaultCause.STACK_OVERFLOW, cfsr=1 << 4, pc=0)
    assert "the last call that its stack shows is at 0x08002343" in fault_text(overflow, address_only)
    in_handler = record(lr=0xFFFFFFF9)
    assert "called" not in fault_text(in_handler, address_only), "an EXC_RETURN is no address"
    assert fault_fields(in_handler, address_only)["lr_at"] is None


def test_the_error_is_a_restart_with_its_cause() -> None:
    error = device_fault(record(), address_only)
    assert isinstance(error, DeviceReset)
    assert (error.exit_code, error.code) == (ExitCode.DEVICE, "fault_usage_fault")
    assert error.record["pc_at"] == "0x08001234"
    assert error.record["cfsr"] == "0x00010000"


def test_a_damaged_record_claims_nothing() -> None:
    sound = record()
    assert is_sound(sound)
    for damaged in (replace(sound, pc=sound.pc ^ 2), replace(sound, magic=0), record(cause=FaultCause.NONE)):
        assert not is_sound(damaged)
        assert device_fault(damaged, address_only).code == "fault_damaged"


@given(st.binary(min_size=72, max_size=72))
def test_any_record_can_be_told(data: bytes) -> None:
    fault = Fault.unpack(data + crc32(data).to_bytes(4, "little"))
    assert fault_text(fault, address_only)
    assert fault_fields(fault, address_only)
    assert device_fault(fault, address_only).message
