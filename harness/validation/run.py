"""One model on one device, from its file to its verdict. Every end leaves a `Validation` that can be reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from harness.compare.bits import compare_bits
from harness.compare.classes import check_labels, classify
from harness.compare.tolerance import check_given, refuse_below_oracle, replaced, tolerances
from harness.compare.verdict import all_passed, compare
from harness.device import Device
from harness.errors import HilError, InternalError, UsageError
from harness.findings.writing import machine_error
from harness.inference import Progress
from harness.loading import load_packed
from harness.model.expected_file import load_expected
from harness.model.inputs import Inputs
from harness.model.nodes import gates_of
from harness.model.pack import ModelImage, pack_model
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.model.whole import WholeInputs
from harness.oracle.cache import Answer
from harness.oracle.load import LoadedModel
from harness.oracle.reference import reference
from harness.protocol.messages import HelloReply
from harness.protocol.wire import Kernel
from harness.validation.batch import run_batch
from harness.validation.diagnose import beside_the_verdict, bisect_values, count_ticks, explain_values, judge_vectors
from harness.validation.result import Stage, Validation, where_raised


@dataclass(frozen=True)
class Limits:
    """Tolerances that a person gave in place of the derived ones; None: derived.

    Raises:
        UsageError: a value is negative, NaN or infinite: said before anything is started.
    """

    atol: float | None = None
    rtol: float | None = None

    def __post_init__(self) -> None:
        check_given(self.atol, self.rtol)

    @property
    def are_given(self) -> bool:
        """Whether a person gave any."""
        return self.atol is not None or self.rtol is not None


class Authority(Protocol):
    """Who says what a model gives: `oracle.cache.Oracle`, or a golden file."""

    def load(self, path: Path, weights: Path | None = None, layer: str | None = None) -> LoadedModel:
        """A model from its file."""

    def answer(self, loaded: LoadedModel, given: Inputs | WholeInputs, *, gates: bool = False) -> Answer:
        """What it gives on inputs."""


def validate(
    model_path: Path,
    make_inputs: Callable[[LoadedModel], Inputs | WholeInputs],
    device_for: Callable[[ModelImage], Device],
    limits: Limits,
    oracle: Authority,
    progress: Progress | None = None,
    *,
    layer: str | None = None,
    kernel: Kernel = Kernel.ARM_MATH,
    host: Callable[[ModelImage], Device] | None = None,
    weights: Path | None = None,
    level: TraceLevel = TraceLevel.HC,
    look_closer: bool = False,
    steps_alone: bool = False,
    steps_progress: Progress | None = None,
    expected_path: Path | None = None,
    counts_ticks: Callable[[HelloReply], bool] = lambda _: False,
) -> Validation:
    """Run a model on Keras and on the device and compare them. Whatever goes wrong is in the result, not raised.

    Args:
        model_path: a model's file.
        make_inputs: the inputs for a model, read or made at random.
        device_for: gives a greeted device for an image; called only when model and inputs are known to be good.
        limits: tolerances, where they are not to be derived.
        oracle: says what is expected.
        progress: told how many sequences are done.
        layer: name of the one LSTM that is to be validated, on what Keras gives it.
        kernel: what computes the LSTMs.
        host: as `device_for`, of the firmware as a process of this machine, if its bits are to be compared.
        weights: a file of weights that take the place of the model's own.
        level: which tensors are fetched from the device and judged.
        look_closer: find out where the error is largest also where all is within tolerance.
        steps_alone: run steps on their own, from Keras' h and c, also where all is within tolerance: for a report.
        steps_progress: told how many steps were run on their own.
        expected_path: a file of expected values, by which the device is judged in place of Keras'.
        counts_ticks: whether what single steps cost is to be counted on this device.
    """

    def pack_one(spec: ModelSpec) -> ModelImage:
        return pack_model(spec, masked=False, kernel=kernel, keep_gates=True)

    run = Validation(model_path, layer, level, looked_closer=look_closer)
    try:
        with Stage(run, "load_model"):
            run.loaded = oracle.load(model_path, weights, layer)
        _prepare(run, run.loaded, make_inputs, limits, oracle, expected_path)
        device = _run_on_device(run, device_for, kernel, progress)
        assert run.expected is not None
        assert run.inputs is not None
        has_calls = run.inputs.reset_before is not None
        run.results = compare(run.judged_by, run.got, run.tolerances, has_calls=has_calls, gates_of=gates_of)
        run.classes = classify(run.expected.tensors, run.got, run.inputs.labels, run.loaded.spec.classifiers)
        if counts_ticks(device.info):
            beside_the_verdict(run, "timing", lambda: count_ticks(run, device))
        if host is not None:
            _compare_with_host(run, host)
        beside_the_verdict(run, "vectors", lambda: judge_vectors(run, limits_given=limits.are_given))
        if look_closer or not all_passed(run.results):
            beside_the_verdict(run, "diagnosis", lambda: explain_values(run))
        if look_closer or steps_alone or not all_passed(run.results):
            beside_the_verdict(
                run,
                "bisect",
                lambda: bisect_values(
                    run, device, pack_one, device_for, steps_alone=steps_alone, progress=steps_progress
                ),
            )
    except HilError as error:
        run.error = error
    except MemoryError:
        run.error = UsageError(
            "this machine has too little memory for the run",
            remedy="give fewer or shorter sequences (--batch, --steps)",
        )
    except OSError as error:
        run.error = machine_error(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must neither pass for a verdict nor stop other models
        run.error = InternalError(
            where_raised(error), remedy="this is a bug of lstm-hil: report it with the model and the command"
        )
    run.ended = datetime.now(timezone.utc)
    return run


def _prepare(
    run: Validation,
    loaded: LoadedModel,
    make_inputs: Callable[[LoadedModel], Inputs | WholeInputs],
    limits: Limits,
    oracle: Authority,
    expected_path: Path | None,
) -> None:
    given = make_inputs(loaded)
    if isinstance(given, Inputs) and loaded.layer is not None:
        raise UsageError("Inputs of a whole model are no Inputs of a network", remedy="give a file, or WholeInputs")
    run.given, run.inputs = (None, given) if isinstance(given, Inputs) else (given, None)
    with Stage(run, "oracle"):
        answer = oracle.answer(loaded, given, gates=run.level >= TraceLevel.GATES)
    run.inputs = answer.inputs
    run.expected = replace(answer.expected, tensors=run.level.of(answer.expected.tensors))
    if expected_path is not None:
        of_golden = answer.tolerances is not None
        tensors = answer.expected.tensors
        run.expected_file = load_expected(expected_path, tensors, run.expected.tensors, of_golden=of_golden)
    check_labels(run.expected.tensors, run.inputs.labels)
    run.oracle_from_cache = answer.from_cache
    run.max_abs_to_float64 = run.level.of(answer.max_abs_to_float64)
    if answer.tolerances is None:
        run.tolerances = tolerances(run.max_abs_to_float64, limits.atol, limits.rtol)
    else:
        run.tolerances = replaced(run.level.of(answer.tolerances), limits.atol, limits.rtol)
    if limits.are_given:
        exact = reference(loaded.spec, run.inputs, gates=run.level >= TraceLevel.GATES)
        refuse_below_oracle(run.tolerances, run.expected.tensors, exact)


def _run_on_device(
    run: Validation,
    device_for: Callable[[ModelImage], Device],
    kernel: Kernel,
    progress: Progress | None,
) -> Device:
    """Run it; gives the device, on which the model stays in force."""
    assert run.loaded is not None
    assert run.inputs is not None
    _, mask = run.inputs.seen_by(run.loaded.spec)
    longest = run.inputs.longest(run.loaded.spec)
    keep_gates = run.level >= TraceLevel.GATES
    image = pack_model(run.loaded.spec, longest, masked=mask is not None, kernel=kernel, keep_gates=keep_gates)
    with Stage(run, "start"):
        device = device_for(image)
    run.hello = device.info
    counters = device.link_counters
    before = replace(counters)
    try:
        with Stage(run, "load_weights"):
            run.on_device = load_packed(device, run.loaded.spec, image)
        with Stage(run, "device"):
            plan = run.on_device.image.plan
            run.got, run.ticks = run_batch(device, run.loaded.spec, run.inputs, progress, plan, run.level)
    finally:
        now = device.link_counters
        run.link = now.since(before) if now is counters else now  # a new session counts anew
        run.logs = device.take_logs()
    run.counters = device.counters()
    run.logs += device.take_logs()
    return device


def _compare_with_host(run: Validation, host: Callable[[ModelImage], Device]) -> None:
    """The same image on the same inputs."""
    assert run.loaded is not None
    assert run.inputs is not None
    assert run.on_device is not None
    spec, image = run.loaded.spec, run.on_device.image
    with Stage(run, "host"):
        device = host(image)
        load_packed(device, spec, image)
        values, _ = run_batch(device, spec, run.inputs, plan=image.plan, level=run.level)
    run.bits = compare_bits(run.got, values, has_calls=run.inputs.reset_before is not None, gates_of=gates_of)
