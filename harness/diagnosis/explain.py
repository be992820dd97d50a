"""Which mistake gives the values that somebody has. A name is given only to what clearly fits; see `explain`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.metrics import absolute_errors
from harness.compare.tolerance import Tolerance, derived, distance_to_float64
from harness.compare.verdict import Json, json_number
from harness.diagnosis.hypotheses import Hypothesis, first_steps, hypotheses, reads_forward, tensor_rows
from harness.diagnosis.mutations import MUTATIONS, Mutation
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.spec import ModelSpec
from harness.oracle.activations import Array
from harness.oracle.reference import reference

MARGIN = 3.0
"""A mistake is named if the errors that it leaves, as a root mean square, are at most a third of those without it: it
then explains 8/9 of their squares. Rounding that happens to look like a small mistake never comes near that over many
values. Whoever is within the same factor of the best one cannot be told apart from it."""

LIMIT_S = 8.0
"""The search ends here, with what it has found: somebody waits for it."""

MOST_SEQUENCE_STEPS = 4096
"""Steps of all sequences together that a mistake has to explain: more of them prove no more."""

_SCREENED = 2
"""Sequences that a mistake is first tried on; two, since a state that is not reset shows in the second."""

_SCREENED_STEPS = 64
"""Steps from the first wrong one on that a mistake is first tried on."""

_OF_GATES = (".z", ".gates")
_WITH_STEPS = (".h", ".c", *_OF_GATES)

_KEPT = 8
"""Mistakes that are tried on all sequences."""


@dataclass(frozen=True)
class Diagnosis:
    """A mistake that explains the values.

    Attributes:
        name: of the mistake, as in `mutations.MUTATIONS`, or "weight_corrupted".
        layer: where it is, None: everywhere, or in the only layer.
        residual: largest absolute difference that it leaves.
        share: the same as a share of what float32 may differ by; at most 1.
        text: what is wrong, to follow "if".
        weight: of a weight that is corrupted: `layer`, `array`, `row`, `column`, `gate`, `unit`, `expected`, `got`, and
            `bit`, if one flipped bit explains it.
    """

    name: str
    layer: str | None
    residual: float
    share: float
    text: str
    weight: Mapping[str, Json] | None = None

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"matches within {self.residual:.2g} if {self.text}"

    def to_json(self) -> dict[str, Json]:
        """An entry of the record's `diagnosis`."""
        return {
            "name": self.name,
            "layer": self.layer,
            "residual": json_number(self.residual),
            "share": json_number(self.share),
            "text": self.sentence,
            **({} if self.weight is None else {"weight": dict(self.weight)}),
        }


@dataclass(frozen=True)
class Explanation:
    """What came of a search.

    Attributes:
        found: mistakes that explain the values, the best first; several cannot be told apart. Empty: none does clearly.
        unchanged: the values are those of the right model, as near as float32 is.
        residual: largest absolute difference from the right model.
        tried: how many mistakes at how many places.
        note: in a sentence, why nothing is named, or what else there is to say.
    """

    found: tuple[Diagnosis, ...]
    unchanged: bool
    residual: float
    tried: int
    note: str

    def to_json(self, of: str) -> list[dict[str, Json]]:
        """Entries of the record's `diagnosis`; `of` says whose values they explain."""
        return [{**each.to_json(), "of": of} for each in self.found]

    @property
    def lines(self) -> list[str]:
        """For a person."""
        if not self.found:
            return [self.note]
        lines = [each.sentence for each in self.found]
        return [*lines, self.note] if self.note else lines


@dataclass(frozen=True)
class Fit:
    """How well values are explained.

    Attributes:
        residual: largest absolute error.
        share: largest error as a share of what is allowed there.
        rms: root mean square of the errors as shares.
    """

    residual: float
    share: float
    rms: float

    @property
    def explains(self) -> bool:
        """Every value is as near as float32 is."""
        return self.share <= 1


Search = Callable[[ModelSpec, Inputs, Mapping[str, Float32Array], Callable[[Hypothesis], Fit]], "Diagnosis | None"]
"""Looks for a mistake that is in no table; may ask how well a hypothesis fits."""


