"""The sequences of a batch on a loaded model."""

from __future__ import annotations

import numpy as np

from harness.device import Device
from harness.inference import Progress, SequenceResult, SequenceRunner, sequences_of
from harness.model.array_types import Float32Array
from harness.model.calls import run_calls
from harness.model.inputs import Inputs
from harness.model.plan import Plan
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel


def run_batch(
    device: Device,
    spec: ModelSpec,
    inputs: Inputs,
    progress: Progress | None = None,
    plan: Plan | None = None,
    level: TraceLevel = TraceLevel.HC,
) -> tuple[dict[str, Float32Array], int]:
    """Run every sequence of a batch on a loaded model, one after the other, each from its own initial state.

    Rows share the device's one state: between calls the state of each row is kept here and written before its next one.

    Returns:
        The traced tensors of OUT.npz with the batch as first axis, or N and the batch with calls; and the ticks spent.
    """
    carries_states = inputs.reset_before is not None
    level_of_run = max(level, TraceLevel.LAST) if carries_states else level
    runner = SequenceRunner(device, spec, plan, level_of_run)
    ticks = rows_done = 0

    def run_call(call: Inputs) -> dict[str, Float32Array]:
        results: list[SequenceResult] = []

        def done(result: SequenceResult) -> None:
            nonlocal ticks, rows_done
            results.append(result)
            ticks += result.ticks
            rows_done += 1
            if progress is not None:
                progress(rows_done, inputs.calls * inputs.batch)

        runner.run_all(sequences_of(spec, call), done)
        return {name: np.stack([result.arrays[name] for result in results]) for name in results[0].arrays}

    return level.of(run_calls(spec, inputs, run_call)), ticks
