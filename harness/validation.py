"""One model on one device, from its file to its verdict. Every end leaves a `Validation` that can be reported."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.compare.bits import BitComparison, compare_bits
from harness.compare.classes import Classes, check_labels, classify
from harness.compare.tolerance import Tolerance, check_given, derived, refuse_below_oracle, replaced, tolerances
from harness.compare.verdict import TensorResult, all_passed, compare
from harness.device import Device
from harness.diagnosis.advice import Advice, advise, hidden_by
from harness.diagnosis.bisect import Bisection
from harness.diagnosis.corrupted import find_corrupted_weight
from harness.diagnosis.explain import Explanation, explain
from harness.diagnosis.score import Score, Unseen, score
from harness.errors import ExitCode, HilError, InternalError, UsageError, machine_error
from harness.inference import Progress, SequenceInput, SequenceResult, SequenceRunner
from harness.loading import LoadedModel as ModelOnDevice
from harness.loading import load_packed
from harness.model.calls import run_calls
from harness.model.expected_file import ExpectedFile, load_expected
from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import load_inputs
from harness.model.pack import ModelImage, pack_model
from harness.model.plan import Plan
from harness.model.spec import Float32Array, ModelSpec
from harness.model.trace import TraceLevel
from harness.model.whole import WholeInputs, load_whole_inputs, random_whole_inputs
from harness.oracle.cache import Answer
from harness.oracle.keras_oracle import Expected
from harness.oracle.load import LoadedModel
from harness.protocol.messages import CountersReply, HelloReply, Log
from harness.protocol.session import LinkCounters
from harness.protocol.wire import Kernel
from harness.teacher_forced import bisect


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


@dataclass(repr=False)
class Validation:
    """What is known of a run; fields that it did not come to are None.

    Attributes:
        model_path: the file.
        layer: name of the LSTM that is validated alone, None: the whole model is.
        level: which tensors are fetched and judged; the others are in none of what follows.
        loaded: the model as Keras reads it.
        given: of an LSTM alone, what the whole model was given.
        inputs: what both sides were given.
        expected: Keras' values.
        expected_file: values that somebody gave, by which the device is judged in place of Keras'.
        oracle_from_cache: whether the oracle had said it before.
        max_abs_to_float64: by tensor, Keras' largest distance from the float64 reference.
        tolerances: by tensor.
        hello: what the device said of itself.
        on_device: the image in force.
        got: by tensor, what the device computed.
        results: the comparison, tensor by tensor.
        classes: what the outputs of classifiers say as classes.
        bits: the comparison with a host process, if that was wanted.
        score: which mistakes the inputs could not have shown.
        hidden: those of them that the derived tolerances would have shown, and the given ones do not.
        advice: by tensor, what tolerance the measured distances speak for.
        explanation: of values beyond tolerance, which mistake would give them.
        given_explanation: the same of values that somebody gave and that are not Keras'.
        bisection: where they begin to be wrong.
        troubles: what else could not be found out, and why; the verdict stands.
        bisect_error: why the device did not say more of that; the verdict stands.
        ticks: ticks spent in the time steps.
        link: what the host saw of the link while the weights and the sequences went over it, also where that failed.
        counters: what the device counted since it was started.
        logs: what the device told unasked, since it was greeted or since the run before on the same session.
        earlier_fault: record of a fault that the device had before it was greeted for this run (docs/REPORT.md).
        started: when.
        times_s: seconds by stage.
        error: why there are no results.
    """

    model_path: Path
    layer: str | None = None
    level: TraceLevel = TraceLevel.HC
    loaded: LoadedModel | None = None
    given: WholeInputs | None = None
    inputs: Inputs | None = None
    expected: Expected | None = None
    expected_file: ExpectedFile | None = None
    oracle_from_cache: bool = False
    max_abs_to_float64: dict[str, float] = field(default_factory=dict)
    tolerances: dict[str, Tolerance] = field(default_factory=dict)
    hello: HelloReply | None = None
    on_device: ModelOnDevice | None = None
    got: dict[str, Float32Array] = field(default_factory=dict)
    results: tuple[TensorResult, ...] = ()
    classes: tuple[Classes, ...] = ()
    bits: BitComparison | None = None
    score: Score | None = None
    hidden: tuple[Unseen, ...] = ()
    advice: dict[str, Advice] = field(default_factory=dict)
    explanation: Explanation | None = None
    given_explanation: Explanation | None = None
    bisection: Bisection | None = None
    bisect_error: HilError | None = None
    troubles: list[str] = field(default_factory=list)
    ticks: int = 0
    link: LinkCounters | None = None
    counters: CountersReply | None = None
    logs: tuple[Log, ...] = ()
    earlier_fault: dict[str, Any] | None = None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    times_s: dict[str, float] = field(default_factory=dict)
    error: HilError | None = None

    @property
    def judged_by(self) -> dict[str, Float32Array]:
        """What the device is held against: Keras' values, and in their place those that somebody gave."""
        assert self.expected is not None
        return {**self.expected.tensors, **({} if self.expected_file is None else self.expected_file.values)}

    @property
    def exit_code(self) -> ExitCode:
        """0 or 1 by the numbers, else the error's."""
        if self.error is not None:
            return self.error.exit_code
        same_bits = self.bits is None or self.bits.first is None
        return ExitCode.PASS if same_bits and all_passed(self.results) else ExitCode.OUT_OF_TOLERANCE

    def __bool__(self) -> bool:
        """Whether it passed: for `assert validate(...)`."""
        return self.exit_code == ExitCode.PASS

    def __repr__(self) -> str:
        """The summary: what a failed assertion shows."""
        return f"<{self.summary}>"

    @property
    def verdict(self) -> str:
        """PASS, MARGINAL (a pass with an element in the guard band), FAIL or ERROR."""
        if self.error is not None:
            return "ERROR"
        if self.exit_code != ExitCode.PASS:
            return "FAIL"
        return "MARGINAL" if any(result.marginal for result in self.results) else "PASS"

    @property
    def summary(self) -> str:
        """One line that can be grepped: `VERDICT file: reason (exit N)`."""
        layer = "" if self.layer is None else f", layer {self.layer}"
        return f"{self.verdict} {self.model_path.name}{layer}: {self.reason} (exit {int(self.exit_code)})"

    @property
    def reason(self) -> str:
        """Why the verdict is what it is: the error, the first tensor that failed, or how close it was."""
        if self.error is not None:
            return f"{self.error.code} ({self.error.fault})"
        failed = next((result for result in self.results if not result.passed), None)
        if failed is None and self.bits is not None and self.bits.first is not None:
            return f"{self.bits.different} of {self.bits.elements} elements have other bits, first {self.bits.first}"
        if failed is None:
            closest = max(self.results, key=lambda result: result.share)
            nans = sum(result.metrics.nan_expected for result in self.results)
            nan_text = f"; {nans} elements are NaN on both sides" if nans else ""
            counted = f"{len(self.results)} tensor{'s' if len(self.results) > 1 else ''}"
            guarded = ", in the guard band of Keras' own distance from float64" if self.verdict == "MARGINAL" else ""
            return f"{counted} within tolerance, closest {closest.name} at {closest.share:.0%} of it{guarded}{nan_text}"
        if failed.worst is None:
            return f"{failed.name} {failed.problem}"
        worst = failed.worst
        return (
            f"{failed.name} beyond tolerance at {place_of(failed)}: expected {worst.expected:.9g}, "
            f"got {worst.got:.9g}, {failed.share:.3g} times what is allowed"
        )


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
    expected_path: Path | None = None,
    quiet: bool = False,
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
        expected_path: a file of expected values, by which the device is judged in place of Keras'.
        quiet: ticks are to be those of the steps alone: see `SequenceRunner`.
    """
    run = Validation(model_path, layer, level)
    try:
        with _Stage(run, "load_model"):
            run.loaded = oracle.load(model_path, weights, layer)
        _prepare(run, run.loaded, make_inputs, limits, oracle, expected_path)
        _run_on_device(run, device_for, kernel, progress, quiet=quiet)
        assert run.expected is not None
        assert run.inputs is not None
        has_calls = run.inputs.reset_before is not None
        run.results = compare(run.judged_by, run.got, run.tolerances, has_calls=has_calls)
        run.classes = classify(run.expected.tensors, run.got, run.inputs.labels, run.loaded.spec.classifiers)
        if host is not None:
            _compare_with_host(run, host)
        _beside_the_verdict(run, "vectors", lambda: _judge_vectors(run, limits))
        if look_closer or not all_passed(run.results):
            _beside_the_verdict(run, "diagnosis", lambda: _explain(run))
            _beside_the_verdict(run, "bisect", lambda: _bisect(run, device_for, kernel, look_closer=look_closer))
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
        place = traceback.extract_tb(error.__traceback__)[-1]
        run.error = InternalError(
            f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}",
            remedy="this is a bug of lstm-hil: report it with the model and the command",
        )
    return run


def make_inputs(
    loaded: LoadedModel,
    path: Path | None = None,
    batch: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
) -> Inputs | WholeInputs:
    """What a model is to be given: from a file, or without one at random. Errors: see `load_inputs`, `random_inputs`.

    Args:
        loaded: the model; of an LSTM alone the inputs are those of the whole model.
        path: an .npz file; None: random.
        batch: random sequences; None: as many as the model fixes, else 8.
        steps: random time steps, where the model leaves them open; None: 16.
        seed: of random inputs; None: 0.
    """
    if loaded.layer is not None:
        if path is not None:
            return load_whole_inputs(path, loaded.reads)
        return random_whole_inputs(loaded.reads, batch, steps, seed or 0)
    return random_inputs(loaded.spec, batch, steps, seed or 0) if path is None else load_inputs(path, loaded.spec)


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
    with _Stage(run, "oracle"):
        answer = oracle.answer(loaded, given, gates=run.level >= TraceLevel.GATES)
    run.inputs = answer.inputs
    run.expected = replace(answer.expected, tensors=run.level.of(answer.expected.tensors))
    if expected_path is not None:
        run.expected_file = load_expected(expected_path, answer.expected.tensors, run.expected.tensors)
    check_labels(run.expected.tensors, run.inputs.labels)
    run.oracle_from_cache = answer.from_cache
    run.max_abs_to_float64 = run.level.of(answer.max_abs_to_float64)
    if answer.tolerances is None:
        run.tolerances = tolerances(run.max_abs_to_float64, limits.atol, limits.rtol)
    else:
        run.tolerances = replaced(run.level.of(answer.tolerances), limits.atol, limits.rtol)
    if limits.are_given:
        refuse_below_oracle(run.tolerances, run.expected.tensors, run.max_abs_to_float64)


def _run_on_device(
    run: Validation,
    device_for: Callable[[ModelImage], Device],
    kernel: Kernel,
    progress: Progress | None,
    *,
    quiet: bool,
) -> None:
    assert run.loaded is not None
    assert run.inputs is not None
    _, mask = run.inputs.seen_by(run.loaded.spec)
    longest = run.inputs.longest(run.loaded.spec)
    keep_gates = run.level >= TraceLevel.GATES
    image = pack_model(run.loaded.spec, longest, masked=mask is not None, kernel=kernel, keep_gates=keep_gates)
    with _Stage(run, "start"):
        device = device_for(image)
    run.hello = device.info
    counters = device.link_counters
    before = replace(counters)
    try:
        with _Stage(run, "load_weights"):
            run.on_device = load_packed(device, run.loaded.spec, image)
        with _Stage(run, "device"):
            plan = run.on_device.image.plan
            run.got, run.ticks = run_batch(device, run.loaded.spec, run.inputs, progress, plan, run.level, quiet=quiet)
    finally:
        now = device.link_counters
        run.link = now.since(before) if now is counters else now  # a new session counts anew
        run.logs = device.take_logs()
    run.counters = device.counters()
    run.logs += device.take_logs()


def _beside_the_verdict(run: Validation, stage: str, find_out: Callable[[], None]) -> None:
    """Find out something more once the verdict is known."""
    with _Stage(run, stage):
        try:
            find_out()
        except HilError as error:
            run.bisect_error = error
        except Exception as error:  # noqa: BLE001 - the verdict is known by now, and stays what it is
            place = traceback.extract_tb(error.__traceback__)[-1]
            run.troubles.append(
                f"{stage}: {type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"
            )


def _judge_vectors(run: Validation, limits: Limits) -> None:
    """What the inputs and the tolerances are worth."""
    assert run.loaded is not None
    assert run.inputs is not None
    spec, inputs, gates = run.loaded.spec, run.inputs, run.level >= TraceLevel.GATES
    run.score = score(spec, inputs, run.tolerances)
    if limits.are_given:
        run.hidden = tuple(hidden_by(spec, inputs, derived(run.max_abs_to_float64), run.score.unseen))
    passed = all_passed(run.results)
    run.advice = advise(spec, inputs, run.max_abs_to_float64, run.got, passed=passed, gates=gates)


def _explain(run: Validation) -> None:
    """Which mistake gives what the device computed, and which one what somebody gave that Keras does not."""
    assert run.loaded is not None
    assert run.inputs is not None
    run.explanation = explain(run.loaded.spec, run.inputs, run.got, search=find_corrupted_weight)
    if run.expected_file is not None:
        values = run.expected_file.values
        run.given_explanation = explain(run.loaded.spec, run.inputs, values, search=find_corrupted_weight)


def _bisect(run: Validation, device_for: Callable[[ModelImage], Device], kernel: Kernel, *, look_closer: bool) -> None:
    """Where they begin to be wrong, by Keras. The device then holds another image."""
    assert run.loaded is not None
    assert run.inputs is not None
    assert run.expected is not None
    has_calls = run.inputs.reset_before is not None
    by_keras = compare(run.expected.tensors, run.got, run.tolerances, has_calls=has_calls)
    if all_passed(by_keras) and not look_closer:
        return
    run.bisection = bisect(
        run.loaded.spec,
        run.inputs,
        run.expected.tensors,
        run.got,
        run.tolerances,
        lambda spec: pack_model(spec, masked=False, kernel=kernel, keep_gates=True),
        device_for,
    )


def _compare_with_host(run: Validation, host: Callable[[ModelImage], Device]) -> None:
    """The same image on the same inputs."""
    assert run.loaded is not None
    assert run.inputs is not None
    assert run.on_device is not None
    spec, image = run.loaded.spec, run.on_device.image
    with _Stage(run, "host"):
        device = host(image)
        load_packed(device, spec, image)
        values, _ = run_batch(device, spec, run.inputs, plan=image.plan, level=run.level)
    run.bits = compare_bits(run.got, values, has_calls=run.inputs.reset_before is not None)


def run_batch(
    device: Device,
    spec: ModelSpec,
    inputs: Inputs,
    progress: Progress | None = None,
    plan: Plan | None = None,
    level: TraceLevel = TraceLevel.HC,
    *,
    quiet: bool = False,
) -> tuple[dict[str, Float32Array], int]:
    """Run every sequence of a batch on a loaded model, one after the other, each from its own initial state.

    Rows share the device's one state: between calls the state of each row is kept here and written before its next one.

    Returns:
        The traced tensors of OUT.npz with the batch as first axis, or N and the batch with calls; and the ticks spent.
    """
    carries_states = inputs.reset_before is not None
    level_of_run = max(level, TraceLevel.LAST) if carries_states else level
    runner = SequenceRunner(device, spec, plan, level_of_run, quiet=quiet)
    ticks = rows_done = 0

    def run_call(call: Inputs) -> dict[str, Float32Array]:
        (x, *beside), (_, masks) = call.arrays(spec), call.seen_by(spec)
        results: list[SequenceResult] = []

        def done(result: SequenceResult) -> None:
            nonlocal ticks, rows_done
            results.append(result)
            ticks += result.ticks
            rows_done += 1
            if progress is not None:
                progress(rows_done, inputs.calls * inputs.batch)

        sequences = (
            SequenceInput(
                x[row],
                None if masks is None else masks[row],
                {name: states[row] for name, states in call.initial.items()},
                [array[row] for array in beside],
            )
            for row in range(call.batch)
        )
        runner.run_all(sequences, done)
        return {name: np.stack([result.arrays[name] for result in results]) for name in results[0].arrays}

    return level.of(run_calls(spec, inputs, run_call)), ticks


def place_of(result: TensorResult) -> str:
    """Where a tensor's worst element is: `seq 3 step 7 unit 10`, with calls `call 2 seq 3 step 7 unit 10`."""
    worst = result.worst
    if worst is None:
        return "-"
    call = "" if worst.call is None else f"call {worst.call} "
    step = "" if worst.step is None else f" step {worst.step}"
    return f"{call}seq {worst.sequence}{step} unit {worst.unit}"


class _Stage:
    """Takes the time of a stage."""

    def __init__(self, run: Validation, name: str) -> None:
        self._run = run
        self._name = name

    def __enter__(self) -> None:
        self._start_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._run.times_s[self._name] = time.perf_counter() - self._start_s
