"""A bug in the engine's own C, and where the values begin to be wrong because of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.build.native import native_executable
from harness.model.inputs import Inputs, random_inputs
from harness.model.trace import TraceLevel
from harness.oracle.cache import Oracle
from harness.oracle.load import LoadedModel
from harness.protocol.wire import Kernel
from harness.targets.native import NativeTarget
from harness.validation import Limits, Validation, validate
from harness.workbench import Workbench
from keras_models import save_spec
from mutants import GATE_MUTANTS, MUTANTS, Mutant


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_spec(seeds.random_lstm(3, 5, scale=1.5), tmp_path_factory.mktemp("model"))


def vectors(loaded: LoadedModel) -> Inputs:
    """Sequences from states of their own, and a mask."""
    return random_inputs(loaded.spec, batch=3, steps=8, seed=1)


def masked(loaded: LoadedModel) -> Inputs:
    mask = np.ones((3, 8), np.bool_)
    mask[1, 4] = False
    return Inputs(x=vectors(loaded).x, mask=mask)


def run(
    model_path: Path,
    tmp_path: Path,
    mutant: Mutant | None,
    kernel: Kernel = Kernel.ARM_MATH,
    *,
    with_mask: bool = False,
    level: TraceLevel = TraceLevel.HC,
) -> Validation:
    executable = native_executable(None if mutant is None else mutant.planted())
    with Workbench(NativeTarget(executable, tmp_path / "log")) as bench:
        inputs = masked if with_mask else vectors
        oracle = Oracle(tmp_path / "oracle")
        return validate(
            model_path, inputs, bench.device_for, Limits(), oracle, kernel=kernel, look_closer=True, level=level
        )


def mutant(name: str, kernel: str = "arm_math") -> Mutant:
    return next(each for each in (*MUTANTS[kernel], *MUTANTS["all"], *GATE_MUTANTS["all"]) if each.name == name)


@pytest.mark.parametrize(
    ("name", "cause", "step", "stage"),
    [
        ("recurrent kernel transposed", "local", 1, "recurrent product"),
        ("bias dropped", "local", 0, "bias"),
        ("forget bias twice", "local", 1, "bias"),
        ("gates ICFO", "local", 0, "activation"),
        ("activation of the gates on the candidate", "local", 0, "activation"),
        ("no activation of c", "local", 0, "output"),
        ("c forgotten", "local", 0, "state update"),
        ("state not reset", "state", 0, None),
    ],
)
def test_each_bug_is_found_where_it_is(
    model_path: Path, tmp_path: Path, name: str, cause: str, step: int, stage: str | None
) -> None:
    bisection = run(model_path, tmp_path, mutant(name)).bisection
    assert bisection is not None
    assert (bisection.cause, bisection.first.step) == (cause, step), bisection.lines
    wrong = [each.name for each in bisection.stages if each.is_wrong]
    assert wrong[:1] == ([] if stage is None else [stage]), bisection.stages


def test_with_gates_the_mistake_has_its_name_too(model_path: Path, tmp_path: Path) -> None:
    result = run(model_path, tmp_path, mutant("gates ICFO"), level=TraceLevel.GATES)
    assert result.explanation is not None
    assert [each.name for each in result.explanation.found] == ["swap_gates_f_c"]
    assert result.bisection is not None
    assert result.bisection.first.tensor == "lstm.gates"
    assert result.bisection.first.gate in ("f", "c")


def test_without_every_step_nothing_is_said_of_the_layers(model_path: Path, tmp_path: Path) -> None:
    result = run(model_path, tmp_path, mutant("gates ICFO"), level=TraceLevel.NONE)
    assert result.bisection is not None
    assert (result.bisection.first.tensor, result.bisection.cause) == ("output", "unknown")
    assert result.explanation is not None
    assert [each.name for each in result.explanation.found] == ["swap_gates_f_c"]


def test_a_mask_that_is_ignored(model_path: Path, tmp_path: Path) -> None:
    bisection = run(model_path, tmp_path, mutant("mask ignored"), with_mask=True).bisection
    assert bisection is not None
    assert (bisection.cause, bisection.first.sequence, bisection.first.step) == ("mask", 1, 4)


@pytest.mark.parametrize(
    ("name", "cause", "step", "stage"),
    [
        ("h not taken over", "state", 1, None),
        ("c forgotten", "local", 0, "state update"),
        ("o added", "local", 0, "output"),
        ("bias dropped", "local", 0, "bias"),
        ("column 0 dropped", "local", 1, "recurrent product"),
    ],
)
def test_bugs_of_the_packed_kernel(
    model_path: Path, tmp_path: Path, name: str, cause: str, step: int, stage: str | None
) -> None:
    bisection = run(model_path, tmp_path, mutant(name, "packed"), Kernel.PACKED).bisection
    assert bisection is not None
    assert (bisection.cause, bisection.first.step) == (cause, step), bisection.lines
    wrong = [each.name for each in bisection.stages if each.is_wrong]
    assert wrong[:1] == ([] if stage is None else [stage]), bisection.stages


def test_without_a_bug_the_nearest_element_is_shown(model_path: Path, tmp_path: Path) -> None:
    result = run(model_path, tmp_path, None)
    assert result.verdict == "PASS"
    bisection = result.bisection
    assert bisection is not None
    assert bisection.cause == "none"
    assert bisection.first.share < 1
    assert [each.name for each in bisection.stages if each.is_wrong] == []
    assert len(bisection.steps) == 8
    assert all(each.teacher_forced is not None and each.teacher_forced < 5e-7 for each in bisection.steps)
