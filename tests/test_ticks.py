"""What ticks are, and what they say of single steps."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.protocol.messages import HelloReply
from harness.protocol.wire import RunsOn, TickSource
from harness.ticks import distribution, tick_unit, why_no_ticks


@pytest.mark.parametrize(
    ("target", "runs_on", "source", "unit"),
    [
        ({"counts_instructions": True}, RunsOn.QEMU, TickSource.TIM2, "instructions"),
        ({}, RunsOn.QEMU, TickSource.TIM2, None),  # not started to count, or behind a pseudo-terminal
        ({}, RunsOn.CHIP, TickSource.CYCCNT, "cycles"),
        ({}, RunsOn.CHIP, TickSource.TIM2, None),
        ({}, RunsOn.RENODE, TickSource.CYCCNT, None),
        ({}, RunsOn.NATIVE, TickSource.NONE, None),
    ],
)
def test_only_a_chip_counts_cycles(
    target: dict[str, Any], runs_on: RunsOn, source: TickSource, unit: str | None
) -> None:
    hello = HelloReply(runs_on=runs_on, tick_source=source)
    assert tick_unit(hello, target) == unit
    assert why_no_ticks(hello)


@given(st.lists(st.integers(0, 2**40), min_size=1))
def test_a_percentile_is_a_step_that_was_counted(ticks: list[int]) -> None:
    found = distribution(ticks)
    assert found.least <= found.median <= found.most
    assert found.p99 in ticks
    assert Fraction(sum(each <= found.p99 for each in ticks), len(ticks)) >= Fraction(99, 100)
    assert Fraction(sum(each < found.p99 for each in ticks), len(ticks)) < Fraction(99, 100)
    assert (found.counted, found.least, found.most) == (len(ticks), min(ticks), max(ticks))


def test_of_many_steps_the_largest_is_not_the_percentile() -> None:
    assert distribution(range(1, 101)).to_json() == {"counted": 100, "min": 1, "median": 50.5, "p99": 99, "max": 100}
    with pytest.raises(ValueError, match="no step"):
        distribution([])
