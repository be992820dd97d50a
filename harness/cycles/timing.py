"""An in-order model of the Cortex-M4F: what instructions cost, one after the other.

Costs are those of the Cortex-M4 Technical Reference Manual (3.3.1, and 7.2.3 for the FPU) and of GCC's
cortex-m4.md and cortex-m4-fpu.md. Memory answers at once: code from the flash accelerator's cache, data from SRAM.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from harness.cycles.disassembly import Instruction

BRANCH_REFILL = 2
"""Cycles of a taken branch beside its own: 1 to 3 in the manual; 2 where the target is aligned and cached."""

LINE_BYTES = 16
LINE_STALL = 5
"""The flash accelerator fetches lines of 16 bytes; at 180 MHz the flash wants 5 wait states for one (RM0390 3.4.1).
Data has no prefetch: a stream of weights stalls once per line."""

_MULTIPLY_ADD = ("vfma", "vfms", "vfnma", "vfnms", "vmla", "vmls", "vnmla", "vnmls")
_LATE_RESULT = ("vadd", "vsub", "vmul", "vnmul", "vcvt")
_LONG = {"vdiv": 14, "vsqrt": 14, "udiv": 6, "sdiv": 6}
_SINGLES = re.compile(r"s(\d+)(?:-s(\d+))?")


def estimate(blocks: Iterable[Sequence[Instruction]]) -> int:
    """Cycles of a sequence of executed blocks."""
    core = _Core()
    previous: Instruction | None = None
    for block in blocks:
        for index, instruction in enumerate(block):
            follower = block[index + 1] if index + 1 < len(block) else None
            if index == 0 and previous is not None:
                core.follow(previous, instruction)
            core.run(instruction, follower)
        previous = block[-1] if block else previous
    return core.now


class _Core:
    """When each FPU register has its value, and when the FPU is free."""

    def __init__(self) -> None:
        self.now = 0
        self._fpu_free = 0
        self._ready = [0] * 32

    def follow(self, last: Instruction, first: Instruction) -> None:
        """A branch was taken if what comes is not what lies behind it; nothing is between two halves of a block."""
        if last.ends_a_block and not last.address < first.address <= last.address + 4:
            self.now += BRANCH_REFILL

    def run(self, instruction: Instruction, follower: Instruction | None) -> None:
        name = instruction.mnemonic.split(".")[0]
        if name.startswith("v"):
            self._run_fpu(name, instruction, follower)
        elif name.startswith(("ldm", "stm", "push", "pop")):
            self.now += 1 + _listed(instruction.operands)
        elif name.startswith(("ldrd", "strd")):
            self.now += 3
        elif name.startswith("ldr"):
            self.now += 1 if follower is not None and _touches_memory(follower) else 2
        else:
            self.now += _LONG.get(name, 1)

    def _run_fpu(self, name: str, instruction: Instruction, follower: Instruction | None) -> None:
        registers = _registers(instruction.operands)
        if name.startswith(("vldm", "vpop")):
            self.now = max(self.now, self._fpu_free) + 1 + len(registers)
        elif name.startswith(("vstm", "vpush")):
            self._wait(registers)
            self.now += 1 + len(registers)
        elif name == "vldr":
            self.now = max(self.now, self._fpu_free) + (1 if follower is not None and _touches_memory(follower) else 2)
        elif name == "vstr":
            self._wait(registers)
            self.now += 1
        elif name == "vmov":
            self._wait(registers)
            self.now += 2 if instruction.operands.count(",") == 3 else 1
        elif name in _MULTIPLY_ADD:
            self._wait(registers[1:])
            self.now = max(self.now, self._ready[registers[0]] - 1) + 1  # the sum is wanted one cycle later
            self._fpu_free = self.now + 2
            self._ready[registers[0]] = self._fpu_free
        else:
            self._wait(registers if name.startswith("vcmp") else registers[1:])
            self.now += 1
            if name in _LONG:
                self._fpu_free = self.now + _LONG[name] - 1
                self._ready[registers[0]] = self._fpu_free
            elif name in _LATE_RESULT:
                self._ready[registers[0]] = self.now + 1

    def _wait(self, registers: Iterable[int]) -> None:
        self.now = max(self.now, self._fpu_free, *(self._ready[register] for register in registers))


def _registers(operands: str) -> list[int]:
    """Numbers of the single-precision registers, in order: `r0!, {s12-s14}` has 12, 13, 14."""
    found: list[int] = []
    for match in _SINGLES.finditer(operands):
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def _listed(operands: str) -> int:
    inside = operands[operands.index("{") + 1 : operands.index("}")]
    return len(inside.split(","))


def _touches_memory(instruction: Instruction) -> bool:
    return instruction.mnemonic.startswith(("ldr", "str", "vldr", "vstr", "ldm", "stm", "vldm", "vstm", "push", "pop"))
