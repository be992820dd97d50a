"""Where a device's values begin to be wrong: steps of one LSTM run again, each from the oracle's h and c.

That LSTM is loaded alone, so that its input is the oracle's too, whatever lies before it in the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.compare.metrics import absolute_errors
from harness.compare.tolerance import Tolerance
from harness.device import Device
from harness.diagnosis.bisection import Bisection, Place, Stage, StepErrors
from harness.diagnosis.first_beyond import first_beyond
from harness.diagnosis.layers import LayerSteps, StepValues, alone, layers_of, step_alone
from harness.diagnosis.stages import Step, probes, stages_of, with_gate
from harness.inference import Progress, SequenceInput, SequenceResult, SequenceRunner
from harness.loading import load_packed
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.nodes import LstmNode
from harness.model.pack import ModelImage
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel

MOST_STEPS = 128
"""Steps of one sequence that are run alone: of an LSTM of 32 units about 100 KB each way, 10 s at 115200 baud."""


def bisect(
    spec: ModelSpec,
    inputs: Inputs,
    expected: Mapping[str, Float32Array],
    got: Mapping[str, Float32Array],
    tolerances: Mapping[str, Tolerance],
    pack: Callable[[ModelSpec], ModelImage],
    device_for: Callable[[ModelImage], Device],
    progress: Progress | None = None,
) -> Bisection | None:
    """Find the first step that is beyond tolerance, and run it again; None where nothing can be compared.

    Where all are within tolerance it is the step nearest to it. With it the other steps of its sequence are run alone.

    Args:
        spec: the network.
        inputs: what it was given.
        expected: the oracle's values.
        got: the device's.
        tolerances: by tensor.
        pack: makes an image that keeps gates, for runs without a mask.
        device_for: gives a greeted device for an image. What it holds is given up.
        progress: told how many steps were run alone.

    Raises:
        ModelRefused, LinkError, DeviceError, MismatchError: see `load_packed`.
    """
    found = first_beyond(spec, expected, got, tolerances, has_calls=inputs.reset_before is not None)
    if found is None:
        return None
    place, is_beyond = found
    # Sequences do not depend on each other: of a large batch the steps of all would take much memory.
    which = slice(place.sequence, place.sequence + 1)
    at = (slice(None),) * (place.call is not None) + (which,)
    oracles, devices = (
        layers_of(spec, inputs.rows(which), {name: array[at] for name, array in values.items()})
        for values in (expected, got)
    )
    are_known = bool(oracles and devices)
    if place.layer is None and is_beyond and are_known:
        return Bisection(place, "behind")
    if place.layer is None or place.step is None or not are_known:
        return Bisection(place, "unknown" if is_beyond else "none")
    oracle, device = oracles[place.layer], devices[place.layer]
    here = replace(place, sequence=0)
    free = _free_running_errors(oracle, device, here)
    is_masked = not oracle.valid[here.index]
    steps = _steps_to_run(oracle, here, MOST_STEPS)
    if not steps or (is_masked and is_beyond):
        cause = "mask" if is_beyond else "none"
        return Bisection(place, cause, tuple(StepErrors(step, error, None) for step, error in enumerate(free)))
    runner = _OneLayer(oracle.node, pack, device_for)
    row = here.index[:-1]
    forced = dict(zip(steps, runner.states([_step(oracle, (*row, step)) for step in steps], progress), strict=True))
    errors = {step: _error(oracle, (*row, step), values) for step, values in forced.items()}
    stages: tuple[Stage, ...] = ()
    cause = "none"
    if not is_masked:
        this_step = _step(oracle, here.index)
        stages = stages_of(oracle, this_step, runner.values(probes(*this_step)), place.unit)
    if is_beyond:
        is_right = not any(stage.is_wrong for stage in stages)
        cause = _cause(oracle, device, here, forced[place.step], tolerances, parts_are_right=is_right)
    return Bisection(
        with_gate(place, stages),
        cause,
        tuple(StepErrors(step, error, errors.get(step)) for step, error in enumerate(free)),
        stages,
    )


@dataclass(frozen=True)
class _States:
    """What one step gives: (units) each."""

    h: Float32Array
    c: Float32Array


class _OneLayer:
    """An LSTM alone on a device."""

    def __init__(
        self, node: LstmNode, pack: Callable[[ModelSpec], ModelImage], device_for: Callable[[ModelImage], Device]
    ) -> None:
        spec = alone(node)
        image = pack(spec)
        device = device_for(image)
        load_packed(device, spec, image)
        self._name = node.name
        self._device, self._spec, self._plan = device, spec, image.plan

    def states(self, steps: Sequence[Step], progress: Progress | None = None) -> list[_States]:
        """What steps give, each from its own h and c. The gates are not fetched: five times as much would be sent."""
        return [_States(each["h"], each["c"]) for each in self._run(steps, TraceLevel.HC, progress)]

    def values(self, steps: Sequence[Step]) -> list[StepValues]:
        """The same with all that is on the way."""
        return [
            StepValues(each["z"], each["gates"], each["c"], each["h"]) for each in self._run(steps, TraceLevel.GATES)
        ]

    def _run(
        self, steps: Sequence[Step], level: TraceLevel, progress: Progress | None = None
    ) -> list[dict[str, Float32Array]]:
        """The traced values of each step, by the ends of their names."""
        results: list[SequenceResult] = []

        def done(result: SequenceResult) -> None:
            results.append(result)
            if progress is not None:
                progress(len(results), len(steps))

        sequences = (
            SequenceInput(x[np.newaxis], None, {f"{self._name}.h0": h, f"{self._name}.c0": c}) for x, h, c in steps
        )
        SequenceRunner(self._device, self._spec, self._plan, level).run_all(sequences, done)
        endings = ("h", "c", "z", "gates") if level is TraceLevel.GATES else ("h", "c")
        return [{each: result.arrays[f"{self._name}.{each}"][0] for each in endings} for result in results]


def _step(layer: LayerSteps, index: tuple[int, ...]) -> Step:
    x, h, c = (np.ascontiguousarray(each, dtype=np.float32) for each in layer.step(index))
    return x, h, c


def _error(layer: LayerSteps, index: tuple[int, ...], values: _States) -> float:
    errors = absolute_errors(layer.c[index], values.c), absolute_errors(layer.h[index], values.h)
    return float(max(each.max() for each in errors))


def _cause(
    oracle: LayerSteps,
    device: LayerSteps,
    place: Place,
    forced: _States,
    tolerances: Mapping[str, Tolerance],
    *,
    parts_are_right: bool,
) -> str:
    """Why a step is beyond tolerance, given what the device makes of it from the oracle's h and c."""
    name = oracle.node.name
    worst_allowed = 0.0
    for ending, values in (("c", forced.c), ("h", forced.h)):
        expected = getattr(oracle, ending)[place.index].astype(np.float32)
        allowed = tolerances[f"{name}.{ending}"].allowed(expected)
        if not (absolute_errors(expected, values) <= allowed).all():
            return "rounding" if parts_are_right else "local"
        worst_allowed = max(worst_allowed, float(allowed.max()))
    return "state" if _began_with_another_state(device, place, worst_allowed) else "accumulated"


