"""Steps on their own beside a PASS: they change nothing of the run, nor of what the device holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import networks
import seeds
from harness.build.native import native_executable
from harness.compare.metrics import absolute_errors
from harness.errors import LinkError
from harness.inference import SequenceRunner, sequences_of
from harness.loading import CameBy
from harness.model.inputs import Inputs, random_inputs
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.protocol.wire import Kernel
from harness.targets.native import NativeTarget
from harness.validation import Limits, Validation, validate
from harness.workbench import Workbench
from report_runs import ByReference, made_run


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    with Workbench(NativeTarget(native_executable(), tmp_path_factory.mktemp("native") / "log")) as bench:
        yield bench


@pytest.fixture(autouse=True)
def no_planted_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the inputs could have shown takes seconds to find, and is nothing of these tests."""
    monkeypatch.setattr("harness.validation.run.judge_vectors", lambda *_, **__: None)


def validated(
    bench: Workbench,
    spec: ModelSpec,
    inputs: Inputs | None = None,
    level: TraceLevel = TraceLevel.HC,
    **options: Any,
) -> Validation:
    made = made_run(spec, inputs, level=level)
    given = made.inputs
    assert given is not None
    options = {"steps_alone": True, **options}
    oracle = ByReference(made)
    return validate(made.model_path, lambda _: given, bench.device_for, Limits(), oracle, level=level, **options)


def masked(spec: ModelSpec) -> Inputs:
    mask = np.ones((3, 9), np.bool_)
    mask[:, 3:5] = mask[1, 0] = False
    return replace(random_inputs(spec, batch=3, steps=9), mask=mask)


def test_a_run_is_the_same_with_it_but_for_the_curve(bench: Workbench) -> None:
    spec = networks.bidirectional_stack()
    without = validated(bench, spec, steps_alone=False)
    counters = bench.device().link_counters
    before = replace(counters)
    with_it = validated(bench, spec)
    assert (with_it.verdict, with_it.summary) == (without.verdict, without.summary)
    assert with_it.verdict == "PASS"
    assert (with_it.bisect_error, with_it.troubles, with_it.explanation) == (None, [], None)
    assert all(np.array_equal(with_it.got[name], array) for name, array in without.got.items())
    assert with_it.on_device is not None
    assert without.on_device is not None
    assert with_it.link is not None
    sent_behind_it = counters.since(before).bytes_sent - with_it.link.bytes_sent
    assert sent_behind_it > len(with_it.on_device.image.data), "the link is that of the judged run alone"
    assert with_it.on_device.crc32_device == without.on_device.crc32_device
    assert set(with_it.times_s) == {*without.times_s, "bisect"}
    assert without.bisection is None
    assert with_it.bisection is not None
    assert with_it.bisection.cause == "none"
    assert len(with_it.bisection.steps) == 9


CALLS = np.array([True, False, True])


def stateful() -> ModelSpec:
    node = seeds.random_lstm_node(2, 3, stateful=True, name="lstm")
    return replace(seeds.random_lstm(2, 3), nodes=(node,))


def calls() -> Inputs:
    return Inputs(np.random.default_rng(1).standard_normal((3, 2, 5, 2)).astype(np.float32), reset_before=CALLS)


@pytest.mark.parametrize(
    ("spec", "inputs"),
    [
        (networks.backwards_stack, None),
        (networks.bidirectional, None),
        (networks.bidirectional, masked),
        (networks.encoder_decoder, None),
        (networks.several_inputs, None),
        (lambda: seeds.random_lstm(3, 5), masked),
        (stateful, lambda _: calls()),
    ],
)
@pytest.mark.parametrize("level", [TraceLevel.HC, TraceLevel.GATES])
def test_each_step_of_the_worst_sequence_is_as_right_as_it_can_be(
    bench: Workbench,
    spec: Callable[[], ModelSpec],
    inputs: Callable[[ModelSpec], Inputs] | None,
    level: TraceLevel,
) -> None:
    run = validated(bench, spec(), None if inputs is None else inputs(spec()), level)
    assert (run.verdict, run.bisect_error, run.troubles) == ("PASS", None, [])
    assert run.bisection is not None
    assert run.bisection.first.share == max(
        result.share for result in run.results if result.name.endswith((".h", ".c", ".z", ".gates"))
    )
    assert [stage.name for stage in run.bisection.stages if stage.is_wrong] == []
    assert run.bisection.stages
    first = run.bisection.first
    errors = [absolute_errors(run.judged_by[name], run.got[name]) for name in (f"{first.layer}.h", f"{first.layer}.c")]
    of_sequence = np.maximum(*errors)[first.index[:-1]].max(axis=-1)
    assert [each.free_running for each in run.bisection.steps] == of_sequence.tolist()
    alone = [each.teacher_forced for each in run.bisection.steps if each.teacher_forced is not None]
    assert alone
    assert max(alone) < 1e-6, "another state or input than the oracle's would be far off"
    masks = 0 if inputs is not masked else 2
    assert len(run.bisection.steps) - len(alone) in (masks, masks + bool(masks))


