"""What `hil validate --baseline` holds against a file: how accurate a model is, what it takes and what a step costs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ExitCode, UsageError
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from harness.baseline import AnyKey, Entry, ModelKey
    from harness.validation import Validation


def check_names(models: Sequence[Path]) -> None:
    """Refuse models that a baseline could not tell apart.

    Raises:
        UsageError: two files have the same name.
    """
    names = [path.name for path in models]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two models are named {name}", remedy="give --baseline to one of them at a time")


def measured_of(runs: Sequence[Validation], target: TargetChoice) -> dict[AnyKey, Entry]:
    """The figures of the runs that passed: those of wrong numbers must not become a baseline."""
    return dict(_measured(run, target) for run in runs if run.exit_code == ExitCode.PASS)


def _measured(run: Validation, target: TargetChoice) -> tuple[ModelKey, Entry]:
    from harness.baseline import ERROR_PREFIX, Entry, ModelKey
    from harness.compare.metrics import absolute_errors
    from harness.model.trace import TraceLevel
    from harness.oracle.reference import reference
    from harness.ticks import tick_unit

    assert run.loaded is not None
    assert run.inputs is not None
    assert run.hello is not None
    assert run.on_device is not None
    image = run.on_device.image
    # From float64, since Keras' own values are not the same on every machine.
    exact = reference(run.loaded.spec, run.inputs, gates=run.level >= TraceLevel.GATES)
    errors = {name: float(absolute_errors(exact[name], array).max(initial=0.0)) for name, array in run.got.items()}
    figures = {f"{ERROR_PREFIX} {name}": error for name, error in errors.items() if math.isfinite(error)}
    figures |= {"image_bytes": len(image.data), "work_bytes": image.work_bytes}
    if run.step_ticks is not None:
        unit = tick_unit(run.hello, {"counts_instructions": True})  # or else it would not have been counted
        figures[f"{unit}_per_step"] = run.step_ticks.step.median
    name = run.model_path.name if run.layer is None else f"{run.model_path.name} {run.layer}"
    where = run.hello.board if target.kind == "board" and run.hello.board else target.kind
    return ModelKey(where, name, image.kernel.name.lower()), Entry(run.hello.compiler, figures, _values_of(run))


def _values_of(run: Validation) -> str:
    """A hash over weights and inputs."""
    assert run.loaded is not None
    assert run.inputs is not None
    inputs = run.inputs.sha256 if run.given is None else run.given.sha256
    parts = (run.loaded.sha256, run.loaded.weights_sha256 or "", inputs)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
