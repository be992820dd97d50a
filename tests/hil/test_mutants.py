"""Would the ordinary validation of a model find a bug of the engine? Each mutant is built, run and has to FAIL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.build.native import native_executable
from harness.errors import ExitCode
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import LstmNode
from harness.model.pack import ModelImage, kernel_named, pack_model
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.oracle.cache import Oracle
from harness.oracle.load import LoadedModel
from harness.oracle.runtime import import_keras
from harness.protocol.wire import Kernel
from harness.targets.native import NativeTarget
from harness.validation import Limits, Validation, validate
from harness.workbench import Workbench
from keras_models import save_model
from mutants import GATE_MUTANTS, MUTANTS, Mutant


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two LSTMs of either gate function with biases as training leaves them, and a head."""
    keras = import_keras()
    keras.utils.set_random_seed(7)
    layers = keras.layers
    of_training = {"bias_initializer": keras.initializers.RandomNormal(stddev=0.3), "unit_forget_bias": False}
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            layers.LSTM(6, return_sequences=True, name="first", **of_training),
            layers.LSTM(5, name="second", recurrent_activation="hard_sigmoid", **of_training),
            layers.Dense(3, bias_initializer="random_normal", name="head"),
        ],
        name="mutants",
    )
    return save_model(model, tmp_path_factory.mktemp("mutants"))


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """Asks Keras once."""
    return Oracle(tmp_path_factory.mktemp("oracle"))


def vectors(loaded: LoadedModel) -> Inputs:
    """A few sequences, and a mask."""
    x = random_inputs(loaded.spec, batch=3, steps=8, seed=1).x
    return Inputs(x=x, mask=np.random.default_rng(2).random((3, 8)) < 0.7)


def validated(
    model_path: Path,
    oracle: Oracle,
    executable: Path,
    log_path: Path,
    kernel: Kernel,
    level: TraceLevel = TraceLevel.HC,
) -> Validation:
    with Workbench(NativeTarget(executable, log_path)) as workbench:
        return validate(model_path, vectors, workbench.device_for, Limits(), oracle, kernel=kernel, level=level)


def test_without_a_bug_it_passes(model_path: Path, oracle: Oracle, tmp_path: Path, kernel: Kernel) -> None:
    assert validated(model_path, oracle, native_executable(), tmp_path / "log", kernel)


def each_of(mutants: dict[str, tuple[Mutant, ...]]) -> pytest.MarkDecorator:
    """Each mutant with its kernel."""
    return pytest.mark.parametrize(
        ("kernel", "mutant"),
        [
            pytest.param(Kernel.ARM_MATH if name == "all" else kernel_named(name), each, id=f"{name}: {each.name}")
            for name, some in mutants.items()
            for each in some
        ],
    )


@each_of(GATE_MUTANTS)
def test_each_bug_of_the_gates_is_found(
    model_path: Path, oracle: Oracle, tmp_path: Path, kernel: Kernel, mutant: Mutant
) -> None:
    for executable, verdict in ((native_executable(), "PASS"), (native_executable(mutant.planted()), "FAIL")):
        run = validated(model_path, oracle, executable, tmp_path / "log", kernel, TraceLevel.GATES)
        assert run.verdict == verdict, run.summary


@each_of(MUTANTS)
def test_each_bug_is_found(model_path: Path, oracle: Oracle, tmp_path: Path, kernel: Kernel, mutant: Mutant) -> None:
    run = validated(model_path, oracle, native_executable(mutant.planted()), tmp_path / "log", kernel)
    assert (run.verdict, run.exit_code) == ("FAIL", ExitCode.OUT_OF_TOLERANCE), run.summary
    assert run.explanation is not None
    assert [each.name for each in run.explanation.found] == named(mutant), run.explanation.lines


def named(mutant: Mutant) -> list[str]:
    """What the diagnosis has to say of a bug: nothing of one that is in no table."""
    if not mutant.name.startswith("gates "):
        return [DIAGNOSED[mutant.name]] if mutant.name in DIAGNOSED else []
    order = mutant.name.removeprefix("gates ").lower()
    if mutant.source == "engine/packed_table.c" and order[2] != "c":
        return []  # the sums of i, f and o come halved, and it takes that of c for one of them
    moved = [gate for gate, right in zip(order, "ifco", strict=True) if gate != right]
    if len(moved) == 2:
        return [f"swap_gates_{'_'.join(gate for gate in 'ifco' if gate in moved)}"]
    return [f"gate_order_{'_'.join(order)}"]


