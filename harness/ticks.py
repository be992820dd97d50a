"""What a device's ticks are, and what they say of one time step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.protocol.messages import HelloReply
from harness.protocol.wire import RunsOn, TickSource

_NO_TICKS = {
    RunsOn.NATIVE: "a process of this machine has no counter of its own cycles",
    RunsOn.RENODE: "Renode's cycle counter is virtual time, no cycles",
    RunsOn.QEMU: "QEMU counts instructions where it was started to, as for --report",
}

_NOT_KNOWN = "the device has no cycle counter that is known to count cycles"

_PERCENT = 99


def tick_unit(hello: HelloReply, target: Mapping[str, Any]) -> str | None:
    """What the device's ticks are: cycles only on the chip; None where they mean nothing.

    Args:
        hello: what the device says of itself.
        target: what the target says of itself: only a QEMU that was started to count has instructions.
    """
    if hello.runs_on == RunsOn.CHIP and hello.tick_source == TickSource.CYCCNT:
        return "cycles"
    counts = hello.runs_on == RunsOn.QEMU and hello.tick_source == TickSource.TIM2
    return "instructions" if counts and target.get("counts_instructions") else None


def why_no_ticks(hello: HelloReply) -> str:
    """Of a device without a unit of ticks: why that is so."""
    return _NO_TICKS.get(hello.runs_on, _NOT_KNOWN)


@dataclass(frozen=True)
class Distribution:
    """Ticks of single steps.

    Attributes:
        counted: how many steps.
        least: of one step.
        median: of all; between the two in the middle of an even number.
        p99: the least that 99 % of the steps do not exceed: of fewer than 100 steps the most.
        most: of one step.
    """

    counted: int
    least: int
    median: float
    p99: int
    most: int

    def to_json(self) -> dict[str, float]:
        """The fields of docs/REPORT.md."""
        return {
            "counted": self.counted,
            "min": self.least,
            "median": self.median,
            "p99": self.p99,
            "max": self.most,
        }


def distribution(ticks: Sequence[int]) -> Distribution:
    """Of at least one step.

    Raises:
        ValueError: there is none.
    """
    if not ticks:
        raise ValueError("no step was counted")
    in_order = sorted(ticks)
    rank = math.ceil(len(in_order) * _PERCENT / 100)
    return Distribution(len(in_order), in_order[0], median(in_order), in_order[rank - 1], in_order[-1])
