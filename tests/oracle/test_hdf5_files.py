"""HDF5 models: what is refused before Keras sees it, and that no file whatever does more than be refused."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.errors import ModelRefused
from harness.oracle import hdf5_file, hdf5_reader
from harness.oracle.hdf5_file import BadHdf5, read_hdf5
from harness.oracle.model_file import check_model_file
from harness.oracle.runtime import KERAS_2, KERAS_3
from hdf5_files import keras_2_file, lstm_config, sequential_config
from patience import PATIENCE_S


def refusal(path: Path) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        check_model_file(path)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("version", "oracle"), [("2.2.4-tf", KERAS_2), ("2.15.0", KERAS_2), (None, KERAS_2), ("3.4.1", KERAS_3)]
)
def test_the_oracle_is_the_keras_that_wrote_the_file(tmp_path: Path, version: str | None, oracle: str) -> None:
    for name in ("model.h5", "model.hdf5"):
        assert check_model_file(keras_2_file(tmp_path / name, version=version)).keras == oracle


def test_what_a_file_holds(tmp_path: Path) -> None:
    held = read_hdf5(keras_2_file(tmp_path / "model.h5"))
    names = [f"model_weights/lstm_1/lstm_1/{name}:0" for name in ("kernel", "recurrent_kernel", "bias")]
    assert held.layers == [("lstm_1", names)]
    assert {name: held.arrays[name] for name in names} == {
        names[0]: ((3, 8), "float32"),
        names[1]: ((2, 8), "float32"),
        names[2]: ((8,), "float32"),
    }
    assert (held.texts["keras_version"], held.texts["backend"]) == ("2.2.4", "tensorflow")


def test_names_that_keras_cuts_into_several_attributes(tmp_path: Path) -> None:
    def cut(file: h5py.File) -> None:
        names = file["model_weights/lstm_1"].attrs
        first, second, third = names["weight_names"]
        del names["weight_names"]
        names["weight_names0"], names["weight_names1"] = [first, second], [third]

    ((_, weights),) = read_hdf5(keras_2_file(tmp_path / "model.h5", change=cut)).layers or ()
    assert len(weights) == 3


def test_older_descriptions(tmp_path: Path) -> None:
    layers = [lstm_config(batch_input_shape={"class_name": "__tuple__", "items": [None, None, 3]})]
    functional = {"class_name": "Model", "config": {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]]}}
    for config in ({"class_name": "Sequential", "config": layers}, functional):
        assert check_model_file(keras_2_file(tmp_path / "model.h5", config)).keras == KERAS_2


@pytest.mark.parametrize("depth", [0, 1])
def test_weights_without_a_model(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        if depth:
            file["layers/lstm/cell/vars/0"] = np.zeros((3, 8), np.float32)
        else:
            file.attrs["layer_names"] = np.array([], "S1")
    error = refusal(path)
    assert error.code == "weights_only"
    assert f"--weights {path}" in error.remedy


def test_hdf5_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    error = refusal(path)
    assert error.code == "model_format"
    assert "no attribute model_config" in error.message


def with_external_link(file: h5py.File) -> None:
    file["more"] = h5py.ExternalLink("/etc/other.h5", "/")


def with_soft_link(file: h5py.File) -> None:
    file["more"] = h5py.SoftLink("/model_weights")


def with_cycle(file: h5py.File) -> None:
    file["model_weights/lstm_1/again"] = file["model_weights"]


def with_external_values(file: h5py.File) -> None:
    file.create_dataset("outside", (4,), np.float32, external=[("/etc/hostname", 0, 16)])


def with_virtual_values(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (4,))
    file.create_virtual_dataset("virtual", layout)


def with_a_huge_shape(file: h5py.File) -> None:
    file.create_dataset("huge", (1 << 40,), np.float32)


def with_values_never_written(file: h5py.File) -> None:
    file.create_dataset("empty", (1000,), np.float32)


def with_a_bomb(file: h5py.File) -> None:
    file.create_dataset("bomb", (70 << 20,), np.float32, chunks=(1 << 20,), compression="gzip")


def with_a_chunk_of_a_bomb(file: h5py.File) -> None:
    bomb = file.create_dataset("bomb", (60 << 20,), np.float32, chunks=(1 << 20,), compression="gzip")
    bomb[0] = 1


def with_objects(file: h5py.File) -> None:
    file.create_dataset("objects", (1,), h5py.string_dtype())[0] = b"cos\nsystem\n(S'true'\ntR."


def with_lzf(file: h5py.File) -> None:
    file.create_dataset("lzf", data=np.zeros(1000, np.float32), compression="lzf")


def with_an_opaque_attribute(file: h5py.File) -> None:
    file.attrs["pickled"] = np.void(b"cos\nsystem\n(S'true'\ntR.")


def with_a_reference(file: h5py.File) -> None:
    file.attrs["reference"] = file["model_weights"].ref


def with_a_type(file: h5py.File) -> None:
    file["type"] = np.dtype(np.float32)


def with_deep_groups(file: h5py.File) -> None:
    file.create_group("/".join("abcdefgh" * 8))


def with_many_groups(file: h5py.File) -> None:
    for index in range(hdf5_reader.MAX_OBJECTS + 1):
        file.create_group(f"group{index}")


def with_no_text(file: h5py.File) -> None:
    file.attrs["model_config"] = np.zeros(3)


def with_missing_group(file: h5py.File) -> None:
    del file["model_weights/lstm_1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_external_link, "'more' is a link to somewhere else"),
        (with_soft_link, "'more' is a link to somewhere else"),
        (with_cycle, "is in it twice"),
        (with_external_values, "the values of 'outside' are in another file"),
        (with_virtual_values, "the values of 'virtual' are in another file"),
        (with_a_huge_shape, "more than 268435456 bytes"),
        (with_values_never_written, "has the shape (1000,), and 0 bytes"),
        (with_a_bomb, "more than 268435456 bytes"),
        (with_a_chunk_of_a_bomb, "bytes of values"),
        (with_objects, "no array of numbers"),
        (with_lzf, "compressed by something else"),
        (with_an_opaque_attribute, "'@pickled' is"),
        (with_a_reference, "'@reference' is"),
        (with_a_type, "neither a group nor an array"),
        (with_deep_groups, "nested more than"),
        (with_many_groups, "more than 10000 objects"),
        (with_no_text, "should be text"),
        (with_missing_group, "lstm_1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_keras_never_writes(tmp_path: Path, change: Callable[[h5py.File], None], message: str) -> None:
    error = refusal(keras_2_file(tmp_path / "model.h5", change=change))
    assert error.code == "model_damaged"
    assert message in error.message


def test_compressed_weights_are_read(tmp_path: Path) -> None:
    def compress(file: h5py.File) -> None:
        group = file["model_weights/lstm_1/lstm_1"]
        values = group["kernel:0"][()]
        del group["kernel:0"]
        group.create_dataset("kernel:0", data=values, compression="gzip", shuffle=True, fletcher32=True)

    check_model_file(keras_2_file(tmp_path / "model.h5", change=compress))


@pytest.mark.parametrize(
    ("config", "code", "name"),
    [
        (sequential_config({"class_name": "Lambda", "config": {"name": "evil"}}), "layer_not_supported", "Lambda"),
        (sequential_config({"class_name": "CuDNNLSTM", "config": {"name": "c"}}), "layer_not_supported", "CuDNNLSTM"),
        (sequential_config({"class_name": "Mine>Layer", "config": {"name": "c"}}), "layer_not_supported", "Mine>Layer"),
        (
            sequential_config(lstm_config(activation={"class_name": "Lambda", "config": {}})),
            "option_not_supported",
            "Lambda",
        ),
        (sequential_config(lstm_config(activation={"class_name": "__lambda__"})), "custom_object", "__lambda__"),
        (
            sequential_config(lstm_config(activation={"module": "os", "class_name": "system", "config": "true"})),
            "custom_object",
            "system",
        ),
        (
            sequential_config(lstm_config(activation={"class_name": "function", "config": "swish2"})),
            "custom_object",
            "swish2",
        ),
        ({"class_name": "MyModel", "config": {"layers": []}}, "custom_object", "MyModel"),
        ([], "model_damaged", "no model"),
        ({"class_name": "Sequential", "config": "text"}, "model_damaged", "no model"),
    ],
)  # fmt: skip
def test_descriptions_that_are_refused(tmp_path: Path, config: Any, code: str, name: str) -> None:
    error = refusal(keras_2_file(tmp_path / "model.h5", config))
    assert error.code == code
    assert name in error.message


def test_a_description_that_is_no_json(tmp_path: Path) -> None:
    for text in ("", "{", "[" * 100_000):

        def change(file: h5py.File, text: str = text) -> None:
            file.attrs["model_config"] = text

        assert refusal(keras_2_file(tmp_path / "model.h5", change=change)).code == "model_damaged"


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.oracle.model_file.MAX_FILE_BYTES", 1000)
    assert refusal(keras_2_file(tmp_path / "model.h5")).code == "model_too_large"


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_no_hdf5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    assert refusal(path).code == "model_damaged"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keras_2_file(tmp_path_factory.mktemp("good") / "model.h5")


def checked(good: Path, content: bytes) -> None:
    """The content is a model, or it is refused."""
    path = good.with_name("other.h5")
    path.write_bytes(content)
    with suppress(ModelRefused):
        assert check_model_file(path).content == content


fuzzing = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzzing
@given(flips=st.lists(st.integers(0, 8 * 10_000 - 1), min_size=1, max_size=4))
def test_flipped_bits(good: Path, flips: list[int]) -> None:
    content = bytearray(good.read_bytes())
    for flip in flips:
        content[flip // 8 % len(content)] ^= 1 << flip % 8
    checked(good, bytes(content))


@fuzzing
@given(length=st.integers(0, 20_000))
@example(length=0)
def test_cut_files(good: Path, length: int) -> None:
    content = good.read_bytes()
    checked(good, content[: length % len(content)])


class Crashing:
    """A reader's process that ends, or that says nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        self._real = subprocess.Popen
        self._code = code
        monkeypatch.setattr(subprocess, "Popen", self)

    def __call__(self, command: list[str], **options: Any) -> Any:
        return self._real([command[0], "-c", self._code], **options)


@pytest.mark.parametrize(
    ("code", "timeout_s", "message"),
    [
        ("import os, signal; input(); os.kill(os.getpid(), signal.SIGSEGV)", PATIENCE_S, "crashes"),
        (f"import time; input(); time.sleep({2 * PATIENCE_S})", 0.5, "does not end"),
    ],
    ids=["crash", "hang"],
)
def test_a_reader_that_does_not_survive(
    good: Path, monkeypatch: pytest.MonkeyPatch, code: str, timeout_s: float, message: str
) -> None:
    hdf5_file._end()
    with monkeypatch.context() as patch:
        Crashing(patch, code)
        patch.setattr(hdf5_file, "READ_TIMEOUT_S", timeout_s)
        start_s = time.monotonic()
        with pytest.raises(BadHdf5, match=message):
            read_hdf5(good)
        assert time.monotonic() - start_s < PATIENCE_S
    assert json.loads(read_hdf5(good).texts["model_config"])  # by another process
