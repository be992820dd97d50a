"""A golden file on every target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.validation import Validation

OLD = Path(__file__).parents[1] / "golden" / "v1.golden"


def test_a_file_of_the_first_version_passes(validate: Callable[..., Validation]) -> None:
    run = validate(OLD)
    assert run
    assert len(run.results) == 19
    assert run.on_device is not None
    assert run.on_device.image.kernel.name == "PACKED"
    less = validate(OLD, kernel="arm_math", trace="hc")
    assert less
    assert not any(result.name.endswith((".z", ".gates")) for result in less.results)
