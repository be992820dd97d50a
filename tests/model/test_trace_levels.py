"""Which tensors a trace level has."""

from __future__ import annotations

import pytest

import networks
from harness.errors import UsageError
from harness.model.plan import make_plan
from harness.model.replies import end_record, step_record
from harness.model.trace import TraceLevel, trace_named
from harness.protocol.wire import Trace

TENSORS = {
    "output": TraceLevel.NONE,
    "output.1": TraceLevel.NONE,
    "a.h_last": TraceLevel.LAST,
    "a.c_last": TraceLevel.LAST,
    "bi.forward.h": TraceLevel.H,
    "a.h": TraceLevel.H,
    "a.c": TraceLevel.HC,
    "output.c": TraceLevel.HC,  # of a layer with that name
}


@pytest.mark.parametrize("level", TraceLevel)
def test_each_level_has_what_the_one_before_has(level: TraceLevel) -> None:
    assert list(level.of(TENSORS)) == [name for name, first in TENSORS.items() if first <= level]


def test_levels_have_the_names_of_the_command_line() -> None:
    names = ("none", "last", "h", "hc", "gates")
    assert tuple(trace_named(name) for name in names) == tuple(TraceLevel)
    with pytest.raises(UsageError, match="'all'"):
        trace_named("all")


def test_what_is_not_traced_is_not_in_the_replies() -> None:
    spec = networks.bidirectional()
    plan = make_plan(spec)
    floats = [
        [record(spec, plan, 1, level).floats for level in TraceLevel if level <= TraceLevel.HC]
        for record in (step_record, end_record)
    ]
    assert floats == [[8, 8, 12, 16], [0, 8, 8, 8]]


def test_an_output_of_the_last_step_is_sent_once() -> None:
    spec = networks.backwards_stack()
    plan = make_plan(spec)
    last_pass = len(plan.passes) - 1
    assert step_record(spec, plan, last_pass, TraceLevel.NONE).floats == 0
    record = end_record(spec, plan, last_pass, TraceLevel.NONE)
    assert (record.floats, bool(record.trace & Trace.LAST_OUTPUT)) == (2, True)
