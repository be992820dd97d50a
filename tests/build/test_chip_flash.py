"""The chip's flash driver against a simulated controller with the rules of RM0390 3.5: no emulator has a right one."""

from __future__ import annotations

import pytest

from build_helpers import run_c_tool

WRITE_PROTECTED, TIMED_OUT, STILL_LOCKED = 1 << 4, 1 << 31, 1 << 30


def write(fault: str, size_bytes: int) -> tuple[dict[str, int], list[int]]:
    lines = run_c_tool("flash_tool", fault, str(size_bytes))
    assert [text for key, text in lines if key == "broken"] == []
    return {key: int(value) for key, value in lines}, [int(value) for key, value in lines if key == "erased"]


@pytest.mark.parametrize(
    ("size_bytes", "sectors", "erase_ms"),
    [(4, [4], 1100), (65536, [4], 1100), (65540, [4, 5], 3100), (395264, [4, 5, 6, 7], 7100)],
)
def test_erases_the_sectors_that_are_needed_and_programs_words(
    size_bytes: int, sectors: list[int], erase_ms: int
) -> None:
    flash, erased = write("-", size_bytes)
    assert erased == sectors
    assert (flash["erase_result"], flash["program_result"], flash["erase_ms"]) == (0, 0, erase_ms)
    assert flash["feeds"] == len(sectors), "no sector takes as long as the watchdog waits, all together do"
    assert flash["right"] == flash["locked"] == flash["cache_on"] == flash["writable"] == 1


def test_write_protection_is_reported() -> None:
    flash, _ = write("p", 64)
    assert flash["program_result"] == WRITE_PROTECTED
    assert (flash["right"], flash["locked"]) == (0, 1)


def test_a_controller_that_never_ends_is_given_up() -> None:
    flash, erased = write("b", 100000)
    assert (flash["erase_result"], erased) == (TIMED_OUT, [4])


def test_keys_that_do_not_unlock_are_reported() -> None:
    flash, erased = write("k", 64)
    assert (flash["erase_result"], flash["program_result"], erased) == (STILL_LOCKED, STILL_LOCKED, [])


def test_where_no_controller_is_the_store_is_read_only() -> None:
    flash, _ = write("n", 64)
    assert flash["writable"] == 0
