"""Which mistakes given inputs could not have shown: a PASS says nothing of them.

Each mistake is planted in the float64 reference. It is seen if it moves an element by more than twice its tolerance: a
device with it may be off by its tolerance to the other side, and would still fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.compare.tolerance import Tolerance
from harness.compare.verdict import Json
from harness.diagnosis.coverage import Coverage, coverage_of
from harness.diagnosis.hypotheses import Hypothesis, first_steps, hypotheses, reads_forward
from harness.diagnosis.layers import layers_of
from harness.diagnosis.mutations import MUTATIONS, WEIGHT_CORRUPTED, Mutation
from harness.model.inputs import Inputs
from harness.model.spec import ModelSpec
from harness.oracle.activations import Array
from harness.oracle.reference import reference

SEEN = 2.0
"""Shares of a tolerance by which a mistake must move an element: what a right device may be off by, and once more."""

LIMIT_S = 3.0
"""Of the processor: whoever waits for a verdict waits no longer for this, unless the machine does something else."""

_FEW_ROWS, _FEW_STEPS = 2, 48
"""Nearly every mistake shows in these; the others are looked for in all."""


Mistake = tuple[str, str | None]
"""Its name, and the layer it is in, None: everywhere, or in the only one."""


@dataclass(frozen=True)
class Unseen:
    """A mistake that would pass.

    Attributes:
        name: of the mistake.
        layer: where, None: everywhere, or in the only layer.
        share: the largest part of a tolerance that it moves an element by.
    """

    name: str
    layer: str | None
    share: float

    @property
    def text(self) -> str:
        """`swap_gates_i_o in 'second'`."""
        return self.name if self.layer is None else f"{self.name} in {self.layer}"


@dataclass(frozen=True)
class Score:
    """What inputs can show.

    Attributes:
        mutations: mistakes that were tried, each at each place.
        unseen: those that would pass.
        equivalent: names of mistakes that change nothing of this model, such as a bias of zeros left out.
        untried: what was left when the time was up.
        coverage: which values the gates and states took.
    """

    mutations: int
    unseen: tuple[Unseen, ...]
    equivalent: tuple[str, ...]
    untried: tuple[Mistake, ...]
    coverage: Coverage

    @property
    def not_tried(self) -> int:
        """How many were left when the time was up."""
        return len(self.untried)

    @property
    def seen(self) -> int:
        """How many mistakes would have failed."""
        return self.mutations - len(self.unseen)

    @property
    def line(self) -> str:
        """For a person."""
        shown = [each.text for each in self.unseen[:_SHOWN]]
        more = len(self.unseen) - len(shown)
        rest = f"; would pass: {', '.join(shown)}{f' and {more} more' if more else ''}" if shown else ""
        return f"{self.seen} of {self.mutations} planted mistakes would fail on these inputs{rest}"

    @property
    def short_of_all(self) -> str:
        """What stands beside a PASS: `12 of 63 mistakes`; empty where these inputs show all."""
        return short_of_all(self.seen, self.mutations, self.not_tried)

    @property
    def warning(self) -> str | None:
        """What a verdict says nothing of, None where all was tried."""
        return warning_of(self.not_tried)

    def to_json(self) -> dict[str, Json]:
        """The record's `vectors`."""
        return {
            "mutations": self.mutations,
            "seen": self.seen,
            "unseen": [each.text for each in self.unseen],
            "equivalent": list(self.equivalent),
            "not_tried": self.not_tried,
            "coverage": self.coverage.to_json(),
        }


_SHOWN = 6


def short_of_all(seen: int, mutations: int, not_tried: int) -> str:
    """How many mistakes are seen, where that is not all of them; else nothing."""
    if seen == mutations and not not_tried:
        return ""
    return f"{seen} of {mutations} mistakes{f', {not_tried} not tried' if not_tried else ''}"


def warning_of(not_tried: int) -> str | None:
    """That so many mistakes were not tried, None for 0."""
    if not not_tried:
        return None
    return f"{not_tried} more mistakes were not tried in time: a PASS says nothing of them; `hil vectors` tries longer"


