"""What is known of a run: a `Validation`, from which everything that is reported is made."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.baseline import Held
from harness.compare.bits import BitComparison
from harness.compare.classes import Classes
from harness.compare.tolerance import Tolerance
from harness.compare.verdict import TensorResult, all_passed
from harness.diagnosis.advice import Advice
from harness.diagnosis.bisection import Bisection, Place
from harness.diagnosis.explain import Explanation
from harness.diagnosis.score import Score, Unseen
from harness.errors import ExitCode, HilError
from harness.loading import LoadedModel as ModelOnDevice
from harness.model.array_types import Float32Array
from harness.model.expected_file import ExpectedFile
from harness.model.inputs import Inputs
from harness.model.trace import TraceLevel
from harness.model.whole import WholeInputs
from harness.oracle.keras_oracle import Expected
from harness.oracle.load import LoadedModel
from harness.protocol.messages import CountersReply, HelloReply, Log
from harness.protocol.session import LinkCounters
from harness.step_ticks import StepTicks

SEES = ", sees "
"""In a verdict line, between the reason and what the inputs see."""


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
        baseline: what came of holding its figures against a file, if that was wanted.
        score: which mistakes the inputs could not have shown.
        hidden: those of them that the derived tolerances would have shown, and the given ones do not.
        advice: by tensor, what tolerance the measured distances speak for.
        explanation: of values beyond tolerance, which mistake would give them.
        given_explanation: the same of values that somebody gave and that are not Keras'.
        first_of_given: the first element that is beyond the tolerance of values that somebody gave.
        bisection: where they begin to be wrong.
        looked_closer: whether it was asked where the error is largest even if all is within tolerance.
        troubles: what else could not be found out, and why; the verdict stands.
        bisect_error: why the device did not say more of that; the verdict stands.
        ticks: ticks spent in the time steps.
        step_ticks: what single steps cost; None where that was not asked, or the device counts nothing of use.
        link: what the host saw of the link while the weights and the sequences went over it, also where that failed.
        counters: what the device counted since it was started.
        logs: what the device told unasked, since it was greeted or since the run before on the same session.
        earlier_fault: record of a fault that the device had before it was greeted for this run (docs/REPORT.md).
        started: when.
        ended: when; None where it was stopped.
        times_s: seconds by stage.
        error: why there are no results.
        id: of this run and no other: what a record, a JUnit file and a page of it have in common.
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
    baseline: Held | None = None
    score: Score | None = None
    hidden: tuple[Unseen, ...] = ()
    advice: dict[str, Advice] = field(default_factory=dict)
    explanation: Explanation | None = None
    given_explanation: Explanation | None = None
    first_of_given: Place | None = None
    bisection: Bisection | None = None
    bisect_error: HilError | None = None
    looked_closer: bool = False
    troubles: list[str] = field(default_factory=list)
    ticks: int = 0
    step_ticks: StepTicks | None = None
    link: LinkCounters | None = None
    counters: CountersReply | None = None
    logs: tuple[Log, ...] = ()
    earlier_fault: dict[str, Any] | None = None
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    ended: datetime | None = None
    times_s: dict[str, float] = field(default_factory=dict)
    error: HilError | None = None
    id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def judged_by(self) -> dict[str, Float32Array]:
        """What the device is held against: Keras' values, and in their place those that somebody gave."""
        assert self.expected is not None
        return {**self.expected.tensors, **({} if self.expected_file is None else self.expected_file.values)}

    @property
    def exit_code(self) -> ExitCode:
        """0 or 1 by the numbers and the baseline, else the error's."""
        if self.error is not None:
            return self.error.exit_code
        same_bits = self.bits is None or self.bits.first is None
        is_worse = self.baseline is not None and self.baseline.has_failed
        passed = same_bits and not is_worse and all_passed(self.results)
        return ExitCode.PASS if passed else ExitCode.OUT_OF_TOLERANCE

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
        """One line that can be grepped: `VERDICT file: reason (exit N)`, of a pass with what the inputs see."""
        layer = "" if self.layer is None else f", layer {self.layer}"
        sees = f"{SEES}{self.sees}" if self.sees else ""
        file = self.model_path.name or self.model_path  # a folder as `.` has no name
        return f"{self.verdict} {file}{layer}: {self.reason}{sees} (exit {int(self.exit_code)})"

    @property
    def sees(self) -> str:
        """Of a pass on inputs that could not have shown each mistake, how many they could; else empty."""
        return "" if self.score is None or self.exit_code != ExitCode.PASS else self.score.short_of_all

    @property
    def reason(self) -> str:
        """Why the verdict is what it is: the error, the first tensor that failed, or how close it was."""
        if self.error is not None:
            return f"{self.error.code} ({self.error.fault})"
        failed = next((result for result in self.results if not result.passed), None)
        if failed is None and self.bits is not None and self.bits.first is not None:
            return f"{self.bits.different} of {self.bits.elements} elements have other bits, first {self.bits.first}"
        if failed is None and self.baseline is not None and self.baseline.has_failed:
            return self.baseline.reason
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
            f"{failed.name} beyond tolerance at {failed.place}: expected {worst.expected:.9g}, "
            f"got {worst.got:.9g}, {failed.share:.3g} times what is allowed"
        )


def where_raised(error: Exception) -> str:
    """An error of ours that nobody foresaw, with the line it comes from."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"


class Stage:
    """Takes the time of a stage of a run, as a context."""

    def __init__(self, run: Validation, name: str) -> None:
        self._run = run
        self._name = name

    def __enter__(self) -> None:
        self._start_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._run.times_s[self._name] = time.perf_counter() - self._start_s