@pytest.mark.parametrize("spec", [lambda: seeds.random_lstm(3, 5), networks.backwards_stack])
def test_what_is_beyond_equality_by_rounding_is_no_mistake(bench: Workbench, spec: Callable[[], ModelSpec]) -> None:
    made = made_run(spec())
    assert made.inputs is not None
    inputs, oracle = made.inputs, ByReference(made)
    run = validate(made.model_path, lambda _: inputs, bench.device_for, Limits(0, 0), oracle)
    assert run.verdict == "FAIL"
    assert run.bisection is not None
    assert run.bisection.cause == "rounding"
    where, parts = run.bisection.lines
    assert where.endswith("that step alone is beyond it too, but by no more than rounding")
    assert parts.startswith("each part of that step is right: off by ")


def test_the_model_is_in_force_again(bench: Workbench) -> None:
    """Whoever goes on with the device, as a test with both fixtures, computes with what was validated."""
    run = validated(bench, seeds.random_lstm(3, 5))
    assert run.bisection is not None
    assert run.loaded is not None
    assert run.inputs is not None
    assert run.on_device is not None
    spec = run.loaded.spec
    runner = SequenceRunner(bench.device(), spec, run.on_device.image.plan)
    first = next(sequences_of(spec, run.inputs))
    assert np.array_equal(runner.run(first.x).arrays["lstm.h"], run.got["lstm.h"][0])


@pytest.mark.parametrize("level", [TraceLevel.NONE, TraceLevel.LAST, TraceLevel.H])
def test_without_h_and_c_of_every_step_nothing_is_run(bench: Workbench, level: TraceLevel) -> None:
    run = validated(bench, seeds.random_lstm(3, 5), level=level)
    assert (run.verdict, run.bisect_error, run.troubles) == ("PASS", None, [])
    assert run.bisection is not None
    assert (run.bisection.cause, run.bisection.steps) == ("none", ())


def test_where_all_is_equal_a_masked_step_is_no_mistake(bench: Workbench) -> None:
    """The nearest element is then the first one, and its step may be masked."""
    spec = seeds.linear_by_hand().spec
    inputs = Inputs(np.tile(np.array([1, 0], np.float32), (1, 3, 1)))
    for masked_steps in (1, 3):
        mask = np.array([[step >= masked_steps for step in range(3)]])
        run = validated(bench, spec, replace(inputs, mask=mask))
        assert (run.verdict, run.bisect_error, run.troubles) == ("PASS", None, [])
        assert run.bisection is not None
        assert run.bisection.cause == "none"
        assert run.bisection.stages == (), "a masked step has no parts"
        assert all(each.free_running == 0 for each in run.bisection.steps)
        assert [each.teacher_forced for each in run.bisection.steps] == [
            0.0 if is_valid else None for is_valid in mask[0]
        ]


def test_flash_is_not_written_for_it(bench: Workbench) -> None:
    spec = seeds.rows_of_an_image()
    inputs = random_inputs(spec, batch=1)
    first = validated(bench, spec, inputs, steps_alone=False)
    again = validated(bench, spec, inputs)
    assert (first.verdict, again.verdict) == ("PASS", "PASS")
    assert again.bisection is None
    assert again.bisect_error is not None
    assert "no flash is written" in again.bisect_error.message
    assert again.on_device is not None
    once_more = validated(bench, spec, inputs, steps_alone=False)
    assert once_more.on_device is not None
    assert once_more.on_device.came_by == CameBy.FLASH
    assert np.array_equal(once_more.got["output"], first.got["output"])


def test_a_model_in_flash_stays_there(bench: Workbench) -> None:
    """It is too large for RAM, and the LSTM whose steps are run is not."""
    large, small = networks.lstm(28, 75, None, "large"), networks.lstm(75, 4, 0, "small")
    spec = ModelSpec("two", "x", 28, None, (large, small), (1,))
    made = made_run(spec, random_inputs(spec, batch=1, steps=9))
    assert made.inputs is not None
    inputs = made.inputs
    settled = {name: replace(each, atol=1e-3 if "large" in name else 1e-5) for name, each in made.tolerances.items()}
    oracle = ByReference(made, settled)
    runs = [
        validate(made.model_path, lambda _: inputs, bench.device_for, Limits(), oracle, steps_alone=with_it)
        for with_it in (True, False)
    ]
    assert runs[0].bisection is not None
    assert (runs[0].bisection.first.layer, len(runs[0].bisection.steps)) == ("small", 9)
    assert [run.verdict for run in runs] == ["PASS", "PASS"]
    assert np.array_equal(runs[0].got["output"], runs[1].got["output"])
    assert runs[1].on_device is not None
    assert runs[1].on_device.came_by == CameBy.FLASH


def test_a_device_that_fails_in_the_middle_of_it_has_passed(bench: Workbench) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        bench.target.stop()

    run = validated(bench, seeds.random_lstm(3, 5), steps_progress=progress)
    assert told[0] == (1, 9)
    assert (run.verdict, run.exit_code, run.error) == ("PASS", 0, None)
    assert isinstance(run.bisect_error, LinkError)
    assert (run.bisection, run.troubles) == (None, [])
    bench.failed(run.bisect_error)
    assert validated(bench, seeds.random_lstm(3, 5)).bisection is not None, "it is started anew"


def test_the_packed_kernels_have_it_too(bench: Workbench) -> None:
    run = validated(bench, seeds.random_lstm(3, 5), kernel=Kernel.PACKED)
    assert run.bisection is not None
    assert len(run.bisection.steps) == 9
