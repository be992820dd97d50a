"""What is refused before Keras is imported, so that no hostile file reaches it."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from harness.errors import ModelRefused
from harness.oracle.model_file import MAX_CONFIG_BYTES, check_model_file
from harness.oracle.runtime import KERAS_2, KERAS_3

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


@cache
def some_weights() -> bytes:
    """HDF5 with an array large enough for every model here."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["layers/lstm/cell/vars/0"] = np.zeros((3, 12), np.float32)
    return memory.getvalue()


def keras_file(folder: Path, config: Any, weights: bytes | None = None) -> Path:
    weights = some_weights() if weights is None else weights
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
    assert len(check_model_file(path).sha256) == 64


def test_this_module_needs_no_keras() -> None:
    code = "import sys, harness.oracle.load, harness.oracle.keras_oracle; assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("name", ["model.pb", "model.tflite", "model"])
def test_other_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    error = refusal(path)
    assert error.code == "model_format"
    assert ".keras, .h5, .hdf5 and .npz are read" in error.message


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
    assert "renamed.h5" in error.remedy


def test_a_zip_under_the_name_of_hdf5(tmp_path: Path) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM"))).rename(tmp_path / "renamed.h5")
    error = refusal(path)
    assert error.code == "model_format"
    assert "renamed.keras" in error.remedy


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
    path = keras_file(tmp_path, sequential(layer("LSTM")))
    content = path.read_bytes()
    path.write_bytes(content.replace(some_weights(), some_weights()[:-1] + b"v"))
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
    monkeypatch.setattr("harness.oracle.model_file.MAX_FILE_BYTES", 4000)
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(sequential(layer("LSTM"))))
        archive.writestr("model.weights.h5", bytes(4000))
    assert "unpacks to more" in refusal(path).message


@pytest.mark.parametrize(
    ("version", "oracle"),
    [
        (None, KERAS_3),
        ("2.13.1", KERAS_2),
        ("2.3.0-tf", KERAS_2),
        ("3.0.0", KERAS_3),
        ("3.15.1", KERAS_3),
        ("4.0", KERAS_3),
    ],
)
def test_the_oracle_is_the_keras_that_wrote_the_file(tmp_path: Path, version: str | None, oracle: str) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM")))
    if version is not None:
        add_version(path, version)
    assert check_model_file(path).keras == oracle


@pytest.mark.parametrize(
    ("version", "code", "message"),
    [("1.2.2", "model_format", "written by Keras 1.2.2"), ("banana", "model_damaged", "no version")],
)
def test_files_of_no_keras_that_is_known(tmp_path: Path, version: str, code: str, message: str) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM")))
    add_version(path, version)
    error = refusal(path)
    assert error.code == code
    assert message in error.message


def add_version(path: Path, version: str) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))


