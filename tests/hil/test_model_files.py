"""Models of Keras 2 on every target: the device computes what the Keras computes that wrote the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seeds
from harness.compare.verdict import all_passed, compare
from harness.oracle.runtime import KERAS_2, KERAS_3
from harness.protocol.wire import Activation
from harness.report.terminal import make_console, print_run
from harness.validation import Validation
from keras_models import save_spec

Validate = Callable[..., Validation]


@pytest.fixture(scope="module")
def two_meanings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same weights with "hard_sigmoid", saved by each Keras."""
    folder = tmp_path_factory.mktemp("models")
    paths = {}
    for package, suffix, meaning in (
        (KERAS_2, ".h5", Activation.HARD_SIGMOID_KERAS2),
        (KERAS_3, ".keras", Activation.HARD_SIGMOID),
    ):
        node = seeds.random_lstm_node(3, 6, seed=3, scale=3.0, recurrent_activation=meaning)
        paths[package] = save_spec(replace(seeds.random_lstm(3, 6), nodes=(node,)), folder, suffix, package)
    return paths


def test_hard_sigmoid_is_the_one_of_the_keras_that_wrote_the_file(
    validate: Validate, two_meanings: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {package: validate(path) for package, path in two_meanings.items()}
    for package, run in runs.items():
        assert run
        assert run.expected is not None
        assert run.expected.oracle == package
    got, other = runs[KERAS_2], runs[KERAS_3]
    assert other.expected is not None
    assert not all_passed(compare(other.expected.tensors, got.got, other.tolerances))
    print_run(make_console(), got)
    assert "hard_sigmoid of tf_keras is clip(0.2 x + 0.5, 0, 1)" in capsys.readouterr().out


def test_weights_alone_may_name_the_hard_sigmoid_of_keras_2(
    validate: Validate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = seeds.random_lstm_node(3, 5)
    config = '{"recurrent_activation": "hard_sigmoid_keras2"}'
    path = tmp_path / "lstm.npz"
    np.savez(path, kernel=node.kernel, recurrent_kernel=node.recurrent_kernel, config=config)
    run = validate(path, batch=2, steps=3)
    assert run
    print_run(make_console(), run)
    shown = capsys.readouterr().out
    assert "clip(0.2 x + 0.5, 0, 1)" in shown
    assert "relu6" not in shown


def test_weights_alone(validate: Validate, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {}
    for index, node in enumerate((seeds.random_lstm_node(3, 5), seeds.random_lstm_node(5, 2))):
        weights = {"kernel": node.kernel, "recurrent_kernel": node.recurrent_kernel, "bias": node.bias}
        arrays |= {f"{index}.{name}": array for name, array in weights.items()}
    path = tmp_path / "lstm.npz"
    np.savez(path, **arrays)
    run = validate(path, batch=2, steps=5)
    assert run
    assert run.got["lstm_0.h"].shape == (2, 5, 5)
    assert run.got["output"].shape == (2, 2)
