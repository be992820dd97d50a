"""The instructions of an ELF by their addresses, and which of them an emulator executed, in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.tools import run_tool
from harness.errors import BuildFailed

OBJDUMP = "arm-none-eabi-objdump"

_LINE = re.compile(r"^\s*([0-9a-f]+):\t(\S+)(?:\t([^@;<]*))?")
_TRACE = re.compile(r"^Trace .*\[[0-9a-f]+/([0-9a-f]+)/")
_NOT_BEGUN = "Stopped execution of TB chain before"


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        address: where it lies.
        mnemonic: without the width (.w, .n), with the condition: `vfma.f32`, `bne`, `movgt`.
        operands: as objdump writes them, without comments.
    """

    address: int
    mnemonic: str
    operands: str

    @property
    def ends_a_block(self) -> bool:
        """Whether it may go elsewhere than to the next one."""
        if self.mnemonic.startswith(("pop", "ldm")):
            return "pc" in self.operands
        return self.mnemonic in _BRANCHES or (self.mnemonic.startswith("b") and self.mnemonic[1:] in _CONDITIONS)


_CONDITIONS = frozenset(
    ("eq", "ne", "cs", "cc", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")
)
_BRANCHES = frozenset(("b", "bl", "blx", "bx", "cbz", "cbnz", "tbb", "tbh"))


def disassemble(elf: Path) -> dict[int, Instruction]:
    """Every instruction of the program.

    Raises:
        BuildFailed: objdump could not read it.
    """
    status, output = run_tool(
        [OBJDUMP, "-d", "--no-show-raw-insn", "-j", ".text", elf], what=f"run {OBJDUMP}", cwd=elf.parent
    )
    if status != 0:
        raise BuildFailed(f"{OBJDUMP} could not read {elf}", remedy=output)
    return dict(_parsed(output.splitlines()))


def _parsed(lines: Iterable[str]) -> Iterator[tuple[int, Instruction]]:
    for line in lines:
        match = _LINE.match(line)
        if match is not None:
            address = int(match[1], 16)
            mnemonic = re.sub(r"\.[wn]$", "", match[2])
            yield address, Instruction(address, mnemonic, (match[3] or "").strip())


def executed(log_lines: Iterable[str], program: Mapping[int, Instruction]) -> Iterator[Sequence[Instruction]]:
    """Of QEMU's log of executed blocks (-d exec,nochain) the instructions of each block, in order.

    The log names where a block starts. It ends at a branch, or where the next one starts. A block that QEMU did not
    begin after all, since an interrupt was due, is named once more when it runs.
    """
    starts: list[int] = []
    for line in log_lines:
        if (match := _TRACE.match(line)) is not None:
            starts.append(int(match[1], 16))
        elif line.startswith(_NOT_BEGUN) and starts:
            starts.pop()
    following = {a: b.address for a, b in zip(program, list(program.values())[1:], strict=False)}
    for start, next_start in zip(starts, [*starts[1:], 0], strict=True):
        block = []
        address = start
        while address in program:
            block.append(program[address])
            if program[address].ends_a_block:
                break
            address = following.get(address, 0)
            if address == next_start:
                break
        yield block
