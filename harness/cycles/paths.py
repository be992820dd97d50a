"""The longest way through a function, from its disassembly: how long others have to wait for it at most."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from harness.cycles.disassembly import Instruction
from harness.errors import BuildFailed

_TARGET = re.compile(r"([0-9a-f]+)$")
_RETURNS = re.compile(r"^(pop|ldm\S*)\s.*\bpc\b|^bx\s+lr$")
_UNCONDITIONAL = ("b", "bx")


Way = tuple[Instruction, ...]
"""Instructions in the order in which they run."""


def longest_path(
    program: Mapping[int, Instruction],
    start: int,
    *,
    end: Callable[[Instruction], bool] | None = None,
    backward_branches: int = 0,
) -> Way:
    """The way through a function with the most instructions, functions that it calls included.

    Args:
        program: what `disassemble` gave.
        start: address of the first instruction.
        end: tells the instruction at which the way ends, and others are no ways; None: at the function's return.
        backward_branches: how many of them may be taken in all, calls apart: how often loops go round again.

    Raises:
        BuildFailed: it goes where that is decided only when it runs, or nowhere to the end.
    """
    following = dict(pairwise(sorted(program)))
    way = _Walk(program, following, end).from_address(start, backward_branches)
    if way is None:
        raise BuildFailed(f"from {start:#x} no way leads to the end", code="path_not_known")
    return way


class _Walk:
    def __init__(
        self,
        program: Mapping[int, Instruction],
        following: Mapping[int, int],
        end: Callable[[Instruction], bool] | None = None,
    ) -> None:
        self._program = program
        self._following = following
        self._end = end
        self._known: dict[tuple[int, int], Way | None] = {}

    def from_address(self, start: int, turns: int) -> Way | None:
        if (start, turns) not in self._known:
            self._known[start, turns] = self._walk(start, turns)
        return self._known[start, turns]

    def _walk(self, start: int, turns: int) -> Way | None:
        way: list[Instruction] = []
        address = start
        while True:
            instruction = self._program[address]
            way.append(instruction)
            if self._end is not None and self._end(instruction):
                return tuple(way)
            if _RETURNS.match(f"{instruction.mnemonic} {instruction.operands}"):
                return tuple(way) if self._end is None else None
            if instruction.mnemonic == "bl":
                way += _Walk(self._program, self._following).from_address(self._target(instruction), 0) or ()
            elif instruction.ends_a_block:
                rest = self._longest_of(instruction, turns)
                return None if rest is None else (*way, *rest)
            address = self._following[address]

    def _longest_of(self, branch: Instruction, turns: int) -> Way | None:
        ways: list[Way | None] = []
        target = self._target(branch)
        left = turns - (target <= branch.address)
        if left >= 0:
            ways.append(self.from_address(target, left))
        if branch.mnemonic not in _UNCONDITIONAL:
            ways.append(self.from_address(self._following[branch.address], turns))
        return max((way for way in ways if way is not None), key=len, default=None)

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
