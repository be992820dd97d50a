"""What is refused before Keras is imported, so that no hostile file reaches it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ModelRefused
from harness.oracle.model_file import MAX_CONFIG_BYTES, check_model_file

INPUT = {"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "x"}, "registered_name": None}


def layer(class_name: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any) -> Any:
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": class_name.lower(), **config},
        "registered_name": registered,
    }


def sequential(*layers: Any) -> Any:
    return layer("Sequential", "keras", layers=[INPUT, *layers])


def keras_file(folder: Path, config: Any, weights: bytes = b"") -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config if isinstance(config, (str, bytes)) else json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    return path


def refusal(path: Path) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        check_model_file(path)
    assert caught.value.remedy
    return caught.value


def test_a_good_file_gives_its_hash(tmp_path: Path) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM", units=3, activation="tanh"), layer("Dropout"), layer("Dense")))
    assert len(check_model_file(path)) == 64


def test_this_module_needs_no_keras() -> None:
    code = "import sys, harness.oracle.load, harness.oracle.keras_oracle; assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "weights.npz", "model.tflite", "model"])
def test_other_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    error = refusal(path)
    assert error.code == "model_format"
    assert "this version reads .keras" in error.message


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.keras").code == "model_not_found"
    folder = tmp_path / "folder.keras"
    folder.mkdir()
    assert refusal(folder).code == "model_unreadable"


def test_hdf5_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "renamed.keras"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    error = refusal(path)
    assert "HDF5" in error.message
    assert "model.save" in error.remedy


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04" + bytes(50)])
def test_no_zip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    assert refusal(path).code == "model_damaged"


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_truncated_zip(tmp_path: Path, cut: int) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM")), weights=bytes(500))
    path.write_bytes(path.read_bytes()[:-cut])
    assert refusal(path).code == "model_damaged"


def test_damaged_weights(tmp_path: Path) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM")), weights=b"w" * 500)
    path.write_bytes(path.read_bytes().replace(b"w" * 500, b"v" * 500))
    assert "model.weights.h5 is damaged" in refusal(path).message


def test_zip_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "it has no config.json" in refusal(path).message


@pytest.mark.parametrize("config", ["{", "[]", "{}", '{"config": []}', b"\xff\xfe\xfa", "[" * 100_000])
def test_config_that_describes_no_model(tmp_path: Path, config: str | bytes) -> None:
    assert refusal(keras_file(tmp_path, config)).code == "model_damaged"


def test_small_file_with_a_huge_config(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(MAX_CONFIG_BYTES + 1))
    assert "larger than" in refusal(path).message


def test_small_file_that_unpacks_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.oracle.model_file.MAX_UNPACKED_BYTES", 1000)
    assert "unpacks to more" in refusal(keras_file(tmp_path, sequential(layer("LSTM")), weights=bytes(1000))).message


@pytest.mark.parametrize(("version", "good"), [("2.15.0", False), ("3.0.0", True), ("3.15.1", True), ("4.0", True)])
def test_files_of_keras_2_have_another_hard_sigmoid(tmp_path: Path, version: str, good: bool) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM")))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
    if good:
        check_model_file(path)
    else:
        assert f"written by Keras {version}" in refusal(path).message


@pytest.mark.parametrize(
    ("class_name", "remedy"),
    [
        ("Lambda", "never run"),
        ("Masking", "`mask`"),
        ("TimeDistributed", "every step by themselves"),
        ("Embedding", "embedded vectors"),
        ("BatchNormalization", "Fold"),
        ("GRU", "LSTM, Dense"),
        ("Bidirectional", "LSTM, Dense"),
        ("RNN", "LSTM, Dense"),
        ("Conv1D", "LSTM, Dense"),
    ],
)
def test_layers_of_keras_that_are_not_run(tmp_path: Path, class_name: str, remedy: str) -> None:
    error = refusal(keras_file(tmp_path, sequential(layer("LSTM"), layer(class_name))))
    assert error.code == "layer_not_supported"
    assert f"'{class_name.lower()}' is a {class_name}" in error.message
    assert remedy in error.remedy


def test_layers_inside_a_model_inside_the_model(tmp_path: Path) -> None:
    inner = sequential(layer("LSTM"), layer("GRU"))
    assert "GRU" in refusal(keras_file(tmp_path, sequential(inner))).message


def lstm_with(activation: Any) -> Any:
    return sequential(layer("LSTM", activation=activation))


FUNCTION = {"module": "builtins", "class_name": "function", "config": "swish2", "registered_name": "function"}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (layer("MyModel", None, "Mine>MyModel", layers=[]), "Mine>MyModel"),
        (layer("Model", "keras", layers=[]), "Model"),
        (sequential(layer("MyLayer", None, "Mine>MyLayer")), "Mine>MyLayer"),
        (sequential(layer("LSTM", "os")), "LSTM"),
        (sequential(layer("LSTM", "kerasevil.layers")), "LSTM"),
        (lstm_with(FUNCTION), "swish2"),
        (lstm_with({**FUNCTION, "module": "keras.utils", "config": "get_file"}), "get_file"),
        (lstm_with({"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}), "__lambda__"),
        (lstm_with({"module": "os", "class_name": "system", "config": "true"}), "system"),
        (lstm_with([{"deep": {"module": "mine", "class_name": "Act", "config": {}}}]), "Act"),
    ],
)
def test_custom_code_is_never_run(tmp_path: Path, config: Any, name: str) -> None:
    error = refusal(keras_file(tmp_path, config))
    assert error.code == "custom_object"
    assert name in error.message


def test_the_keras_2_hard_sigmoid_is_known(tmp_path: Path) -> None:
    check_model_file(keras_file(tmp_path, lstm_with({**FUNCTION, "config": "lstm_hil>hard_sigmoid_keras2"})))
