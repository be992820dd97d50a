"""The clock's fall-backs cannot be seen on a board that works, and not on an emulator either."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from build_helpers import run_c_tool
from harness.protocol.wire import ClockSource

HSE_ON, HSE_BYPASS, PLL_ON = 1 << 16, 1 << 18, 1 << 24
OVERDRIVE = 3 << 16


@dataclass(frozen=True)
class Chip:
    """What its reference manual says of its fastest clock."""

    sysclk_mhz: int
    apb1_mhz: int
    apb2_mhz: int
    wait_states: int
    voltage_scale: int  # bits of PWR_CR
    least_n: int


CHIPS = {
    "nucleo_f446re": Chip(180, 45, 90, wait_states=5, voltage_scale=3, least_n=50),
    "nucleo_f411re": Chip(100, 50, 100, wait_states=3, voltage_scale=3, least_n=50),
    "nucleo_f401re": Chip(84, 42, 84, wait_states=2, voltage_scale=2, least_n=192),
}


def start(name: str, works: str) -> dict[str, int]:
    lines = run_c_tool("clock_tool", works, include_dirs=[f"firmware/boards/{name}"])
    assert [text for key, text in lines if key == "broken"] == []
    return {key: int(value) for key, value in lines}


def bus_divider(field: int) -> int:
    """PPRE1 and PPRE2."""
    return 1 if field < 4 else 2 << (field & 3)


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize(
    ("works", "source"),
    [("rhpo", ClockSource.HSE_PLL), ("rpo", ClockSource.HSI_PLL), ("rhpod", ClockSource.HSE_PLL)],
    ids=["all works", "no clock from the ST-LINK", "started by a debugger"],
)
def test_runs_as_fast_as_the_chip_may(name: str, works: str, source: ClockSource) -> None:
    clock, chip = start(name, works), CHIPS[name]
    assert clock["source"] == source
    assert (clock["sysclk_hz"], clock["apb1_hz"]) == (chip.sysclk_mhz * 1_000_000, chip.apb1_mhz * 1_000_000)
    factors = clock["pllcfgr"]
    m, n, p, q = factors & 0x3F, factors >> 6 & 0x1FF, 2 * (factors >> 16 & 3) + 2, factors >> 24 & 0xF
    vco_input_mhz = (8 if source == ClockSource.HSE_PLL else 16) / m
    assert 1 <= vco_input_mhz <= 2
    assert chip.least_n <= n <= 432
    assert vco_input_mhz * n / p == chip.sysclk_mhz
    assert 192 <= vco_input_mhz * n <= 432, "the VCO's range that all of them have"
    assert vco_input_mhz * n / q <= 48
    assert factors >> 28 == 2, "R, or reserved bits, as the reset left them"
    assert chip.sysclk_mhz / bus_divider(clock["cfgr"] >> 10 & 7) == chip.apb1_mhz
    assert chip.sysclk_mhz / bus_divider(clock["cfgr"] >> 13 & 7) == chip.apb2_mhz
    assert clock["cfgr"] & 0xF == 0b1010, "the PLL is selected, and in use"
    assert clock["acr"] & 0xF == chip.wait_states
    assert clock["pwr_cr"] >> 14 & 3 == chip.voltage_scale
    assert bool(clock["pwr_cr"] & OVERDRIVE) == (chip.sysclk_mhz > 168)


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("works", ["rh", "r", "rho"], ids=["nothing", "HSI only", "no PLL"])
def test_falls_back_to_hsi_with_everything_else_off(name: str, works: str) -> None:
    assert_on_hsi(start(name, works))


def test_falls_back_without_over_drive() -> None:
    assert_on_hsi(start("nucleo_f446re", "rhp"))


def assert_on_hsi(clock: dict[str, int]) -> None:
    assert clock["source"] == ClockSource.HSI
    assert (clock["sysclk_hz"], clock["apb1_hz"]) == (16_000_000, 16_000_000)
    assert clock["cr"] & (HSE_ON | HSE_BYPASS | PLL_ON) == 0
    assert clock["pwr_cr"] & OVERDRIVE == 0
    assert clock["cfgr"] == 0
    assert clock["acr"] & 0xF == 0


@pytest.mark.parametrize("name", CHIPS)
def test_an_emulator_without_a_clock_controller_is_left_alone(name: str) -> None:
    clock = start(name, "")
    assert clock["source"] == ClockSource.HSI
    assert clock["sysclk_hz"] == 16_000_000
