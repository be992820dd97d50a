"""The longest way through code, in programs of a few lines."""

from __future__ import annotations

import pytest

from harness.cycles.disassembly import Instruction
from harness.cycles.paths import longest_path, places_of
from harness.errors import BuildFailed


def program(text: str) -> dict[int, Instruction]:
    """Lines `address mnemonic operands`."""
    instructions = {}
    for line in text.strip().splitlines():
        address, mnemonic, *operands = line.split(maxsplit=2)
        instructions[int(address, 16)] = Instruction(int(address, 16), mnemonic, operands[0] if operands else "")
    return instructions


BRANCHES = program("""
    10 push {r4, lr}
    12 cbz r0, 1a
    14 adds r0, #1
    16 adds r0, #2
    18 b 1c
    1a subs r0, #1
    1c pop {r4, pc}
""")
LOOP = program("""
    10 movs r0, #0
    12 ldr r1, [r2, #0]
    14 adds r0, #1
    16 bne 12
    18 bx lr
""")
CALLS = program("""
    10 cpsid i
    12 bl 20
    14 cpsie i
    16 bx lr
    20 movs r0, #0
    22 bx lr
""")


def addresses(way: tuple[Instruction, ...]) -> list[int]:
    return [instruction.address for instruction in way]


def test_the_longer_branch_counts() -> None:
    assert addresses(longest_path(BRANCHES, 0x10)) == [0x10, 0x12, 0x14, 0x16, 0x18, 0x1C]


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_loop_goes_round_as_often_as_it_may(turns: int) -> None:
    assert len(longest_path(LOOP, 0x10, backward_branches=turns)) == 5 + 3 * turns


def test_calls_are_part_of_it_and_it_may_end_before_the_return() -> None:
    (place,) = places_of(CALLS, "cpsid")
    assert addresses(longest_path(CALLS, place, end=lambda each: each.mnemonic == "cpsie")) == [
        0x10,
        0x12,
        0x20,
        0x22,
        0x14,
    ]


@pytest.mark.parametrize("branch", ["blx r3", "bx r3", "tbb [pc, r0]", "b 80"])
def test_a_way_that_is_not_known_is_an_error(branch: str) -> None:
    with pytest.raises(BuildFailed, match=f"where {branch.split(maxsplit=1)[0]} .* goes is not in the program"):
        longest_path(program(f"10 {branch}\n12 bx lr"), 0x10)


def test_only_ways_to_the_end_count() -> None:
    way = longest_path(BRANCHES, 0x10, end=lambda each: each.mnemonic == "subs")
    assert addresses(way) == [0x10, 0x12, 0x1A]
    with pytest.raises(BuildFailed, match="no way leads to the end"):
        longest_path(LOOP, 0x10, end=lambda each: each.mnemonic == "wfi")
