"""Would the tests of passes find a bug in them? Each mutant is built, run and has to give other numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import networks
from harness.build.native import native_executable
from harness.device import Device
from harness.loading import load_model
from harness.model.inputs import random_inputs
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.targets.native import NativeTarget
from harness.validation import run_batch
from harness.workbench import Workbench
from mutants import PASS_MUTANTS, Mutant


def agrees(device: Device, spec: ModelSpec) -> bool:
    inputs = random_inputs(spec, batch=1, steps=5, seed=3)
    if spec.steps is None:
        inputs = replace(inputs, mask=np.array([[True, False, True, True, False]]))
    loaded = load_model(device, spec, inputs.longest(spec))
    got, _ = run_batch(device, spec, inputs, plan=loaded.image.plan)
    return all(np.allclose(got[name], values, rtol=0, atol=1e-6) for name, values in reference(spec, inputs).items())


@pytest.mark.parametrize("mutant", PASS_MUTANTS, ids=lambda mutant: mutant.name)
def test_each_bug_is_found(mutant: Mutant, tmp_path: Path) -> None:
    with Workbench(NativeTarget(native_executable(mutant.planted()), tmp_path / "log")) as workbench:
        device = workbench.device()
        wrong = [name for name, make in networks.ALL.items() if not agrees(device, make())]
    assert wrong
