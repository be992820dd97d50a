"""The oracle's cache: the same answer without TensorFlow, and never a stale one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

import seeds
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.model.store import spec_from_arrays, spec_to_arrays
from harness.oracle import cache
from harness.oracle.cache import Oracle
from keras_models import save_spec


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_spec(seeds.random_lstm(3, 4), tmp_path_factory.mktemp("model"))


def ask(oracle: Oracle, model: Path, seed: int = 0) -> cache.Answer:
    loaded = oracle.load(model)
    return oracle.answer(loaded, random_inputs(loaded.spec, 2, 5, seed))


def test_the_second_answer_is_the_first_one(model: Path, tmp_path: Path) -> None:
    first, second = (ask(Oracle(tmp_path), model) for _ in range(2))
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.max_abs_to_float64 == first.max_abs_to_float64
    assert second.expected.versions == first.expected.versions
    assert list(second.expected.tensors) == list(first.expected.tensors)
    for name, array in first.expected.tensors.items():
        assert second.expected.tensors[name].tobytes() == array.tobytes()
        assert second.expected.tensors[name].shape == array.shape


def test_an_answer_with_gates_is_another_one(model: Path, tmp_path: Path) -> None:
    oracle = Oracle(tmp_path)
    without = ask(oracle, model).expected.tensors
    loaded = oracle.load(model)
    inputs = random_inputs(loaded.spec, 2, 5)
    first, second = (oracle.answer(loaded, inputs, gates=True) for _ in range(2))
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.expected.tensors.keys() == without.keys() | {"lstm.z", "lstm.gates"}
    for name, array in first.expected.tensors.items():
        assert second.expected.tensors[name].tobytes() == array.tobytes()
    again = ask(oracle, model)
    assert again.from_cache
    assert again.expected.tensors.keys() == without.keys()


def test_the_second_run_imports_no_tensorflow(model: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from harness.model.inputs import random_inputs
from harness.oracle.cache import Oracle
oracle = Oracle(Path({str(tmp_path)!r}))
loaded = oracle.load(Path({str(model)!r}))
answer = oracle.answer(loaded, random_inputs(loaded.spec, 2, 5))
print(answer.from_cache, "tensorflow" in sys.modules, "keras" in sys.modules)
"""
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert said == [["False", "True", "True"], ["True", "False", "False"]]


def test_other_inputs_another_model_or_no_folder_are_asked_anew(model: Path, tmp_path: Path) -> None:
    oracle = Oracle(tmp_path / "cache")
    ask(oracle, model)
    assert not ask(oracle, model, seed=1).from_cache
    other = save_spec(replace(seeds.random_lstm(3, 4, seed=7), name="other"), tmp_path)
    assert not ask(oracle, other).from_cache
    assert not ask(Oracle(None), model).from_cache


@pytest.mark.parametrize("fact", ["versions", "sources", "settings", "keras_json", "processor", "python", "format"])
def test_everything_that_matters_is_in_the_key(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fact: str
) -> None:
    ask(Oracle(tmp_path), model)
    facts = cache.environment_facts()
    monkeypatch.setattr(cache, "environment_facts", lambda: {**facts, fact: "changed"})
    assert not ask(Oracle(tmp_path), model).from_cache


def test_the_facts_hold_the_settings_that_change_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    facts = cache.environment_facts()
    assert facts["settings"]["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert facts["versions"]["keras"][0] == "3"
    assert facts["versions"]["tensorflow"] != "none"


def test_a_damaged_answer_is_none(model: Path, tmp_path: Path) -> None:
    ask(Oracle(tmp_path), model)
    for damage in (lambda data: data[:-100], lambda data: b"", lambda data: data.replace(b"PK", b"KP")):
        for path in tmp_path.glob("*.npz"):
            path.write_bytes(damage(path.read_bytes()))
        assert not ask(Oracle(tmp_path), model).from_cache


def test_a_changed_value_is_noticed(model: Path, tmp_path: Path) -> None:
    ask(Oracle(tmp_path), model)
    for path in tmp_path.glob("*.npz"):
        with np.load(path) as stored:
            arrays = {name: stored[name].copy() for name in stored.files}
        for name, array in arrays.items():
            if name.startswith("tensor."):
                array.flat[0] += 1
        np.savez(path, **arrays)
    assert not ask(Oracle(tmp_path), model).from_cache


def test_old_answers_go(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_KEPT", 3)
    for seed in range(5):
        ask(Oracle(tmp_path), model, seed)
    assert len(list(tmp_path.glob("*"))) == 3


def test_answers_beyond_what_the_disk_may_hold_go(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(Oracle(tmp_path), model)
    size_bytes = sum(path.stat().st_size for path in tmp_path.glob("*"))
    monkeypatch.setattr(cache, "_KEPT_BYTES", 3 * size_bytes)
    for seed in range(1, 8):
        ask(Oracle(tmp_path), model, seed)
    assert size_bytes < sum(path.stat().st_size for path in tmp_path.glob("*")) <= 3 * size_bytes
    assert ask(Oracle(tmp_path), model, 7).from_cache


def test_a_folder_that_cannot_be_written_only_costs_time(model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert not ask(Oracle(blocked / "cache"), model).from_cache


def test_a_full_disk_only_costs_time_and_keeps_no_half_answer(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: IO[bytes], **_: object) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    assert Oracle(tmp_path).load(model).spec.input_size == 3
    assert list(tmp_path.iterdir()) == []


def test_specs_survive_their_file() -> None:
    stacked = seeds.rows_of_an_image()
    masked = seeds.random_lstm_node(2, 3, name="größe", masked=False, zero_output_for_mask=True, bias=None)
    for spec in (stacked, ModelSpec("m", "x", 2, 7, (masked,), (0,), mask_input="valid")):
        again = spec_from_arrays(spec_to_arrays(spec))
        assert (again.name, again.steps, again.outputs, again.mask_input) == (
            spec.name,
            spec.steps,
            spec.outputs,
            spec.mask_input,
        )
        for before, after in zip(spec.nodes, again.nodes, strict=True):
            assert type(before) is type(after)
            assert after.phase is before.phase
            for name, value in vars(before).items():
                np.testing.assert_array_equal(getattr(after, name), value)
        first = again.nodes[0]
        assert isinstance(first, LstmNode)
        assert os.fspath(Path(first.name)) == spec.nodes[0].name


def test_inputs_of_another_mask_are_other_inputs(model: Path, tmp_path: Path) -> None:
    oracle = Oracle(tmp_path)
    loaded = oracle.load(model)
    x = random_inputs(loaded.spec, 2, 5).x
    oracle.answer(loaded, Inputs(x=x))
    mask = np.ones((2, 5), np.bool_)
    assert not oracle.answer(loaded, Inputs(x=x, mask=mask)).from_cache
    mask = mask.copy()
    mask[0, 1] = False
    assert not oracle.answer(loaded, Inputs(x=x, mask=mask)).from_cache
