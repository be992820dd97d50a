"""Inputs that show every mistake that can be shown, found by trying: ordinary ones first, odd ones where those fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.compare.tolerance import distance_to_float64
from harness.diagnosis.coverage import DENORMAL
from harness.diagnosis.explain import float32_tolerances
from harness.diagnosis.score import Score, score
from harness.errors import InputsRefused
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference

BATCH = 2
"""Sequences that are added at once; two, since a state that is not reset shows in the second."""

LIMIT_S = 30.0
"""The search ends here, with what it has."""

MOST_DISTANCE = 1e-4
"""Inputs on which float32 is farther from float64 are no vectors: a tenth of what ends a run without a verdict."""

FEW_STEPS = 3
"""For models whose state grows without bound: three show all that a step does to the next."""

KEPT = 0.7
"""Share of the steps that a mask keeps."""

Change: TypeAlias = Callable[[Float32Array, np.random.Generator], Float32Array]


@dataclass(frozen=True)
class Cover:
    """Inputs and what they show.

    Attributes:
        inputs: the inputs.
        score: what they show and what they do not.
        tried: how many kinds of inputs were tried.
    """

    inputs: Inputs
    score: Score
    tried: int


def _kept(x: Float32Array, _: np.random.Generator) -> Float32Array:
    return x


def _positive(x: Float32Array, _: np.random.Generator) -> Float32Array:
    return np.abs(x)


def _times(factor: float) -> Change:
    return lambda x, _: x * np.float32(factor)


def _one_feature_at_a_time(x: Float32Array, generator: np.random.Generator) -> Float32Array:
    chosen = generator.integers(x.shape[-1], size=x.shape[:-1])
    return x * 3 * np.eye(x.shape[-1], dtype=np.float32)[chosen]


def _with_odd_values(x: Float32Array, generator: np.random.Generator) -> Float32Array:
    """Zeros, denormal numbers and large values of both signs among ordinary ones."""
    kind = generator.integers(6, size=x.shape)
    return np.select(
        [kind == 0, kind == 1, kind == 2, kind == 3], [np.float32(0), DENORMAL, np.float32(8), np.float32(-8)], x
    ).astype(np.float32)


def _from_rest(x: Float32Array, generator: np.random.Generator) -> Float32Array:
    """Odd values between steps of zeros and denormals: there the sums of a gate without a bias are such numbers too.

    Both ends are so, as some layers read backwards. A sequence begins with zeros, the next one with denormals.
    """
    x = _with_odd_values(x, generator)
    for number, row in enumerate(x):
        outer, inner = (np.float32(0), DENORMAL) if number % 2 == 0 else (DENORMAL, np.float32(0))
        row[1:2], row[-2:-1] = inner, inner
        row[0], row[-1] = outer, outer
    return x


_RECIPES: tuple[tuple[str, Change], ...] = (
    ("N(0, 1)", _kept),
    ("zeros, denormals and large values", _with_odd_values),
    ("3 N(0, 1)", _times(3)),
    ("0.1 N(0, 1)", _times(0.1)),
    ("one feature at a time", _one_feature_at_a_time),
    ("10 N(0, 1)", _times(10)),
    ("positive values", _positive),
    ("zeros and denormals at both ends", _from_rest),
)


def cover(
    spec: ModelSpec,
    steps: int | None = None,
    seed: int = 0,
    *,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.thread_time,
) -> Cover:
    """Inputs of a model that show as many mistakes as could be found.

    Args:
        spec: the model.
        steps: time steps, where it leaves them; None: 16.
        seed: of what is random.
        limit_s: when the search ends.
        clock: seconds that only go forward; of the processor, so that a busy machine finds the same.

    Raises:
        InputsRefused: float32 says little of the model; and see `random_inputs`.
    """
    deadline_s = clock() + limit_s
    best: tuple[Inputs, Score] | None = None
    tried = 0
    for name, candidate in _candidates(spec, steps, seed):
        if best is not None and (clock() >= deadline_s or _is_enough(best[1], candidate)):
            break
        tried += 1
        for inputs in _joined(spec, best, candidate):
            found = _scored(spec, inputs, max(1.0, deadline_s - clock()))
            if found is not None and (best is None or _is_better(found, best[1])):
                best = replace(inputs, seed=None, notes=(*inputs.notes, name)), found
                break
    if best is None:
        raise InputsRefused(
            f"float32 says little of '{spec.name}': on all of {tried} kinds of inputs it is farther than "
            f"{MOST_DISTANCE:g} from float64.",
            code="no_vectors",
            remedy="Look at the size of its weights, or give fewer --steps.",
        )
    return Cover(*best, tried)


def arrays_of(spec: ModelSpec, inputs: Inputs) -> dict[str, NDArray[Any]]:
    """Inputs as an inputs file holds them."""
    arrays: dict[str, NDArray[Any]] = {spec.input_name: inputs.x, **inputs.beside}
    if inputs.mask is not None:
        arrays[spec.mask_input or "mask"] = inputs.mask
    of_model = {state: name for name, states in spec.state_inputs.items() for state in states}
    arrays.update({of_model.get(name, name): states for name, states in inputs.initial.items()})
    return arrays


def _candidates(spec: ModelSpec, steps: int | None, seed: int) -> Iterator[tuple[str, Inputs]]:
    """Ordinary inputs and odd ones, then few steps where the model leaves them, then with initial states."""
    lengths = [steps] if spec.steps or steps else [None, FEW_STEPS]
    for initial in (False, True):
        for length in lengths:
            for number, (name, change) in enumerate(_RECIPES):
                inputs = _changed(spec, random_inputs(spec, spec.batch or BATCH, length, seed + number), number, change)
                text = name if length == lengths[0] else f"{name}, {length} steps"
                if not initial:
                    yield text, inputs
                    continue
                states = _states(spec, inputs.batch, np.random.default_rng(seed + number))
                if states:
                    # They are given to all sequences, so that a state which is not reset is not seen: a last resort.
                    yield f"{text}, initial states", replace(inputs, initial={**states, **inputs.initial})


def _changed(spec: ModelSpec, inputs: Inputs, number: int, change: Change) -> Inputs:
    """Random inputs by a recipe; with a mask, where the model has one, in all but the first."""
    generator = np.random.default_rng(number)
    x, mask = change(inputs.x, generator), inputs.mask
    kept = generator.random(x.shape[:2]) < KEPT
    if number and mask is not None:
        mask = kept
    if number and spec.mask_value is not None:
        x = np.where(kept[..., np.newaxis], x, np.float32(spec.mask_value))
    beside = {key: change(array, generator) for key, array in inputs.beside.items()}
    return replace(inputs, x=x, mask=mask, beside=beside)


def _states(spec: ModelSpec, batch: int, generator: np.random.Generator) -> dict[str, Float32Array]:
    return {
        f"{node.name}.{state}": generator.standard_normal((batch, node.units)).astype(np.float32)
        for _, node in spec.lstm_nodes()
        if node.initial is None and node.h0_input is None
        for state in ("h0", "c0")
    }


def _joined(spec: ModelSpec, best: tuple[Inputs, Score] | None, inputs: Inputs) -> Iterator[Inputs]:
    """What there is with more sequences, if these fit to it; alone only if they may show more so."""
    before = None if best is None else best[0]
    if (
        before is not None
        and spec.batch is None
        and before.steps == inputs.steps
        and set(before.initial) == set(inputs.initial)
    ):
        yield replace(
            before,
            x=np.concatenate([before.x, inputs.x]),
            mask=None if before.mask is None or inputs.mask is None else np.concatenate([before.mask, inputs.mask]),
            beside=_concatenated(before.beside, inputs.beside),
            initial=_concatenated(before.initial, inputs.initial),
        )
    if best is None or best[1].unseen:
        yield inputs


def _concatenated(some: Mapping[str, Float32Array], others: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
    return {name: np.concatenate([array, others[name]]) for name, array in some.items()}


def _scored(spec: ModelSpec, inputs: Inputs, limit_s: float) -> Score | None:
    """What they show by the default tolerance, None where float32 says little of them."""
    float64, float32 = reference(spec, inputs), reference(spec, inputs, np.float32)
    if max(distance_to_float64(float32, float64).values()) > MOST_DISTANCE:
        return None
    return score(spec, inputs, float32_tolerances(float64, float32), limit_s=limit_s)


def _is_better(new: Score, old: Score) -> bool:
    """Fewer mistakes would pass; of as many, fewer kinds of values never occurred."""
    return (len(new.unseen) + new.not_tried, len(new.coverage.gaps)) < (
        len(old.unseen) + old.not_tried,
        len(old.coverage.gaps),
    )


def _is_enough(best: Score, candidate: Inputs) -> bool:
    """Nothing is left to be shown; initial states are tried only for mistakes, and not for kinds of values."""
    return not best.unseen and not best.not_tried and (bool(candidate.initial) or not best.coverage.gaps)
