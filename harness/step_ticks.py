"""What single time steps cost on a device: the first sequences of a run once more, step by step, with a quiet line."""

from __future__ import annotations

from dataclasses import dataclass

from harness.device import Device
from harness.inference import SequenceResult, SequenceRunner, sequences_of
from harness.model.inputs import Inputs
from harness.model.plan import Plan
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.ticks import Distribution, distribution

STEPS_ALONE = 128
"""Steps that are asked one by one: the fewest of which the 99th percentile is not the largest are 100, and each takes a
turn of the line, 5 ms at 115200 baud."""


@dataclass(frozen=True)
class StepTicks:
    """What was counted, in whole sequences.

    Attributes:
        step: of single steps that are not masked; of several passes over the steps, the k-th such step of each is one.
            None: all are masked.
        steps: time steps of all sequences that were run.
        ticks: of all of them, what runs behind their last step included.
        end_ticks: of what runs once behind the last step of a sequence, mean.
    """

    step: Distribution | None
    steps: int
    ticks: int
    end_ticks: float

    @property
    def mean(self) -> float:
        """By time step, with its part of what runs behind the last one."""
        return self.ticks / self.steps


def count_step_ticks(
    device: Device, spec: ModelSpec, inputs: Inputs, plan: Plan, alone: int = STEPS_ALONE
) -> StepTicks:
    """Run sequences of the first call until enough steps were asked alone.

    Args:
        device: a device on which `spec` is in force.
        spec: the model.
        inputs: with at least one step.
        plan: how its image runs it.
        alone: steps that are asked one by one. Those behind them, of a longer sequence, are asked many at a time, and
            so are masked ones: they compute next to nothing and say nothing of the others.

    Raises:
        HilError: see `Device.exchange`.
    """
    _, call = next(inputs.each_call())
    results: list[SequenceResult] = []
    counted: list[int] = []
    for sequence in sequences_of(spec, call):
        runner = SequenceRunner(device, spec, plan, TraceLevel.NONE, quiet=True, alone=alone - len(counted))
        runner.run_all([sequence], results.append)
        counted += results[-1].step_ticks
        if len(counted) >= alone:
            break
    return StepTicks(
        step=distribution(counted) if counted else None,
        steps=len(results) * call.steps,
        ticks=sum(result.ticks for result in results),
        end_ticks=sum(result.end_ticks for result in results) / len(results),
    )
