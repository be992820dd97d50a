"""Golden files that somebody damaged or made up: a typed error, never anything else, and nothing is unpickled."""

from __future__ import annotations

import copy
import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import networks
from goldens import OLD, PATH, head_of, members_of, npy_of, small_file, with_head, zipped
from harness.errors import HilError, ModelRefused
from harness.golden.container import MAX_FILE_BYTES
from harness.golden.file import golden_from_bytes, read_golden
from harness.golden.spec_check import check_spec, check_work
from harness.model.inputs import random_inputs

SMALL = small_file()
OLD_BYTES = OLD.read_bytes()
SHA256 = golden_from_bytes(SMALL, PATH).sha256


def refusal(content: bytes) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        golden_from_bytes(content, PATH)
    assert caught.value.remedy
    return caught.value


def typed_or_none(content: bytes) -> None:
    """Reads a file, or gets an error that says what to do."""
    try:
        golden_from_bytes(content, PATH)
    except HilError as caught:
        error = caught
    else:
        return
    assert error.remedy
    assert error.code


@given(st.binary(max_size=300))
@example(b"")
@example(b"PK\5\6" + bytes(18))
def test_bytes_of_something_else(content: bytes) -> None:
    assert refusal(content).code == "golden_damaged"


@given(st.integers(0, len(SMALL) - 1))
def test_a_file_that_is_cut(length: int) -> None:
    assert refusal(SMALL[:length]).code == "golden_damaged"


@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_changed_byte_is_refused_or_is_none_of_the_golden(place: int, change: int) -> None:
    content = bytearray(SMALL)
    content[place] ^= change
    with suppress(ModelRefused):
        assert golden_from_bytes(bytes(content), PATH).sha256 == SHA256, "the zip's dates and rights are no part of it"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**300),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a head."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


OLD_HEAD = head_of(OLD_BYTES)
PLACES = [place for place in places(OLD_HEAD) if place]


@given(st.sampled_from(PLACES), ANY_JSON)
@example(("model", "spec", "nodes", 3, "source", "repeat"), 1 << 20)
@example(("model", "spec", "nodes", 3, "source", "rows"), 0)
@example(("model", "spec", "nodes", 4, "sources", 0, "node"), 4)
@example(("model", "spec", "nodes", 0, "activation"), "softmax")
@example(("model", "spec", "name"), "\x1b[2J")
@example(("model", "spec", "input_size"), 10**9)
@example(("model", "spec", "steps"), 1 << 62)
@example(("tensors", "output", "atol"), -1.0)
@example(("tensors", "output", "max_abs_to_float64"), "NaN")
@settings(max_examples=400)
def test_any_head_with_right_hashes_is_a_golden_or_a_typed_error(place: tuple[Any, ...], value: Any) -> None:
    head = copy.deepcopy(OLD_HEAD)
    parent = head
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    typed_or_none(with_head(OLD_BYTES, head))


@given(st.sampled_from(PLACES))
@settings(max_examples=100)
def test_a_head_that_lacks_something(place: tuple[Any, ...]) -> None:
    head = copy.deepcopy(OLD_HEAD)
    parent = head
    for key in place[:-1]:
        parent = parent[key]
    del parent[place[-1]]
    typed_or_none(with_head(OLD_BYTES, head))


@given(
    st.sampled_from([name for name in members_of(SMALL) if name.endswith(".npy")]),
    st.sampled_from(["<f4", ">f4", "<f8", "<f2", "|b1", "<i8", "<U3", "V4"]),
    st.lists(st.integers(0, 4), max_size=4),
)
@settings(max_examples=150)
def test_any_array_with_right_hashes(name: str, dtype: str, shape: list[int]) -> None:
    head, array = head_of(SMALL), np.zeros(shape, dtype=dtype)
    head["arrays"][name.removesuffix(".npy")].update(dtype=array.dtype.str, shape=shape)
    typed_or_none(with_head(SMALL, head, **{name: npy_of(array)}))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("evil"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = npy_of(np.array([Evil()], dtype=object), allow_pickle=True)
    assert not (tmp_path / "evil").exists()
    head = head_of(SMALL)
    head["arrays"]["input.x"].update(dtype="|O", shape=[1])
    assert refusal(with_head(SMALL, head, **{"input.x.npy": array})).code == "golden_damaged"
    refusal(with_head(SMALL, head, **{"input.x.npy": pickle.dumps(Evil())}))
    refusal(pickle.dumps(Evil()))
    assert not (tmp_path / "evil").exists()


def test_a_compressed_file_is_refused_before_it_is_unpacked() -> None:
    bomb = {**members_of(SMALL), "input.x.npy": npy_of(np.zeros(50_000_000, np.float32))}
    content = zipped(bomb, zipfile.ZIP_DEFLATED)
    assert len(content) < 500_000
    assert "compressed" in refusal(content).message


def test_a_header_that_asks_for_much_memory_is_refused() -> None:
    head = head_of(SMALL)
    header = npy_of(np.zeros(3, np.float32)).replace(b"(3,), }        ", b"(300000000000,), }"[:18])
    head["arrays"]["input.x"]["shape"] = [300000000000]
    assert "bytes" in refusal(with_head(SMALL, head, **{"input.x.npy": header})).message


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "C:\\evil", "input.y.npy", "golden.json/"])
def test_parts_by_other_names_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "part" in refusal(zipped({**members_of(SMALL), name: b"evil"})).message
    assert not list(tmp_path.iterdir())


def test_a_part_twice_is_refused() -> None:
    file = io.BytesIO(SMALL)
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("golden.json", b"{}")
    assert "twice" in refusal(file.getvalue()).message


def test_many_parts_are_refused_before_they_are_listed() -> None:
    assert "more parts" in refusal(zipped({f"{number}.npy": b"" for number in range(2000)})).message


def test_a_hash_that_is_not_right_is_told() -> None:
    members = members_of(SMALL)
    x = bytearray(members["input.x.npy"])
    x[-1] ^= 1
    assert "'input.x'" in refusal(zipped({**members, "input.x.npy": bytes(x)})).message
    assert "SHA-256" in refusal(zipped({**members, "golden.json.sha256": b"0" * 64})).message
    head = members["golden.json"].replace(b"some.keras", b"else.keras")
    assert "SHA-256" in refusal(zipped({**members, "golden.json": head})).message


def test_other_inputs_with_right_hashes_are_told() -> None:
    head = head_of(SMALL)
    x = golden_from_bytes(SMALL, PATH).inputs.x + np.float32(1)
    assert "inputs are not" in refusal(with_head(SMALL, head, **{"input.x.npy": npy_of(x)})).message


def test_a_run_that_would_take_much_memory_is_refused() -> None:
    """A few bytes can ask for a vector to be repeated a million times."""
    spec = networks.encoder_decoder(1 << 20)
    check_spec(spec)
    with pytest.raises(ValueError, match="numbers at once"):
        check_work(spec, random_inputs(spec, 8, 2))
    check_work(networks.encoder_decoder(7), random_inputs(spec, 8, 2))


def test_a_file_beyond_all_sizes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.golden"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ModelRefused) as caught:
        read_golden(path)
    assert caught.value.code == "golden_too_large"
