"""The clock's fall-backs cannot be seen on a board that works, and not on an emulator either."""

from __future__ import annotations

import pytest

from build_helpers import run_c_tool
from harness.protocol.wire import ClockSource

HSE_ON, HSE_BYPASS, PLL_ON = 1 << 16, 1 << 18, 1 << 24
OVERDRIVE = 3 << 16


def start(works: str) -> dict[str, int]:
    lines = run_c_tool("clock_tool", works)
    assert [text for key, text in lines if key == "broken"] == []
    return {key: int(value) for key, value in lines}


@pytest.mark.parametrize(
    ("works", "source"),
    [("rhpo", ClockSource.HSE_PLL), ("rpo", ClockSource.HSI_PLL), ("rhpod", ClockSource.HSE_PLL)],
    ids=["all works", "no clock from the ST-LINK", "started by a debugger"],
)
def test_runs_at_180_mhz(works: str, source: ClockSource) -> None:
    clock = start(works)
    assert clock["source"] == source
    assert (clock["sysclk_hz"], clock["apb1_hz"]) == (180_000_000, 45_000_000)
    divide = clock["pllcfgr"] & 0x3F
    multiply = clock["pllcfgr"] >> 6 & 0x1FF
    assert (8 if source == ClockSource.HSE_PLL else 16) / divide * multiply / 2 == 180
    assert clock["cfgr"] & 0xF == 0b1010, "the PLL is selected, and in use"
    assert clock["acr"] & 0xF == 5


@pytest.mark.parametrize("works", ["rh", "r", "rhp", "rho"], ids=["nothing", "HSI only", "no over-drive", "no PLL"])
def test_falls_back_to_hsi_with_everything_else_off(works: str) -> None:
    clock = start(works)
    assert clock["source"] == ClockSource.HSI
    assert (clock["sysclk_hz"], clock["apb1_hz"]) == (16_000_000, 16_000_000)
    assert clock["cr"] & (HSE_ON | HSE_BYPASS | PLL_ON) == 0
    assert clock["pwr_cr"] & OVERDRIVE == 0
    assert clock["cfgr"] == 0
    assert clock["acr"] & 0xF == 0


def test_an_emulator_without_a_clock_controller_is_left_alone() -> None:
    clock = start("")
    assert clock["source"] == ClockSource.HSI
    assert clock["sysclk_hz"] == 16_000_000