@pytest.mark.parametrize(
    ("class_name", "remedy"),
    [
        ("Lambda", "never run"),
        ("Embedding", "embedded vectors"),
        ("GRU", "LSTM, Bidirectional"),
        ("CuDNNLSTM", "recurrent_activation='sigmoid'"),
        ("RNN", "LSTM, Bidirectional"),
        ("Conv1D", "LSTM, Bidirectional"),
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


@pytest.mark.parametrize(
    "where",
    [
        {"inbound_nodes": [{"args": [{"module": "mine", "class_name": "Act", "config": {}}]}]},
        {"build_config": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
    ],
    ids=["call", "build"],
)
def test_custom_code_beside_the_configuration(tmp_path: Path, where: dict[str, Any]) -> None:
    assert refusal(keras_file(tmp_path, sequential({**layer("LSTM"), **where}))).code == "custom_object"


def test_a_layer_as_an_activation(tmp_path: Path) -> None:
    error = refusal(keras_file(tmp_path, lstm_with(layer("Lambda"))))
    assert error.code == "option_not_supported"
    assert "'lstm' has a Lambda in its configuration" in error.message


@pytest.mark.parametrize(
    "config",
    [
        sequential(layer("LSTM", units=10**9)),
        sequential(layer("Dense", units=10**9)),
        sequential(layer("LSTM", batch_input_shape=[None, 10**9, 3])),
        sequential(layer("LSTM", batch_shape=[10**9, None, 3])),
        sequential(layer("LSTM", batch_shape=[None, 5000, 3], unroll=True)),
    ],
    ids=["units", "dense", "steps", "batch", "unrolled"],
)
def test_sizes_that_ask_for_much_memory_or_time(tmp_path: Path, config: Any) -> None:
    assert refusal(keras_file(tmp_path, config)).code == "option_not_supported"


def test_more_units_than_there_are_weights(tmp_path: Path) -> None:
    error = refusal(keras_file(tmp_path, sequential(layer("LSTM", units=2000))))
    assert error.code == "model_damaged"
    assert "16000000 weights" in error.message


def test_containers_nested_without_end(tmp_path: Path) -> None:
    before, after = json.dumps(sequential("here")).split('"here"')
    config = 300 * before + json.dumps(layer("LSTM")) + 300 * after
    assert refusal(keras_file(tmp_path, config)).code == "model_damaged"


def test_the_keras_2_hard_sigmoid_is_known(tmp_path: Path) -> None:
    check_model_file(keras_file(tmp_path, lstm_with({**FUNCTION, "config": "lstm_hil>hard_sigmoid_keras2"})))


OPERATION = {"module": "keras.src.ops.numpy", "class_name": "GetItem", "registered_name": "GetItem"}


def test_beside_one_lstm_every_layer_of_keras_may_be_there(tmp_path: Path) -> None:
    around = [
        layer("Conv1D", activation="relu"),
        layer("Embedding"),
        layer("Bidirectional", layer=layer("GRU", units=1)),
        layer("RNN", cell=layer("LSTMCell", units=3)),
        {**OPERATION, "config": {"name": "get_item"}},
    ]
    for one in around:
        path = keras_file(tmp_path, sequential(layer("LSTM", units=1), one))
        refusal(path)
        check_model_file(path, any_layer=True)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (layer("Lambda"), "'lambda' is a Lambda"),
        (layer("TFSMLayer", filepath="/tmp/model"), "is a TFSMLayer"),
        (layer("TorchModuleWrapper"), "is a TorchModuleWrapper"),
        (layer("TimeDistributed", layer=layer("Lambda")), "has a Lambda"),
        (sequential(layer("Lambda")), "is a Lambda"),
        (layer("MyLayer", None, "Mine>MyLayer"), "Mine>MyLayer"),
        (layer("system", "os"), "the class system"),
        (layer("NoLayerOfKeras"), "is a NoLayerOfKeras"),
        ({**OPERATION, "module": "os", "config": {"name": "op"}}, "the class GetItem"),
        ({**OPERATION, "module": "keras.src.utils.file_utils", "config": {"name": "op"}}, "is a GetItem"),
        (layer("Conv1D", activation={"module": "mine", "class_name": "function", "config": "f"}), "the function f"),
        (layer("StringLookup", vocabulary="/etc/passwd"), "the name of a file"),
        (layer("Dense", units=10**9), "units=1000000000"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value["class_name"],
)
def test_beside_one_lstm_nothing_that_runs_code_from_elsewhere(tmp_path: Path, one: Any, says: str) -> None:
    path = keras_file(tmp_path, sequential(layer("LSTM", units=3), one))
    with pytest.raises(ModelRefused) as caught:
        check_model_file(path, any_layer=True)
    assert says in caught.value.message
    assert "--layer" not in caught.value.remedy


def test_the_offer_names_the_lstms_of_the_file(tmp_path: Path) -> None:
    inner = sequential({**layer("LSTM", units=2), "config": {"name": "inside", "units": 2}})
    both = {**layer("Bidirectional", layer=layer("LSTM", units=2)), "config": {"name": "both", "layer": layer("LSTM")}}
    path = keras_file(tmp_path, sequential(layer("GRU"), layer("LSTM", units=2), inner, both))
    for name in ("lstm", "inside", "both.forward", "both.backward"):
        assert f"--layer {name}" in refusal(path).remedy
    hidden = keras_file(tmp_path, sequential(layer("GRU"), layer("LSTM", units=2), sequential(layer("Lambda"))))
    assert "--layer" not in refusal(hidden).remedy
    assert "--layer" not in refusal(keras_file(tmp_path, sequential(layer("GRU")))).remedy


@pytest.mark.parametrize("number", [errno.EFBIG, errno.EMFILE, errno.ENOSPC])
def test_what_the_machine_lacks_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = keras_file(tmp_path, sequential(layer("LSTM", units=3)))
    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.raises(OSError, match=os.strerror(number)):
        check_model_file(path)
    monkeypatch.setattr(Path, "open", no_room)
    with pytest.raises(OSError, match=os.strerror(number)):
        check_model_file(path)


def test_the_offer_leaves_out_what_is_called_twice(tmp_path: Path) -> None:
    def named(name: str, calls: int, inner: Any) -> Any:
        return {**inner, "config": {**inner["config"], "name": name}, "inbound_nodes": [{}] * calls}

    lstm = layer("LSTM", units=2)
    both = layer("Bidirectional", layer=lstm)
    inside = sequential(named("inside", 1, lstm))
    parts = [named("once", 1, lstm), named("twice", 2, lstm), named("both", 2, both), named("model", 2, inside)]
    remedy = refusal(keras_file(tmp_path, sequential(layer("GRU"), *parts))).remedy
    assert remedy.endswith("`hil validate MODEL` with --layer once"), "hil fit offers it too, and has no such option"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "p.keras"
    os.mkfifo(pipe)
    error = refusal(pipe)
    assert error.code == "model_unreadable"
    assert error.message == f"{pipe} cannot be read: it is no regular file."