def _steps_to_run(layer: LayerSteps, place: Place, most: int) -> list[int]:
    """The steps of the place's sequence that are to be run alone: all of them, or as many around the place."""
    count = layer.x.shape[-2]
    last = min(count, max(most, (place.step or 0) + most // 2))
    steps = range(max(0, last - most), last)
    return [step for step in steps if layer.valid[(*place.index[:-1], step)]]


def _free_running_errors(layer: LayerSteps, got: LayerSteps, place: Place) -> list[float]:
    """The largest error in h and c of each step of the place's sequence."""
    row = place.index[:-1]
    errors = [absolute_errors(getattr(layer, name)[row], getattr(got, name)[row]) for name in ("h", "c")]
    return [float(error) for error in np.maximum(*errors).max(axis=-1)]


def _began_with_another_state(layer: LayerSteps, place: Place, allowed: float) -> bool:
    """Whether a step's h and c do not follow from what the device itself gave in the step before.

    Args:
        layer: the steps by the device's own values.
        place: which step.
        allowed: by how much they may differ from what float64 makes of it.
    """
    values = step_alone(layer.node, *(np.asarray(each, dtype=np.float64) for each in layer.step(place.index)))
    errors = max(
        float(absolute_errors(values.c, layer.c[place.index]).max()),
        float(absolute_errors(values.h, layer.h[place.index]).max()),
    )
    return not errors <= allowed
