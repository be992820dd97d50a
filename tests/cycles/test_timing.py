"""The timing model on instruction sequences whose cost can be counted by hand."""

from __future__ import annotations

import pytest

from harness.cycles.disassembly import Instruction, executed
from harness.cycles.timing import estimate


def block(*lines: str, start: int = 0x8000000) -> list[Instruction]:
    """Instructions of 4 bytes each."""
    parts = [line.split(maxsplit=1) for line in lines]
    return [Instruction(start + 4 * i, part[0], part[1] if len(part) > 1 else "") for i, part in enumerate(parts)]


@pytest.mark.parametrize(
    ("lines", "cycles"),
    [
        (("add r0, r0, r1", "qsub r1, r1, r12", "usat r1, #8, r1"), 3),
        (("ldr r0, [r1]",), 2),
        (("ldr r0, [r1]", "ldr r2, [r1, #4]"), 3),
        (("ldmia r0, {r0, r1, r2, r3}",), 5),
        (("vldmia r0!, {s12-s23}",), 13),
        (("vldmia r1!, {s24}",), 2),
        (("vadd.f32 s0, s1, s2", "vadd.f32 s3, s4, s5"), 2),
        (("vadd.f32 s0, s1, s2", "vadd.f32 s3, s0, s5"), 3),
        (("vfma.f32 s0, s1, s2", "vfma.f32 s3, s4, s5", "vldmia r0!, {s1}"), 8),
        (("vfma.f32 s0, s1, s2", "add r0, r0, r1", "add r0, r0, r1"), 3),
        (("vmov r1, r2, s12, s13", "vmov r3, s14"), 3),
        (("vdiv.f32 s0, s1, s2", "vadd.f32 s3, s0, s0"), 15),
    ],
)
def test_costs(lines: tuple[str, ...], cycles: int) -> None:
    assert estimate([block(*lines)]) == cycles


def test_a_taken_branch_refills_and_one_not_taken_does_not() -> None:
    loop = block("subs r0, r0, #1", "bne 8000000")
    behind = block("add r1, r1, r1", start=0x8000008)
    assert estimate([loop, loop, behind]) == (2 + 2) + 2 + 1


def test_twelve_rows_by_separate_multiply_and_add() -> None:
    """13 for the load, 12 and 12: what an inner column of the packed kernel is made of."""
    column = ["vldmia r0!, {s12-s23}"]
    column += [f"vmul.f32 s{12 + i}, s{12 + i}, s24" for i in range(12)]
    column += [f"vadd.f32 s{i}, s{i}, s{12 + i}" for i in range(12)]
    assert estimate([block(*column)]) == 37


def test_executed_blocks_end_at_branches_and_where_the_next_one_starts() -> None:
    program = {one.address: one for one in block("add r0, r0, r1", "bne 8000000", "add r2, r2, r2", "bx lr")}
    log = [
        "Trace 0: 0x7f0000000100 [00000000/08000000/00000110/ff000000] f",
        "Trace 0: 0x7f0000000100 [00000000/08000000/00000110/ff000000] f",
        "Trace 0: 0x7f0000000200 [00000000/08000008/00000110/ff000000] f",
        "Stopped execution of TB chain before 0x7f0000000200 [08000008] f",
        "something else",
        "Trace 0: 0x7f0000000200 [00000000/08000008/00000110/ff000000] f",
        "Trace 0: 0x7f0000000300 [00000000/0800000c/00000110/ff000000] f",
    ]
    names = [[one.mnemonic for one in part] for part in executed(log, program)]
    assert names == [["add", "bne"], ["add", "bne"], ["add"], ["bx"]]