DIAGNOSED = {
    "recurrent kernel transposed": "recurrent_kernel_transposed",
    "bias dropped": "bias_dropped",
    "forget bias twice": "forget_bias_twice",
    "mask ignored": "mask_ignored",
    "zeros at masked steps": "masked_output",
    "state not reset": "state_not_reset",
    "hard_sigmoid of Keras 2": "hard_sigmoid_keras2_for_hard_sigmoid",
    "bias of Dense dropped": "bias_dropped",
}
"""Bugs that the table of mistakes has."""


def test_bits_that_differ_are_a_fail_whatever_the_tolerance(model_path: Path, oracle: Oracle, tmp_path: Path) -> None:
    """The host has the bug, and the tolerance lets everything pass: the verdict comes from the bits alone."""
    bug = Mutant("", "engine/packed_table.c", "packed_multiply_add(fused, o, t, t) * 0.5f", "(o * t + t) * 0.4999999f")

    def run(host_executable: Path) -> Validation:
        device = Workbench(NativeTarget(native_executable(), tmp_path / "device.log"))
        host = Workbench(NativeTarget(host_executable, tmp_path / "host.log"))
        with device, host:
            return validate(
                model_path, vectors, device.device_for, Limits(1, 1), oracle, kernel=Kernel.PACKED, host=host.device_for
            )

    assert run(native_executable()).verdict == "PASS"
    failed = run(native_executable(bug.planted()))
    assert (failed.verdict, failed.exit_code) == ("FAIL", ExitCode.OUT_OF_TOLERANCE)
    assert "elements have other bits, first first.h seq 0 step 0 unit" in failed.summary


def transposed(node: LstmNode) -> LstmNode:
    by_gate = node.recurrent_kernel.reshape(node.units, 4, node.units).transpose(2, 1, 0)
    return replace(node, recurrent_kernel=by_gate.reshape(node.units, -1))


def forget_bias_twice(node: LstmNode) -> LstmNode:
    assert node.bias is not None
    return replace(node, bias=node.bias * np.repeat([1, 2, 1, 1], node.units).astype(np.float32))


def f_and_c_swapped(node: LstmNode) -> LstmNode:
    def swapped(array: Float32Array) -> Float32Array:
        parts = np.split(array, 4, axis=-1)
        return np.concatenate([parts[0], parts[2], parts[1], parts[3]], axis=-1)

    assert node.bias is not None
    return replace(
        node,
        kernel=swapped(node.kernel),
        recurrent_kernel=swapped(node.recurrent_kernel),
        bias=swapped(node.bias),
    )


PACKED_WRONG: dict[str, Callable[[LstmNode], LstmNode]] = {
    "recurrent kernel transposed": transposed,
    "forget bias twice": forget_bias_twice,
    "gates f and c swapped": f_and_c_swapped,
    "bias dropped": lambda node: replace(node, bias=None),
}


PACKED_TEXTS = {
    "recurrent kernel transposed": "the recurrent kernel of each gate is transposed",
    "forget bias twice": "the bias of the forget gate is added twice",
    "gates f and c swapped": "gates f and c are swapped",
    "bias dropped": "the bias is left out in 'first' and 'second'",
}
"""What the diagnosis has to say of each."""


@pytest.mark.parametrize("mistake", PACKED_WRONG)
def test_each_mistake_in_packing_is_found(
    model_path: Path, oracle: Oracle, tmp_path: Path, kernel: Kernel, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the packed kernels read is arranged on the host: the same bugs, made there."""

    def pack_wrongly(spec: ModelSpec, *arguments: Any, **options: Any) -> ModelImage:
        nodes = tuple(PACKED_WRONG[mistake](node) if isinstance(node, LstmNode) else node for node in spec.nodes)
        return pack_model(replace(spec, nodes=nodes), *arguments, **options)

    monkeypatch.setattr("harness.validation.run.pack_model", pack_wrongly)
    run = validated(model_path, oracle, native_executable(), tmp_path / "log", kernel)
    assert (run.verdict, run.exit_code) == ("FAIL", ExitCode.OUT_OF_TOLERANCE), run.summary
    assert run.explanation is not None
    (found,) = run.explanation.found
    assert found.text == PACKED_TEXTS[mistake]
