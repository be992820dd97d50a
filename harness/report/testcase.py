"""What a test's report says of a validation: properties for machines, and text for people of one that did not pass."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.report.timing import median_of, timing_fields
from harness.validation import Validation

_KEPT_TENSORS = 40
"""Of a model with more of them only those nearest to their tolerance go into a test's properties."""


def properties(run: Validation, command: str, target: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Names and values for pytest's `user_properties`, which JUnit XML holds and pytest-xdist carries.

    Args:
        run: the validation.
        command: does the same again.
        target: what the target says of itself.
    """
    model = run.model_path.name if run.layer is None else f"{run.model_path.name}, layer {run.layer}"
    found: list[tuple[str, object]] = [("hil_model", model), ("hil_verdict", run.verdict)]
    if run.sees:
        found.append(("hil_sees", run.sees))
    if run.hello is not None:
        found.append(("hil_build_id", run.hello.build_id.hex()))
    found += median_of(timing_fields(run, target)).items()
    results = sorted(run.results, key=lambda result: -result.share)[:_KEPT_TENSORS]
    for result in results:
        tolerance = run.tolerances.get(result.name)
        allowed = "" if tolerance is None else f" atol={tolerance.atol:.3g} rtol={tolerance.rtol:.3g}"
        found.append((f"hil_{result.name}", f"max_abs={result.metrics.max_abs:.3g}{allowed} used={result.share:.0%}"))
    return [*found, *_findings(run), ("hil_command", command)]


def _findings(run: Validation) -> list[tuple[str, object]]:
    """Of a run that failed: the first wrong element, and which mistakes give the values."""
    found: list[tuple[str, object]] = []
    if run.error is not None or run.exit_code == 0:
        return found
    if run.bisection is not None and run.bisection.cause != "none":
        first = run.bisection.first
        numbers = {"call": first.call, "seq": first.sequence, "step": first.step, "unit": first.unit}
        place = {**numbers, "gate": first.gate, "tensor": first.tensor}
        where = [f"{name}={value}" for name, value in place.items() if value is not None]
        where += [f"expected={first.expected:.9g}", f"got={first.got:.9g}"]
        found.append(("hil_where", " ".join(where)))
    for name, explanation in (("hil_why", run.explanation), ("hil_why_expected", run.given_explanation)):
        if explanation is None:
            continue
        found += [(name, f"{each.name} residual={each.residual:.3g}: {each.sentence}") for each in explanation.found]
        found += [(name, explanation.note)] if explanation.note else []
    return found


def failure_lines(run: Validation, command: str) -> list[str]:
    """Where it is wrong, why, and how to have it again.

    The first line has model, sequence, step, unit, gate, expected, got, and error over tolerance.
    """
    lines = [_first_line(run)]
    if run.bisection is not None and run.bisection.cause != "none":
        lines += run.bisection.lines
    if run.explanation is not None:
        lines += run.explanation.lines
    if run.given_explanation is not None:
        lines += [f"the expected values: {line}" for line in run.given_explanation.lines]
    return [*lines, f"again: {command}"]


def _first_line(run: Validation) -> str:
    if run.error is not None or run.bisection is None or run.bisection.cause == "none" or run.exit_code == 0:
        return run.summary
    first = run.bisection.first
    model = run.model_path.name if run.layer is None else f"{run.model_path.name}, layer {run.layer}"
    return (
        f"{model}: {first.text}: expected {first.expected:.9g}, got {first.got:.9g}, "
        f"{first.share:.3g} times what is allowed"
    )


def command_of(model: Path, target: str, options: dict[str, Any]) -> str:
    """The `hil validate` that does what a test did.

    Args:
        model: its file.
        target: as options, `--native`.
        options: `--batch` and the like with their values; those that are None are left out.
    """
    words = ["hil", "validate", str(model), *target.split()]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)
