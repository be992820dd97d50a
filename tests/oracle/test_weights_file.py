"""Weights from a file of their own: the model has them afterwards, or the layer that does not fit is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from agreement import agreed
from harness.errors import ModelRefused
from harness.model.inputs import random_inputs
from harness.model.nodes import LstmNode
from harness.oracle.cache import Oracle
from harness.oracle.load import load_model
from harness.oracle.runtime import KERAS_2, KERAS_3, keras_api, quiet
from harness.oracle.weights_file import check_weights_file
from hdf5_files import keras_2_file
from keras_models import save_model


def model_of(
    package: str = KERAS_3, units: Sequence[int] = (4, 5), dense: int = 2, names: str = "ab", seed: int = 0
) -> Any:
    """LSTMs and a Dense, with random weights."""
    keras = keras_api(package)
    layers = [keras.module.Input((None, 3), name="signal")]
    layers += [
        keras.layers.LSTM(count, return_sequences=True, name=name) for count, name in zip(units, names, strict=True)
    ]
    layers += [keras.layers.Dropout(0.5)]
    layers += [keras.layers.Dense(dense, name="head")] if dense else []
    model = keras.module.Sequential(layers, name="stack")
    generator = np.random.default_rng(seed)
    model.set_weights([generator.uniform(-1, 1, weight.shape) for weight in model.get_weights()])
    return model


def weights_of(model: Any, folder: Path, name: str) -> Path:
    path = folder / name
    with quiet():
        if name.endswith(".weights.h5") or type(model).__module__.startswith("tf_keras"):
            model.save_weights(path)
        else:
            model.save(path)
    return path


def kernels(loaded: Any) -> list[Any]:
    return [node.kernel for node in loaded.spec.nodes if isinstance(node, LstmNode)]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("of_model", [KERAS_3, KERAS_2])
@pytest.mark.parametrize(
    ("of_weights", "name"),
    [(KERAS_3, "w.weights.h5"), (KERAS_3, "w.h5"), (KERAS_2, "w.weights.h5"), (KERAS_2, "w.h5"), (KERAS_2, "w.hdf5")],
)
def test_weights_of_either_keras_for_either(
    tmp_path: Path, suffix: str, of_model: str, of_weights: str, name: str
) -> None:
    model = save_model(model_of(of_model, seed=1), tmp_path, suffix)
    weights = weights_of(model_of(of_weights, seed=2), tmp_path, name)
    loaded = load_model(model, weights)
    for got, wanted in zip(kernels(loaded), model_of(of_weights, seed=2).get_weights()[0:6:3], strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert loaded.weights_path == weights
    assert loaded.weights_sha256 == check_weights_file(weights).sha256
    assert agreed(loaded, random_inputs(loaded.spec, 2, 4)).oracle == of_model


def test_the_older_format_under_the_newer_name(tmp_path: Path) -> None:
    """TensorFlow 2.4 to 2.11 wrote it for any name."""
    model = save_model(model_of(seed=1), tmp_path)
    old = weights_of(model_of(KERAS_2, seed=2), tmp_path, "w.h5").rename(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(kernels(load_model(model, old))[0], model_of(seed=2).get_weights()[0])


def test_the_cache_tells_weights_apart(tmp_path: Path) -> None:
    model = save_model(model_of(seed=1), tmp_path)
    weights = [weights_of(model_of(seed=seed), tmp_path, f"{seed}.weights.h5") for seed in (2, 3)]
    oracle = Oracle(tmp_path / "cache")
    answers = []
    for path in (None, *weights, None, *weights):
        loaded = oracle.load(model, path)
        answers.append(oracle.answer(loaded, random_inputs(loaded.spec, 2, 4)))
    assert [answer.from_cache for answer in answers] == [False] * 3 + [True] * 3
    outputs = [answer.expected.tensors["output"].tobytes() for answer in answers]
    assert outputs[:3] == outputs[3:]
    assert len(set(outputs)) == 3
    again = oracle.load(model, weights[0])
    assert (again.weights_path, again.weights_sha256) == (weights[0], check_weights_file(weights[0]).sha256)


def test_a_file_that_changes_between_is_no_answer(tmp_path: Path) -> None:
    model = save_model(model_of(seed=1), tmp_path)
    weights = weights_of(model_of(seed=2), tmp_path, "w.weights.h5")
    oracle = Oracle(tmp_path / "cache")
    oracle.load(model, weights)
    known = oracle.load(model, weights)
    weights_of(model_of(seed=3), tmp_path, "w.weights.h5")
    with pytest.raises(ModelRefused, match="changed while they were read") as caught:
        oracle.answer(known, random_inputs(known.spec, 2, 4))
    assert caught.value.code == "model_changed"


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": (4,), "names": "a"}, "Layer 'b' of the model has weights of (4, 20), (5, 20), (20,)"),
        ({"units": (4, 6)}, "Layer 'b' of the model has weights of (4, 20), (5, 20), (20,)"),
        ({"dense": 3}, "Layer 'head' of the model has weights of (5, 2), (2,)"),
        ({"dense": 0}, "Layer 'head' of the model has weights of (5, 2), (2,)"),
        ({"units": (4, 5, 5), "names": "abc"}, "more than the model has"),
    ],
    ids=["fewer layers", "units", "head", "no head", "more layers"],
)
def test_weights_of_another_model(tmp_path: Path, name: str, options: dict[str, Any], message: str) -> None:
    model = save_model(model_of(), tmp_path)
    with pytest.raises(ModelRefused) as caught:
        load_model(model, weights_of(model_of(**options), tmp_path, name))
    assert caught.value.code == "weights_of_another_model"
    assert message in caught.value.message


def test_the_same_layers_in_another_order(tmp_path: Path) -> None:
    model = save_model(model_of(units=(3, 3), names="ab"), tmp_path)
    with pytest.raises(ModelRefused, match="in the order b, a, head, and the model a, b, head"):
        load_model(model, weights_of(model_of(units=(3, 3), names="ba"), tmp_path, "w.h5"))


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["data"] = np.zeros(3)
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    linked = keras_2_file(tmp_path / "linked.h5", change=lambda file: file.__setitem__("x", h5py.SoftLink("/y")))
    npz = tmp_path / "weights.npz"
    npz.write_bytes(b"")
    model = save_model(model_of(), tmp_path)
    for path, code in (
        (other, "weights_format"),
        (damaged, "weights_damaged"),
        (linked, "weights_damaged"),
        (npz, "weights_format"),
        (tmp_path / "none.weights.h5", "weights_not_found"),
        (model, "weights_format"),
    ):
        for load in (load_model, Oracle(tmp_path / "cache").load):
            with pytest.raises(ModelRefused) as caught:
                load(model, path)
            assert caught.value.code == code
            assert caught.value.remedy


def test_weights_for_weights(tmp_path: Path) -> None:
    npz = tmp_path / "lstm.npz"
    np.savez(npz, kernel=np.zeros((3, 8)), recurrent_kernel=np.zeros((2, 8)))
    with pytest.raises(ModelRefused, match="is weights itself"):
        load_model(npz, weights_of(model_of(), tmp_path, "w.weights.h5"))
