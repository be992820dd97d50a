"""A baseline: what it holds of a model (how accurate it is, what it takes, what a step costs), and its file."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from harness.baseline import ERROR_PREFIX, Baseline, Entry, ModelKey, baseline_text
from harness.compare.metrics import absolute_errors
from harness.findings.writing import writing
from harness.model.arrays import sha256_of
from harness.model.trace import TraceLevel
from harness.oracle.reference import reference
from harness.reading import shown_name
from harness.report.record import replacing
from harness.targets.choice import TargetChoice
from harness.ticks import tick_unit
from harness.validation import Validation


def model_entry(run: Validation, target: TargetChoice) -> tuple[ModelKey, Entry]:
    """The figures of a run that passed, and what they are of."""
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
    if run.step_ticks is not None and run.step_ticks.step is not None:
        unit = tick_unit(run.hello, {"counts_instructions": True})  # or else it would not have been counted
        figures[f"{unit}_per_step"] = run.step_ticks.step.median
    file = shown_name(run.model_path)
    name = file if run.layer is None else f"{file} {run.layer}"
    where = run.hello.board if target.kind == "board" and run.hello.board else target.kind
    key = ModelKey(where, name, image.kernel.name.lower(), run.level.name.lower())
    return key, Entry(run.hello.compiler, figures, _values_of(run), _mask_of(run))


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write a file, whole or not at all.

    Raises:
        HilError: it cannot be written.
    """
    with writing(path), replacing(path) as file:
        file.write(baseline_text(baseline).encode())


def _values_of(run: Validation) -> str:
    """A hash over weights and inputs."""
    assert run.loaded is not None
    assert run.inputs is not None
    inputs = run.inputs.sha256 if run.given is None else run.given.sha256
    parts = (run.loaded.sha256, run.loaded.weights_sha256 or "", inputs)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _mask_of(run: Validation) -> str:
    """A hash over which steps are masked; empty where the model has no mask."""
    assert run.loaded is not None
    assert run.inputs is not None
    _, mask = run.inputs.seen_by(run.loaded.spec)
    return "" if mask is None else sha256_of({"mask": mask})[:16]
