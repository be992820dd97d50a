"""What single steps cost, counted by a board that is not there."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

import seeds
from harness.device import Device
from harness.fake import FakeDevice, FakeTransport
from harness.loading import load_packed
from harness.model.inputs import Inputs, random_inputs
from harness.model.pack import pack_model
from harness.model.replies import end_record, step_record
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.protocol.messages import HelloReply, Run
from harness.protocol.wire import RunFlags, RunsOn, TickSource
from harness.report.timing import cost_lines, median_of, timing_fields
from harness.step_ticks import StepTicks, count_step_ticks
from harness.validation import Validation
from networks import bidirectional
from report_runs import made_run

CHIP = HelloReply(sysclk_hz=180_000_000, runs_on=RunsOn.CHIP, tick_source=TickSource.CYCCNT)
END_CYCLES = 7


def counted(spec: ModelSpec, inputs: Inputs, alone: int = 4) -> tuple[StepTicks, FakeDevice]:
    """On a device whose k-th step takes 100 + k cycles, whatever request it is in, and a masked one none."""
    image = pack_model(spec, inputs.longest(spec))
    numbers = count()

    def ticks(request: Run) -> int:
        of_end = END_CYCLES if request.flags & RunFlags.END else 0
        computed = [True] * request.steps
        if request.flags & RunFlags.MASK:
            bits = np.unpackbits(np.frombuffer(request.data, np.uint8), bitorder="little")
            computed = [bool(bit) for bit in bits[: request.steps]]
        return sum(100 + next(numbers) for each in computed if each) + of_end

    def run(request: Run, _: bytes) -> bytes:
        floats = request.steps * step_record(spec, image.plan, request.pass_index, TraceLevel.NONE).floats
        if request.flags & RunFlags.END:
            floats += end_record(spec, image.plan, request.pass_index, TraceLevel.NONE).floats
        return np.zeros(floats, "<f4").tobytes()

    fake = FakeDevice(run=run, ticks=ticks)
    line = FakeTransport(fake)
    with Device(line, line.clock) as device:
        device.connect()
        load_packed(device, spec, image)
        return count_step_ticks(device, spec, inputs, image.plan, alone), fake


def test_the_first_steps_are_asked_one_by_one_and_the_rest_at_once() -> None:
    spec = seeds.random_lstm(3, 5)
    found, fake = counted(spec, random_inputs(spec, batch=3, steps=50))
    assert found.step is not None
    assert found.step.to_json() == {"counted": 4, "min": 100, "median": 101.5, "p99": 103, "max": 103}
    assert (found.steps, found.end_ticks) == (50, END_CYCLES)
    assert found.ticks == sum(range(100, 150)) + END_CYCLES
    assert found.mean == pytest.approx(found.ticks / 50)
    assert sum(frame.header.type == Run.TYPE for frame in fake.heard) < 10


def test_as_many_sequences_are_run_as_it_takes() -> None:
    spec = seeds.random_lstm(3, 5)
    found, _ = counted(spec, random_inputs(spec, batch=9, steps=3))
    assert found.step is not None
    assert (found.step.counted, found.steps) == (4, 6)
    few, _ = counted(spec, random_inputs(spec, batch=1, steps=2))
    assert few.step is not None
    assert (few.step.counted, few.step.least, few.step.most) == (2, 100, 101)


def test_a_step_of_several_passes_is_all_of_them() -> None:
    spec = bidirectional()
    found, _ = counted(spec, random_inputs(spec, batch=1, steps=4))
    assert found.step is not None
    assert (found.step.least, found.step.most) == (100 + 104, 103 + 107)


def masked_inputs(spec: ModelSpec, *rows: str) -> Inputs:
    """Sequences whose steps are masked where a row has a dot."""
    mask = np.array([[step != "." for step in row] for row in rows])
    return replace(random_inputs(spec, batch=len(rows), steps=len(rows[0])), mask=mask)


def test_masked_steps_are_none_that_are_counted() -> None:
    spec = seeds.random_lstm(3, 5)
    found, fake = counted(spec, masked_inputs(spec, "." * 20 + "x.x", "x" * 23))
    assert found.step is not None
    assert found.step.to_json() == {"counted": 4, "min": 100, "median": 101.5, "p99": 103, "max": 103}
    assert (found.steps, found.ticks) == (46, sum(range(100, 125)) + 2 * END_CYCLES)
    assert sum(frame.header.type == Run.TYPE for frame in fake.heard) < 12, "masked steps are asked many at a time"
    none, _ = counted(spec, masked_inputs(spec, "....", "...."))
    assert (none.step, none.steps, none.ticks) == (None, 8, 2 * END_CYCLES)


def test_of_several_passes_only_steps_that_each_computes_are_counted() -> None:
    spec = bidirectional()
    found, _ = counted(spec, masked_inputs(spec, "xx...."))
    assert found.step is not None
    assert (found.step.counted, found.step.least, found.step.most) == (2, 100 + 102, 101 + 103)


def counted_run(hello: HelloReply, inputs: Inputs | None = None) -> Validation:
    """A run whose first steps took 100 to 103 ticks."""
    run = made_run(inputs=inputs)
    assert run.loaded is not None
    run.hello = hello
    some = random_inputs(run.loaded.spec, batch=1, steps=4) if inputs is None else inputs
    run.step_ticks, _ = counted(run.loaded.spec, some)
    return run


def test_what_a_step_costs_leaves_masked_ones_out_and_says_so() -> None:
    timing = timing_fields(counted_run(CHIP, masked_inputs(seeds.random_lstm(3, 5), "...xxxx...")), {})
    assert timing["ticks_per_mac"] == pytest.approx(101.5 / 160)
    assert timing["us_per_step"] == pytest.approx(101.5 / 180)
    assert timing["masked_steps"] == 6
    assert "6 of the run's 10 time steps are masked: not among them." in cost_lines(timing)
    run = counted_run(CHIP, masked_inputs(seeds.random_lstm(3, 5), "...."))
    timing = timing_fields(run, {})
    assert [timing[name] for name in ("step_ticks", "ticks_per_mac", "us_per_step")] == [None] * 3
    assert "masked" in timing["note"]
    assert median_of(timing) == {}
    run.step_ticks, run.ticks = None, 50
    assert timing_fields(run, {})["us_per_step"] is None, "a mean that masked steps are part of"


def test_cycles_are_time_by_the_device_clock() -> None:
    run = counted_run(CHIP)
    run.ticks, run.times_s = 36 * 90_000, {"device": 0.09}
    timing = timing_fields(run, {})
    assert timing["us_per_step"] == pytest.approx(101.5 / 180)
    assert timing["steps_per_second"] == pytest.approx(180e6 / 101.5)
    assert timing["macs_per_step"] == 4 * 5 * 8
    assert timing["ticks_per_mac"] == pytest.approx(101.5 / 160)
    assert timing["link_share"] == pytest.approx(0.8)
    assert timing["note"] is None
    assert median_of(timing) == {"cycles_median": 101.5}
    assert "80.0% of the run's 0.09 s went to the link." in cost_lines(timing)


def test_instructions_are_no_time() -> None:
    run = counted_run(HelloReply(sysclk_hz=16_000_000, runs_on=RunsOn.QEMU, tick_source=TickSource.TIM2))
    timing = timing_fields(run, {"counts_instructions": True})
    assert median_of(timing) == {"instructions_median": 101.5}
    assert [timing[name] for name in ("us_per_step", "steps_per_second", "link_share")] == [None] * 3
    assert "no cycles" in timing["note"]


def test_what_counts_nothing_says_why() -> None:
    run = made_run()
    run.hello = HelloReply(runs_on=RunsOn.NATIVE, tick_source=TickSource.NONE)
    timing = timing_fields(run, {})
    assert timing["ticks_per_step"] is None
    assert median_of(timing) == {}
    assert cost_lines(timing) == ["Not measured: a process of this machine has no counter of its own cycles."]
