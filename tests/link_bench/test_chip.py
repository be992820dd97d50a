"""What the link takes of the chip: that a received byte is always taken in time, on every board."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.bootstrap.system import missing_parts
from harness.build.elf import member_sizes
from harness.build.platformio import firmware_elf
from harness.errors import BuildFailed
from harness.link_bench.chip import F446RE, Clocking, chip_link, lines_of

# firmware/boards/*/chip.h
F411RE = Clocking(100_000_000, 2, 3)
F401RE = Clocking(84_000_000, 2, 2)


@pytest.fixture(scope="module")
def elf() -> Path:
    if missing := missing_parts(("gcc-arm-none-eabi", "libnewlib-arm-none-eabi")):
        pytest.skip(f"{missing[0].name} is not installed")
    return firmware_elf()


@pytest.mark.parametrize("clocking", [F446RE, F411RE, F401RE], ids=["f446", "f411", "f401"])
def test_a_received_byte_is_taken_before_the_next_one(elf: Path, clocking: Clocking) -> None:
    link = chip_link(elf, clocking)
    assert 5 < link.until_taken.instructions < 60
    assert link.worst_wait_cycles < link.cycles_per_byte
    assert 50 < link.receive_interrupt.instructions < 250
    assert 4 < link.masked.instructions < 60


def test_what_it_takes(elf: Path) -> None:
    link = chip_link(elf)
    assert link.cycles_per_byte == 1200
    assert all(1000 < size < 10_000 for size in (sum(link.flash_bytes.values()), link.ram_bytes["receive ring"]))
    assert all(size > 0 for size in (*link.flash_bytes.values(), *link.ram_bytes.values()))
    assert sum(link.ram_bytes.values()) < 20_000
    assert len(list(lines_of(link))) == 4


def test_a_struct_that_is_not_there(elf: Path) -> None:
    with pytest.raises(BuildFailed, match="no debug information of nothing_t"):
        member_sizes(elf, "nothing_t")
