"""Inputs of whole models, of which one LSTM is validated: from a file, at random, and every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import InputsRefused
from harness.model.whole import InputSpec, load_whole_inputs, random_whole_inputs

TOKENS = InputSpec("tokens", (None, None), "int32", 7)
IMAGE = InputSpec("image", (None, 4, 5, 1), "float32")
VALID = InputSpec("valid", (None, None), "bool")
BOTH = (TOKENS, IMAGE, VALID)


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "inputs.npz"
    np.savez(path, **arrays)
    return path


def good() -> dict[str, Any]:
    return {"tokens": np.ones((2, 3), np.int64), "image": np.ones((2, 4, 5, 1)), "valid": np.ones((2, 3), bool)}


def test_random_values_are_of_each_inputs_kind() -> None:
    got = random_whole_inputs(BOTH, batch=50, steps=6, seed=3).arrays
    assert {name: (str(array.dtype), array.shape) for name, array in got.items()} == {
        "tokens": ("int32", (50, 6)), "image": ("float32", (50, 4, 5, 1)), "valid": ("bool", (50, 6)),
    }  # fmt: skip
    assert set(np.unique(got["tokens"])) == set(range(7))
    assert got["valid"].all()
    assert 0.9 < got["image"].std() < 1.1
    again, other = (random_whole_inputs(BOTH, batch=50, steps=6, seed=seed) for seed in (3, 4))
    assert again.sha256 == random_whole_inputs(BOTH, 50, 6, 3).sha256 != other.sha256


def test_sizes_that_the_model_fixes() -> None:
    assert random_whole_inputs([TOKENS]).arrays["tokens"].shape == (8, 16)
    assert random_whole_inputs([InputSpec("x", (3, 5, 2), "float32")]).arrays["x"].shape == (3, 5, 2)


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec("ids", (None, 3), "int32"),
        InputSpec("words", (None,), "string"),
        InputSpec("open", (None, 3, None), "float32"),
        InputSpec("wave", (None, 3), "complex64"),
    ],
)
def test_inputs_that_cannot_be_made_up(spec: InputSpec) -> None:
    with pytest.raises(InputsRefused, match=f"'{spec.name}'") as caught:
        random_whole_inputs([TOKENS, spec])
    assert "--inputs" in caught.value.remedy


def test_a_file_with_every_input(tmp_path: Path) -> None:
    got = load_whole_inputs(save(tmp_path, **good()), BOTH)
    assert {name: str(array.dtype) for name, array in got.arrays.items()} == {
        "tokens": "int32", "image": "float32", "valid": "bool",
    }  # fmt: skip
    assert got.notes == (
        "'tokens' was int64 and is cast to int32",
        "'image' was float64 and is cast to float32",
    )
    assert (got.mask, got.reset_before, got.seed) == (None, None, None)


def test_a_single_input_may_be_x_and_have_a_mask(tmp_path: Path) -> None:
    tokens = np.ones((2, 3), np.int32)
    got = load_whole_inputs(save(tmp_path, x=tokens, mask=tokens > 0), [TOKENS])
    np.testing.assert_array_equal(got.arrays["tokens"], tokens)
    assert got.mask is not None


def test_calls(tmp_path: Path) -> None:
    calls, resets = np.ones((4, 2, 3), np.int32), np.array([False, True, False, False])
    got = load_whole_inputs(save(tmp_path, x_calls=calls, reset_before=resets), [TOKENS])
    assert [is_fresh for is_fresh, _ in got.each_call()] == [True, True, False, False]
    assert all(call.arrays["tokens"].shape == (2, 3) for _, call in got.each_call())


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"tokens": None}, "inputs_missing", "no array 'tokens'"),
        ({"tokens": np.ones((2, 3))}, "inputs_dtype", "the model takes int32"),
        ({"tokens": np.full((2, 3), 2**40)}, "inputs_range", "int64 values that int32 does not have"),
        ({"tokens": np.ones((2, 3, 1), np.int32)}, "inputs_shape", "'tokens'"),
        ({"image": np.ones((2, 4, 6, 1))}, "inputs_shape", "axis 2 = 5"),
        ({"image": np.ones((2, 4, 5, 1), complex)}, "inputs_dtype", "'image'"),
        ({"image": np.ones((3, 4, 5, 1))}, "inputs_shape", "batches of different sizes"),
        ({"valid": np.ones((2, 3))}, "inputs_dtype", "not bool"),
        ({"other": np.ones(2)}, "inputs_unknown", "'other'"),
        ({"mask": np.ones((2, 3), bool)}, "inputs_unknown", "'mask'"),
        ({"x_calls": np.ones((2, 2, 3))}, "inputs_unknown", "'x_calls'"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], code: str, says: str) -> None:
    arrays = {name: array for name, array in {**good(), **changes}.items() if array is not None}
    with pytest.raises(InputsRefused) as caught:
        load_whole_inputs(save(tmp_path, **arrays), BOTH)
    assert caught.value.code == code
    assert says in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"x": np.ones((2, 3), np.int32), "mask": np.ones((2, 4), bool)}, "inputs_shape"),
        ({"x": np.ones((2, 3), np.int32), "mask": np.ones((2, 3))}, "inputs_dtype"),
        ({"x": np.ones((2, 3), np.int32), "reset_before": np.ones(2, bool)}, "inputs_unknown"),
        ({"x_calls": np.ones((2, 3), np.int32)}, "inputs_shape"),
        ({"x_calls": np.ones((2, 2, 3), np.int32), "reset_before": np.ones(3, bool)}, "inputs_shape"),
        ({"x_calls": np.ones((2, 2, 3), np.int32), "x": np.ones((2, 3), np.int32)}, "inputs_unknown"),
    ],
)
def test_single_inputs_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], code: str) -> None:
    with pytest.raises(InputsRefused) as caught:
        load_whole_inputs(save(tmp_path, **arrays), [TOKENS])
    assert caught.value.code == code
