"""What is found out once the verdict is known. Whatever goes wrong here, the verdict stands."""

from __future__ import annotations

from collections.abc import Callable

from harness.compare.tolerance import derived
from harness.compare.verdict import all_passed, compare
from harness.device import Device
from harness.diagnosis.advice import advise, hidden_by
from harness.diagnosis.corrupted import find_corrupted_weight
from harness.diagnosis.explain import explain
from harness.diagnosis.first_beyond import first_beyond
from harness.diagnosis.score import score
from harness.errors import HilError, ModelRefused
from harness.inference import Progress
from harness.loading import load_packed
from harness.model.memory import Memory
from harness.model.pack import ModelImage
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.step_ticks import count_step_ticks
from harness.teacher_forced import bisect
from harness.validation.result import Stage, Validation, where_raised


def beside_the_verdict(run: Validation, stage: str, find_out: Callable[[], None]) -> None:
    """Find out something more once the verdict is known."""
    with Stage(run, stage):
        try:
            find_out()
        except HilError as error:
            run.bisect_error = error
        except Exception as error:  # noqa: BLE001 - the verdict is known by now, and stays what it is
            run.troubles.append(f"{stage}: {where_raised(error)}")


def count_ticks(run: Validation, device: Device) -> None:
    """What single steps cost on the device, on which the model is still in force."""
    assert run.loaded is not None
    assert run.inputs is not None
    assert run.on_device is not None
    run.step_ticks = count_step_ticks(device, run.loaded.spec, run.inputs, run.on_device.image.plan)


def judge_vectors(run: Validation, *, limits_given: bool) -> None:
    """What the inputs and the tolerances are worth."""
    assert run.loaded is not None
    assert run.inputs is not None
    spec, inputs, gates = run.loaded.spec, run.inputs, run.level >= TraceLevel.GATES
    run.score = score(spec, inputs, run.tolerances)
    if limits_given:
        run.hidden = tuple(hidden_by(spec, inputs, derived(run.max_abs_to_float64), run.score.unseen))
    passed = all_passed(run.results)
    run.advice = advise(spec, inputs, run.max_abs_to_float64, run.got, passed=passed, gates=gates)


def explain_values(run: Validation) -> None:
    """Which mistake gives what the device computed, and which one what somebody gave that Keras does not."""
    assert run.loaded is not None
    assert run.inputs is not None
    run.explanation = explain(run.loaded.spec, run.inputs, run.got, search=find_corrupted_weight)
    if run.expected_file is not None:
        values = run.expected_file.values
        has_calls = run.inputs.reset_before is not None
        found = first_beyond(run.loaded.spec, values, run.got, run.tolerances, has_calls=has_calls)
        run.first_of_given = found[0] if found is not None and found[1] else None
        run.given_explanation = explain(run.loaded.spec, run.inputs, values, search=find_corrupted_weight)


def bisect_values(
    run: Validation,
    device: Device,
    pack: Callable[[ModelSpec], ModelImage],
    device_for: Callable[[ModelImage], Device],
    *,
    steps_alone: bool,
    progress: Progress | None = None,
) -> None:
    """Where they begin to be wrong, by Keras. The device then holds another image, unless all is within tolerance.

    Args:
        run: the run.
        device: on which the model is in force.
        pack: makes an image that keeps gates, for runs without a mask.
        device_for: gives a greeted device for an image.
        steps_alone: run steps alone where nothing is wrong, too.
        progress: told how many steps were run alone.
    """
    assert run.loaded is not None
    assert run.inputs is not None
    assert run.expected is not None
    assert run.on_device is not None
    has_calls = run.inputs.reset_before is not None
    by_keras = compare(run.expected.tensors, run.got, run.tolerances, has_calls=has_calls)
    is_wrong = not (all_passed(run.results) or all_passed(by_keras))
    if not (is_wrong or run.looked_closer or steps_alone):
        return
    beside_a_pass = not (is_wrong or run.looked_closer)
    if beside_a_pass and run.bisect_error is not None:
        return  # the device has failed since, and is not waited for once more

    def device_in_ram(image: ModelImage) -> Device:
        memory = Memory(arena_bytes=device.info.arena_bytes, store_bytes=device.info.store_bytes)
        if not memory.holds_in_ram(image):
            raise ModelRefused(
                "the LSTM does not fit the RAM, and for a report alone no flash is written",
                remedy="`hil bisect` runs its steps on their own",
            )
        return device

    run.bisection = bisect(
        run.loaded.spec,
        run.inputs,
        run.expected.tensors,
        run.got,
        run.tolerances,
        pack,
        device_in_ram if beside_a_pass else device_for,
        progress,
    )
    if beside_a_pass and run.bisection is not None and run.bisection.steps:
        load_packed(device, run.loaded.spec, run.on_device.image)  # who goes on with the device finds the model there
