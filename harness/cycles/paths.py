"""The longest way through a function, from its disassembly: how long others have to wait for it at most."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from harness.cycles.disassembly import Instruction
from harness.errors import BuildFailed

_TARGET = re.compile(r"([0-9a-f]+)$")
_RETURNS = re.compile(r"^(pop|ldm\S*)\s.*\bpc\b|^bx\s+lr$")
_UNCONDITIONAL = ("b", "bx")


def longest_path(
    program: Mapping[int, Instruction], start: int, *, end: str = "", backward_branches: int = 0
) -> tuple[Instruction, ...]:
    """The way through a function with the most instructions, functions that it calls included.

    Args:
        program: what `disassemble` gave.
        start: address of the first instruction.
        end: mnemonic at which the way ends; empty: at the function's return.
        backward_branches: how many of them may be taken in all, calls apart: how often loops go round again.

    Raises:
        BuildFailed: it goes where that is decided only when it runs.
    """
    addresses = sorted(program)
    following = dict(pairwise(addresses))
    return _Walk(program, following, end).from_address(start, backward_branches)


class _Walk:
    def __init__(self, program: Mapping[int, Instruction], following: Mapping[int, int], end: str) -> None:
        self._program = program
        self._following = following
        self._end = end
        self._known: dict[tuple[int, int], tuple[Instruction, ...]] = {}

    def from_address(self, start: int, turns: int) -> tuple[Instruction, ...]:
        if (start, turns) not in self._known:
            self._known[start, turns] = self._walk(start, turns)
        return self._known[start, turns]

    def _walk(self, start: int, turns: int) -> tuple[Instruction, ...]:
        way: list[Instruction] = []
        address = start
        while True:
            instruction = self._program[address]
            way.append(instruction)
            text = f"{instruction.mnemonic} {instruction.operands}"
            if instruction.mnemonic == self._end or _RETURNS.match(text):
                return tuple(way)
            if instruction.mnemonic == "bl":
                way += _Walk(self._program, self._following, "").from_address(self._target(instruction), 0)
            elif instruction.ends_a_block:
                return tuple(way) + self._longest_of(instruction, turns)
            address = self._following[address]

    def _longest_of(self, branch: Instruction, turns: int) -> tuple[Instruction, ...]:
        ways: list[tuple[Instruction, ...]] = []
        target = self._target(branch)
        left = turns - (target <= branch.address)
        if left >= 0:
            ways.append(self.from_address(target, left))
        if branch.mnemonic not in _UNCONDITIONAL:
            ways.append(self.from_address(self._following[branch.address], turns))
        # A loop that may not go round any more and has no other way out: nothing more to count.
        return max(ways, key=len, default=())

    def _target(self, branch: Instruction) -> int:
        match = _TARGET.search(branch.operands)
        if branch.mnemonic in ("bx", "blx", "tbb", "tbh") or match is None or int(match[1], 16) not in self._program:
            raise BuildFailed(
                f"where {branch.mnemonic} {branch.operands} at {branch.address:#x} goes is not in the program",
                code="path_not_known",
            )
        return int(match[1], 16)


def places_of(program: Mapping[int, Instruction], mnemonic: str) -> Sequence[int]:
    """Addresses of all instructions of a kind."""
    return [address for address, instruction in program.items() if instruction.mnemonic == mnemonic]