def score(
    spec: ModelSpec,
    inputs: Inputs,
    tolerances: Mapping[str, Tolerance],
    *,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.thread_time,
) -> Score:
    """Which mistakes these inputs show within these tolerances.

    Args:
        spec: the right model.
        inputs: what it is given.
        tolerances: of the tensors that are judged.
        limit_s: when the search ends.
        clock: seconds that only go forward; of the processor, so that a busy machine finds the same.
    """
    deadline_s = clock() + limit_s
    places = to_be_seen(spec, inputs)
    quick, whole = _Judge.quick(spec, inputs, tolerances), _Judge(spec, inputs, tolerances)
    unseen = []
    tried = 0
    for name, layer in places:
        if clock() >= deadline_s:
            break
        tried += 1
        if quick is not None and quick.share(name, layer) > SEEN:
            continue
        share = whole.share(name, layer)
        if not share > SEEN:
            unseen.append(Unseen(name, layer, share))
    values = whole.right
    unseen += [Unseen(WEIGHT_CORRUPTED.name, layer, 0.0) for layer in unused_weights(spec, inputs, values)]
    return Score(
        mutations=tried + 1,
        unseen=tuple(unseen),
        equivalent=tuple(mutation.name for mutation in MUTATIONS if changes_nothing(mutation, spec)),
        untried=tuple(places[tried:]),
        coverage=coverage_of(spec, inputs, values),
    )


def to_be_seen(spec: ModelSpec, inputs: Inputs) -> list[Mistake]:
    """Name and layer of every mistake that should be seen: where it may be in one layer alone, there."""
    found = [(each.name, each.layer) for each in hypotheses(spec, inputs)]
    alone = {name for name, layer in found if layer is not None and ", " not in layer}
    of_nodes = {mutation.name for mutation in MUTATIONS if mutation.change is not None}
    several = {(name, layer) for name, layer in found if name in alone & of_nodes and (layer is None or ", " in layer)}
    return list(dict.fromkeys(each for each in found if each not in several))


def changes_nothing(mutation: Mutation, spec: ModelSpec) -> bool:
    """Whether a model has room for a mistake, which yet is none there: a bias of zeros may be left out."""
    if mutation.change is None:
        return False
    changed = [mutation.change(node) for node in spec.nodes]
    has_room = any(new is not old for new, old in zip(changed, spec.nodes, strict=True))
    return has_room and next(hypotheses(spec, _NO_INPUTS, mutations=[mutation]), None) is None


def unused_weights(spec: ModelSpec, inputs: Inputs, values: Mapping[str, Array]) -> list[str]:
    """LSTMs of which some weights are multiplied with 0 in every step, so that they may have any value."""
    names = []
    for name, layer in layers_of(spec, inputs, values).items():
        used = [np.abs(each[layer.valid]).max(axis=0, initial=0) > 0 for each in (layer.x, layer.h_before)]
        if not all(each.all() for each in used):
            names.append(name)
    return names


_NO_INPUTS = Inputs(np.zeros((1, 1, 1), np.float32))


class _Judge:
    """How much each mistake moves what is judged."""

    def __init__(self, spec: ModelSpec, inputs: Inputs, tolerances: Mapping[str, Tolerance]) -> None:
        self._tolerances = tolerances
        self._gates = any(name.endswith((".z", ".gates")) for name in tolerances)
        self.right = reference(spec, inputs, gates=True)
        self._spec, self._inputs = spec, inputs
        self._made: dict[str, list[Hypothesis]] = {}

    @classmethod
    def quick(cls, spec: ModelSpec, inputs: Inputs, tolerances: Mapping[str, Tolerance]) -> _Judge | None:
        """The same with few and short sequences, None where all are few and short."""
        if inputs.reset_before is not None:
            return None
        short = inputs.rows(slice(_FEW_ROWS))
        judged: Mapping[str, Tolerance] = tolerances
        if inputs.steps > _FEW_STEPS and reads_forward(spec):
            short = first_steps(short, _FEW_STEPS)
            # Of a shorter sequence the last values are others.
            judged = {name: each for name, each in tolerances.items() if name.endswith((".h", ".c"))}
        if (short.batch, short.steps) == (inputs.batch, inputs.steps) or not judged:
            return None
        return cls(spec, short, judged)

    def share(self, name: str, layer: str | None) -> float:
        """The largest part of a tolerance by which a mistake moves an element; of several of one name the least."""
        if name not in self._made:
            chosen = [mutation for mutation in MUTATIONS if mutation.name == name]
            self._made[name] = list(hypotheses(self._spec, self._inputs, mutations=chosen))
        return min((self._share(each) for each in self._made[name] if each.layer == layer), default=0.0)

    def _share(self, hypothesis: Hypothesis) -> float:
        tensors = hypothesis.tensors(gates=self._gates)
        shares = [
            float(tolerance.shares(self.right[name], tensors[name]).max())
            for name, tolerance in self._tolerances.items()
            if name in tensors and tensors[name].shape == self.right[name].shape
        ]
        return max(shares, default=0.0)
