"""Fault record, reset causes and watchdog of the chip, against simulated registers: QEMU lacks the last two."""

from __future__ import annotations

import pytest

from build_helpers import run_c_tool
from harness.protocol.wire import FaultCause, ResetCause, RunsOn

STACK_START, STACK_TOP = 0x20000000, 0x20001000
CALL = 0x08000104
"""What a call in the simulated program returns to; the stack holds it at words 5 and 20."""

MEMORY, BUS, USAGE, HARD = 4, 5, 6, 3


def tool(*arguments: str | int) -> dict[str, int]:
    lines = dict(run_c_tool("fault_tool", *map(str, arguments)))
    assert lines.pop("build_id", "a build id of tests") == "a build id of tests"
    return {name: int(value) for name, value in lines.items()}


def fault(exception: int, cfsr: int, *, sp: int = STACK_TOP - 64, mmfar: int = 0, count: int = 1) -> dict[str, int]:
    return tool("fault", exception, cfsr, mmfar, sp, 0x08000A01, 0x08000B02, count)


@pytest.mark.parametrize(
    ("exception", "cfsr", "cause"),
    [
        (USAGE, 1 << 25, FaultCause.USAGE_FAULT),
        (BUS, 1 << 9 | 1 << 15, FaultCause.BUS_FAULT),
        (MEMORY, 1 << 1, FaultCause.MEMORY_FAULT),
        (HARD, 1 << 25, FaultCause.USAGE_FAULT),  # in an interrupt handler it escalates
        (HARD, 0, FaultCause.HARD_FAULT),
        (2, 0, FaultCause.UNEXPECTED_EXCEPTION),
        (16 + 7, 0, FaultCause.UNEXPECTED_EXCEPTION),
    ],
)
def test_the_record_says_what_and_where(exception: int, cfsr: int, cause: FaultCause) -> None:
    kept = fault(exception, cfsr)
    assert kept["cause"] == cause
    assert (kept["pc"], kept["lr"], kept["xpsr"]) == (0x08000B02, 0x08000A01, 0x81000000)
    assert (kept["has_record"], kept["count"], kept["sp"]) == (1, 1, STACK_TOP - 64)


def test_it_is_the_cause_of_one_boot_and_stays_until_it_is_cleared() -> None:
    kept = fault(USAGE, 1 << 16, count=3)
    assert kept["count"] == 3
    assert kept["reset_cause"] & ResetCause.FAULT
    assert not kept["again"] & ResetCause.FAULT
    assert (kept["keeps_record"], kept["cleared"]) == (1, 1)


def test_the_guard_is_the_8_kib_below_the_stack() -> None:
    kept = fault(USAGE, 0)
    assert kept["rbar"] == STACK_START - 8192 | 1 << 4
    assert kept["rasr"] == 1 << 28 | 12 << 1 | 1


@pytest.mark.parametrize(
    ("cfsr", "sp", "mmfar"),
    [
        (1 << 1 | 1 << 7, STACK_START + 64, STACK_START - 4),  # a store into the guard, with room for the frame
        (1 << 1 | 1 << 4 | 1 << 7, STACK_START - 24, STACK_START - 4),  # nothing could be pushed
        (1 << 12, STACK_START - 0x3000, 0),  # stepped over the guard
        (1 << 4, STACK_START + 8, 0),
    ],
)
def test_a_stack_overflow_is_told_from_other_faults(cfsr: int, sp: int, mmfar: int) -> None:
    kept = fault(MEMORY, cfsr, sp=sp, mmfar=mmfar)
    assert kept["cause"] == FaultCause.STACK_OVERFLOW
    has_frame = not cfsr & (1 << 4 | 1 << 12)
    assert kept["pc"] == (0x08000B02 if has_frame else 0), "what was not pushed is not told"
    if not has_frame:
        assert kept["lr"] == CALL | 1, "the nearest return address on the stack"


def test_a_refused_address_elsewhere_is_no_stack_overflow() -> None:
    assert fault(MEMORY, 1 << 1 | 1 << 7, mmfar=0x1FFF0000)["cause"] == FaultCause.MEMORY_FAULT


def test_ram_after_power_on_is_no_record() -> None:
    power_on = tool("boot", (ResetCause.POWER_ON | ResetCause.PIN) << 25, RunsOn.CHIP)
    assert power_on["reset_cause"] == ResetCause.POWER_ON | ResetCause.PIN
    assert power_on["has_record"] == 0
    assert power_on["rcc_csr"] >> 24 & 1, "RMVF, or the next reset would find these flags too"


def test_a_watchdog_that_bit_is_a_record() -> None:
    bitten = tool("boot", (ResetCause.WATCHDOG | ResetCause.PIN) << 25, RunsOn.CHIP)
    assert bitten["reset_cause"] == ResetCause.WATCHDOG | ResetCause.PIN | ResetCause.FAULT
    assert (bitten["cause"], bitten["pc"]) == (FaultCause.WATCHDOG, 0)


def test_flags_that_mean_nothing_are_not_told() -> None:
    assert tool("boot", 0x0E000000 | 1 << 29, RunsOn.QEMU)["reset_cause"] == ResetCause.UNKNOWN


def test_on_renode_a_reset_that_nobody_asked_for_is_the_watchdogs() -> None:
    """Its flags are constants. The second boot of the tool comes without a reset of our own."""
    first = tool("boot", 0x0E000000, RunsOn.RENODE)
    assert (first["reset_cause"], first["has_record"]) == (ResetCause.UNKNOWN, 0)
    assert first["again"] == ResetCause.WATCHDOG | ResetCause.FAULT
    assert not tool("boot", 0, RunsOn.QEMU)["again"], "which has no watchdog"


def test_the_watchdog_waits_for_8_s_of_its_nominal_clock() -> None:
    writes = [value for key, value in run_c_tool("fault_tool", "watchdog") if key == "write"]
    key, prescaler, reload = "40003000", "40003004", "40003008"
    assert writes[0].startswith("e0042008:"), "stops with a core that a debugger halts"
    assert writes[1:] == [f"{key}:cccc", f"{key}:5555", f"{prescaler}:4", f"{reload}:f9f", f"{key}:aaaa", f"{key}:aaaa"]
    assert (0xF9F + 1) * 64 / 32000 == 8