def fit_of(values: Mapping[str, NDArray[Any]], tensors: Mapping[str, Array], allowed: Mapping[str, Tolerance]) -> Fit:
    """Values held against what a hypothesis computes, where both have a tensor of one shape."""
    residual = share = squares = 0.0
    count = 0
    for name, array in values.items():
        if name not in tensors or tensors[name].shape != array.shape:
            continue
        residual = max(residual, float(absolute_errors(tensors[name], array).max()))
        shares = allowed[name].shares(tensors[name], array)
        share = max(share, float(shares.max()))
        squares += float(np.square(shares).sum())
        count += shares.size
    return Fit(residual, share, math.sqrt(squares / count)) if count else Fit(math.inf, math.inf, math.inf)


def float32_tolerances(float64: Mapping[str, Array], float32: Mapping[str, Array]) -> dict[str, Tolerance]:
    """What any correct float32 program may differ by, as the default tolerance is derived from Keras."""
    return derived(distance_to_float64(float32, float64))


def explain(
    spec: ModelSpec,
    inputs: Inputs,
    values: Mapping[str, Float32Array],
    *,
    mutations: Iterable[Mutation] = MUTATIONS,
    search: Search | None = None,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.thread_time,
) -> Explanation:
    """Which mistake in the model gives these values.

    A mistake is named only if with it in the float64 reference every value is as near as float32 is (4 times what
    NumPy float32 differs by there, at least 5e-7, and 2e-6 relatively), and if without it the errors are MARGIN times
    as large.

    Args:
        spec: the right model.
        inputs: what it was given.
        values: float32 tensors by the names of OUT.npz, any of them, from a device or from somebody's file.
        mutations: what is tried.
        search: for a mistake that is in no table; asked when no other fits.
        limit_s: when the search ends.
        clock: seconds that only go forward; of the processor, so that a busy machine finds the same.
    """
    deadline_s = clock() + limit_s
    # Whoever mixes up gates may trace them under their right names or not: what follows from them says more.
    without_gates = {name: array for name, array in values.items() if not name.endswith(_OF_GATES)}
    task = _Task(spec, inputs, without_gates)
    if not task.values or task.plain.explains:
        task = _Task(spec, inputs, dict(values))
    plain = task.plain
    if not task.values:
        return Explanation((), False, math.inf, 0, "there is no tensor that the model has")
    if plain.explains:
        note = f"the values are those of the model within {plain.residual:.2g}, which is what float32 gives"
        return Explanation((), True, plain.residual, 0, note)
    tried = 0
    screened: list[tuple[float, int, Hypothesis]] = []
    in_time = True
    screen = task.screening()
    for hypothesis in hypotheses(screen.spec, screen.inputs, mutations=tuple(mutations)):
        in_time = clock() < deadline_s
        if not in_time:
            break
        tried += 1
        screened.append((screen.rough(hypothesis), tried, hypothesis))
    screened.sort(key=lambda each: each[:2])
    # The state that a shortened sequence ends with is not the one that the next begins with.
    wanted = {(each.name, each.layer) for _, _, each in screened[:_KEPT]}
    wanted |= {(each.name, each.layer) for _, _, each in screened if each.run.rows_are_calls}
    found = []
    for hypothesis in task.again(wanted, tuple(mutations)):
        fit = task.fit(hypothesis)
        if fit.explains and fit.rms * MARGIN <= plain.rms:
            found.append(
                (fit.rms, Diagnosis(hypothesis.name, hypothesis.layer, fit.residual, fit.share, hypothesis.text))
            )
    if not found and search is not None:
        diagnosis = search(task.spec, task.inputs, task.values, task.fit)
        tried += 1
        if diagnosis is not None:
            return Explanation((diagnosis,), False, plain.residual, tried, "")
    return _explanation(found, plain, tried, in_time=in_time)


