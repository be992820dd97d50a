"""FPSCR in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.protocol.messages import CountersReply, HelloReply
from harness.protocol.wire import Capability
from harness.report.fpscr import SINCE_MINOR, fpscr_fields, fpscr_line

CHIP = HelloReply(protocol_minor=SINCE_MINOR, capabilities=Capability.FPU)


def test_its_settings_and_what_has_happened() -> None:
    assert fpscr_fields(CHIP, CountersReply(fpscr=0x6000_0010)) == {
        "value": "0x60000010",
        "rounding": "nearest",
        "flush_to_zero": False,
        "default_nan": False,
        "happened": ["inexact"],
    }
    found = fpscr_fields(CHIP, CountersReply(fpscr=0x03C0_008F))
    assert found is not None
    assert (found["rounding"], found["flush_to_zero"], found["default_nan"]) == ("zero", True, True)
    assert found["happened"] == ["invalid_operation", "division_by_zero", "overflow", "underflow", "input_denormal"]


@pytest.mark.parametrize(
    "hello", [replace(CHIP, capabilities=Capability.MASK), replace(CHIP, protocol_minor=SINCE_MINOR - 1)]
)
def test_what_has_none_or_does_not_tell(hello: HelloReply) -> None:
    assert fpscr_fields(hello, CountersReply(fpscr=0)) is None
    assert fpscr_fields(CHIP, None) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0x6000_0000, "0x60000000: rounds to nearest, FZ off, DN off; happened: nothing"),
        (0x0000_0018, "0x00000018: rounds to nearest, FZ off, DN off; happened: UFC underflow, IXC inexact"),
        (0x0140_0001, "0x01400001: rounds towards +infinity, FZ on, DN off; happened: IOC invalid operation"),
        (
            0x02C0_0082,
            "0x02C00082: rounds towards zero, FZ off, DN on; happened: DZC division by zero, IDC input denormal",
        ),
        (0x0080_0004, "0x00800004: rounds towards -infinity, FZ off, DN off; happened: OFC overflow"),
    ],
)
def test_a_line_for_people(value: int, said: str) -> None:
    assert fpscr_line(fpscr_fields(CHIP, CountersReply(fpscr=value))) == said


def test_of_what_has_no_such_register_a_person_reads_none() -> None:
    assert fpscr_line(None) == "none"
