"""Where values begin to be wrong, as it is told: the first wrong element, its step, and which part of that."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from harness.compare.verdict import Json, element_text, json_number

_TEXTS = {
    "local": "from Keras' h and c that step alone is wrong too, so the error is made there",
    "rounding": "from Keras' h and c that step alone is beyond it too, but by no more than rounding",
    "accumulated": "from Keras' h and c that step alone is right, so errors of the steps before grew",
    "state": "that step alone is right, so it did not begin with the state that it should",
    "mask": "that step is masked, and its state should be that of the step before",
    "behind": "all LSTMs are right, so what comes behind them is wrong",
    "unknown": "h and c of every step were not fetched, so no more is known (--trace hc, or hil bisect)",
    "none": "all is within tolerance of Keras' values",
}
"""By cause, for a person."""


@dataclass(frozen=True)
class Place:
    """An element of a tensor.

    Attributes:
        tensor: its name in OUT.npz.
        layer: the LSTM that it is of; None: it is an output of the model.
        call: among the calls of a stateful model, else None.
        sequence: in the batch.
        step: in the order in which the layer goes; None: the tensor has no steps.
        unit: of the layer, or place in the output.
        gate: i, f, c or o, if it is known which one is wrong.
        expected: the oracle's value.
        got: the device's value.
        share: the error as a share of what is allowed.
    """

    tensor: str
    layer: str | None
    call: int | None
    sequence: int
    step: int | None
    unit: int
    gate: str | None
    expected: float
    got: float
    share: float

    def to_json(self) -> dict[str, Json]:
        """As the record has it."""
        return {**asdict(self), **{name: json_number(getattr(self, name)) for name in ("expected", "got", "share")}}

    @property
    def index(self) -> tuple[int, ...]:
        """(sequence, step), with calls (call, sequence, step)."""
        return tuple(number for number in (self.call, self.sequence, self.step) if number is not None)

    @property
    def text(self) -> str:
        """`seq 0 step 3 unit 5 of lstm.c`."""
        return f"{element_text(self.call, self.sequence, self.step, self.gate, self.unit)} of {self.tensor}"


@dataclass(frozen=True)
class StepErrors:
    """Largest errors of one step over all units of a layer, in h and c.

    Attributes:
        step: in the order in which the layer goes.
        free_running: of the run, in which each step begins with what the one before gave.
        teacher_forced: of the step alone, from the oracle's h and c; None: not run.
    """

    step: int
    free_running: float
    teacher_forced: float | None


@dataclass(frozen=True)
class Stage:
    """How good one part of a step is.

    Attributes:
        name: bias, input product, recurrent product, sum, activation, state update, output.
        gate: the gate with the largest error; None: the part has no gates.
        unit: the unit of the first wrong element, where the part is wrong there; else the unit with the largest error.
        max_abs: its absolute error against float64, from the device's own values before this part.
        ulp: the same in ULPs, of the sum of the terms' magnitudes where it is a sum.
        limit_ulp: a part that is off by more is wrong.
        expected: float64's value there.
        got: the device's.
    """

    name: str
    gate: str | None
    unit: int
    max_abs: float
    ulp: float
    limit_ulp: float
    expected: float
    got: float

    @property
    def is_wrong(self) -> bool:
        """Farther off than rounding."""
        return not self.ulp <= self.limit_ulp


@dataclass(frozen=True)
class Bisection:
    """Where values begin to be wrong.

    Attributes:
        first: the first element beyond tolerance in the order of computation; if all are within, the nearest to it.
        cause: "local" (the step is wrong also from the oracle's h and c), "rounding" (it is beyond tolerance also from
            them, and each part of it is right by float64), "accumulated" (it is right by itself: errors of steps
            before grew), "state" (it is right by itself, and did not begin with what the step before gave),
            "mask" (the step is masked, and something was computed), "behind" (all LSTMs are right: what comes behind
            them is not), "unknown" (h and c of every step were not fetched), "none" (all is within tolerance).
        steps: the errors of each step of that sequence and layer.
        stages: the parts of that step, in the order of computation.
    """

    first: Place
    cause: str
    steps: tuple[StepErrors, ...] = ()
    stages: tuple[Stage, ...] = ()

    @property
    def lines(self) -> list[str]:
        """For a person."""
        what = "nearest to its tolerance" if self.cause == "none" else "first beyond tolerance"
        lines = [f"{what} is {self.first.text}: {_TEXTS[self.cause]}"]
        wrong = [stage for stage in self.stages if stage.is_wrong]
        if wrong:
            gate = f"gate {wrong[0].gate} " if wrong[0].gate else ""
            lines.append(
                f"in that step the {wrong[0].name} is off by {wrong[0].ulp:.3g} ULP"
                f" ({wrong[0].got:.9g} for {wrong[0].expected:.9g} in {gate}unit {wrong[0].unit})"
            )
        elif self.stages:
            lines.append(
                f"each part of that step is right: off by {max(stage.ulp for stage in self.stages):.2g} ULP at most"
            )
        return lines

    def to_json(self) -> dict[str, Json]:
        """The record's `bisect`."""
        return {
            "first": self.first.to_json(),
            "cause": self.cause,
            "text": "; ".join(self.lines),
            "steps": [
                {
                    "step": each.step,
                    "free_running": json_number(each.free_running),
                    "teacher_forced": None if each.teacher_forced is None else json_number(each.teacher_forced),
                }
                for each in self.steps
            ],
            "stages": [
                {
                    **asdict(stage),
                    **{name: json_number(getattr(stage, name)) for name in ("max_abs", "ulp", "expected", "got")},
                    "wrong": stage.is_wrong,
                }
                for stage in self.stages
            ],
        }