@dataclass
class _Task:
    """Values to be explained, and what the right model gives."""

    spec: ModelSpec
    inputs: Inputs
    values: dict[str, Float32Array]
    float64: dict[str, Array] = field(init=False)
    allowed: dict[str, Tolerance] = field(init=False)

    def __post_init__(self) -> None:
        self.gates = any(name.endswith(_OF_GATES) for name in self.values)
        if self.inputs.reset_before is None:
            self._cut(_first_rows(self.inputs, MOST_SEQUENCE_STEPS))
        self.float64 = reference(self.spec, self.inputs, gates=self.gates)
        self.values = {
            name: array
            for name, array in self.values.items()
            if name in self.float64 and self.float64[name].shape == array.shape
        }
        float32 = reference(self.spec, self.inputs, np.float32, gates=self.gates)
        self.allowed = float32_tolerances(self.float64, float32)
        self.plain = fit_of(self.values, self.float64, self.allowed)

    def _cut(self, rows: NDArray[np.intp]) -> None:
        if len(rows) < self.inputs.batch:
            self.inputs = self.inputs.rows(rows)
            self.values = tensor_rows(self.values, rows, has_calls=False)

    def screening(self) -> _Task:
        """The same task with few sequences: the first two, and the one with the largest error."""
        if self.inputs.reset_before is not None:
            return self
        worst = max(
            (
                (float(errors.max()), int(errors.reshape(len(errors), -1).max(axis=1).argmax()))
                for errors in (absolute_errors(self.float64[name], array) for name, array in self.values.items())
            ),
            default=(0.0, 0),
        )[1]
        rows = np.unique([*range(min(_SCREENED, self.inputs.batch)), worst])
        inputs = self.inputs.rows(rows)
        values = tensor_rows(self.values, rows, has_calls=False)
        steps = self._steps_to_screen()
        if steps < inputs.steps:
            inputs = first_steps(inputs, steps)
            values = {name: array[:, :steps] for name, array in values.items() if name.endswith(_WITH_STEPS)}
        return _Task(self.spec, inputs, values)

    def _steps_to_screen(self) -> int:
        """Those up to the first wrong one and as many more, where the beginning of a sequence stands by itself."""
        names = [name for name in self.values if name.endswith(_WITH_STEPS)]
        if not names or not reads_forward(self.spec):
            return self.inputs.steps
        beyond = [self.allowed[name].shares(self.float64[name], self.values[name]) > 1 for name in names]
        steps = np.any([each.any(axis=(0, 2)) for each in beyond], axis=0)
        return int(np.argmax(steps)) + _SCREENED_STEPS if steps.any() else self.inputs.steps

    def rough(self, hypothesis: Hypothesis) -> float:
        """How badly a hypothesis fits, by the tolerance of the right model."""
        return fit_of(self.values, hypothesis.tensors(gates=self.gates), self.allowed).rms

    def fit(self, hypothesis: Hypothesis) -> Fit:
        """How well it fits, by what float32 costs with the mistake."""
        float64 = hypothesis.tensors(gates=self.gates)
        allowed = float32_tolerances(float64, hypothesis.tensors(np.float32, gates=self.gates))
        return fit_of(self.values, float64, allowed)

    def again(self, wanted: set[tuple[str, str | None]], mutations: tuple[Mutation, ...]) -> Iterable[Hypothesis]:
        """The hypotheses of these names and layers, on all sequences."""
        names = {name for name, _ in wanted}
        chosen = [mutation for mutation in mutations if mutation.name in names]
        made = hypotheses(self.spec, self.inputs, mutations=chosen)
        return (each for each in made if (each.name, each.layer) in wanted)


def _first_rows(inputs: Inputs, most_steps: int) -> NDArray[np.intp]:
    return np.arange(min(inputs.batch, max(_SCREENED, most_steps // inputs.steps)))


def _explanation(found: list[tuple[float, Diagnosis]], plain: Fit, tried: int, *, in_time: bool) -> Explanation:
    found.sort(key=lambda each: each[0])
    equal = tuple(diagnosis for rms, diagnosis in found if rms <= MARGIN * found[0][0])
    notes = []
    if len(equal) > 1:
        notes.append("these inputs cannot tell the mistakes above apart")
    if not equal:
        notes.append(f"none of {tried} mistakes that were tried explains the values")
    if not in_time:
        notes.append("the time was up before all mistakes were tried")
    return Explanation(equal, False, plain.residual, tried, "; ".join(notes))
