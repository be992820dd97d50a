"""FPSCR in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.protocol.messages import CountersReply, HelloReply
from harness.protocol.wire import Capability
from harness.report.fpscr import SINCE_MINOR, fpscr_fields

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
