"""Inputs from a seed and from .npz files: what is taken, what is noted, and every refusal."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seeds
from harness.errors import InputsRefused
from harness.model.arrays import MAX_INPUT_BYTES
from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import load_inputs
from harness.model.spec import ModelSpec

SPEC = seeds.random_lstm(2, 3)
FIXED_STEPS = seeds.rows_of_an_image()


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "inputs.npz"
    np.savez(path, **arrays)
    return path


def refusal(path: Path, spec: Any = SPEC) -> InputsRefused:
    with pytest.raises(InputsRefused) as caught:
        load_inputs(path, spec)
    assert caught.value.remedy
    assert caught.value.code.startswith("inputs_")
    return caught.value


def test_the_same_seed_gives_the_same_bits() -> None:
    first, again, other = (random_inputs(SPEC, seed=seed) for seed in (7, 7, 8))
    assert first.x.dtype == np.float32
    assert first.x.shape == (8, 16, 2)
    assert first.x.tobytes() == again.x.tobytes()
    assert first.sha256 == again.sha256 != other.sha256
    assert (first.seed, first.mask, dict(first.initial)) == (7, None, {})


def test_random_inputs_are_what_they_were() -> None:
    np.testing.assert_array_equal(
        random_inputs(SPEC, batch=1, steps=2).x.ravel(),
        np.array([0.12573022, -0.13210486, 0.64042264, 0.104900114], np.float32),
    )


def test_a_model_that_fixes_its_steps_gets_them() -> None:
    assert random_inputs(FIXED_STEPS, steps=5).x.shape == (8, 28, 28)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"steps": 0}, {"seed": -1}])
def test_random_inputs_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(InputsRefused, match=f"{next(iter(wrong))} is"):
        random_inputs(SPEC, **wrong)


@pytest.mark.parametrize("name", ["x", SPEC.input_name, "signal"])
def test_x_or_the_inputs_own_name(tmp_path: Path, name: str) -> None:
    spec = ModelSpec("named", name, 2, None, SPEC.nodes, (0,))
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    got = load_inputs(save(tmp_path, **{name: x}), spec)
    np.testing.assert_array_equal(got.x, x)
    assert got.notes == ()
    assert got.seed is None
    assert got.sha256 == Inputs(x=x).sha256


def test_mask_and_initial_states(tmp_path: Path) -> None:
    x, mask = np.ones((2, 3, 2), dtype=np.float32), np.array([[True, True, False]] * 2)
    h0, c0 = np.full((2, 3), 0.5, dtype=np.float32), np.full((2, 3), 2, dtype=np.float32)
    got = load_inputs(save(tmp_path, x=x, mask=mask, **{"lstm.h0": h0, "lstm.c0": c0}), SPEC)
    assert got.mask is not None
    np.testing.assert_array_equal(got.mask, mask)
    np.testing.assert_array_equal(got.initial["lstm.h0"], h0)
    np.testing.assert_array_equal(got.initial["lstm.c0"], c0)
    assert len({got.sha256, Inputs(x=x).sha256, Inputs(x=x, mask=mask).sha256}) == 3


def test_one_state_of_a_pair_means_zeros_for_the_other(tmp_path: Path) -> None:
    x, c0 = np.ones((2, 3, 2), dtype=np.float32), np.ones((2, 3), dtype=np.float32)
    got = load_inputs(save(tmp_path, x=x, **{"lstm.c0": c0}), SPEC)
    assert not got.initial["lstm.h0"].any()
    assert got.notes == ("'lstm.h0' is not given: zeros",)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "uint8"])
def test_other_real_numbers_are_cast_and_it_is_said(tmp_path: Path, dtype: str) -> None:
    got = load_inputs(save(tmp_path, x=np.ones((1, 2, 2), dtype=dtype)), SPEC)
    assert got.x.dtype == np.float32
    assert got.notes == (f"'x' was {dtype} and is cast to float32",)


def test_byte_order_and_compression_change_nothing(tmp_path: Path) -> None:
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    path = tmp_path / "compressed.npz"
    np.savez_compressed(path, x=x.astype(">f4"))
    got = load_inputs(path, SPEC)
    assert got.notes == ()
    assert got.sha256 == Inputs(x=x).sha256


def test_nan_and_infinity_are_values(tmp_path: Path) -> None:
    x = np.array([[[np.nan, np.inf]]])
    np.testing.assert_array_equal(load_inputs(save(tmp_path, x=x), SPEC).x, x.astype(np.float32))


def test_an_input_named_mask_is_an_input(tmp_path: Path) -> None:
    spec = ModelSpec("odd", "mask", 2, None, SPEC.nodes, (0,))
    got = load_inputs(save(tmp_path, mask=np.ones((1, 2, 2), dtype=np.float32)), spec)
    assert got.x.shape == (1, 2, 2)
    assert got.mask is None


MASKED = replace(SPEC, name="masked", input_name="signal", mask_input="valid")


@pytest.mark.parametrize(
    ("x_name", "mask_name"), [("signal", "valid"), ("x", "valid"), ("mask", "x"), ("signal", "mask")]
)
def test_a_mask_input_by_its_name(tmp_path: Path, x_name: str, mask_name: str) -> None:
    x, mask = np.ones((2, 3, 2), dtype=np.float32), np.array([[True, True, False]] * 2)
    path = save(tmp_path, **{x_name: x, mask_name: mask})
    got = load_inputs(path, replace(MASKED, input_name=x_name, mask_input=mask_name))
    np.testing.assert_array_equal(got.x, x)
    assert got.mask is not None
    np.testing.assert_array_equal(got.mask, mask)
    assert got.sha256 == Inputs(x=x, mask=mask).sha256


def test_x_serves_the_input_beside_a_mask_input(tmp_path: Path) -> None:
    x, valid = np.ones((1, 3, 2), dtype=np.float32), np.ones((1, 3), dtype=bool)
    assert load_inputs(save(tmp_path, x=x, valid=valid), MASKED).mask is not None
    error = refusal(save(tmp_path, x=valid), replace(MASKED, mask_input="x"))
    assert "has no array 'signal'; it has 'x'" in error.message


def test_random_inputs_of_a_mask_input_count_at_every_step() -> None:
    got = random_inputs(MASKED, batch=2, steps=5, seed=7)
    assert got.mask is not None
    assert got.mask.shape == (2, 5)
    assert got.mask.all()
    assert got.x.tobytes() == random_inputs(SPEC, batch=2, steps=5, seed=7).x.tobytes()


@pytest.mark.parametrize(
    ("arrays", "code", "says"),
    [
        ({}, "inputs_missing", "no array 'valid', the mask input of model 'masked'"),
        ({"mask": np.ones((2, 3), dtype=bool)}, "inputs_missing", "no array 'valid'"),
        ({"valid": np.ones((2, 3), dtype=np.float32)}, "inputs_dtype", "'valid' in"),
        ({"valid": np.ones((2, 3), dtype=np.uint8)}, "inputs_dtype", "is uint8, not bool"),
        ({"valid": np.ones((2, 4), dtype=bool)}, "inputs_shape", "'valid' in"),
        ({"valid": np.ones((2, 3, 1), dtype=bool)}, "inputs_shape", "(batch = 2, steps = 3)"),
        ({"valid": np.ones(3, dtype=bool)}, "inputs_shape", "(3,)"),
        (
            {"valid": np.ones((2, 3), dtype=bool), "mask": np.ones((2, 3), dtype=bool)},
            "inputs_unknown",
            "beside 'valid'",
        ),
    ],
)
def test_mask_inputs_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], code: str, says: str) -> None:
    error = refusal(save(tmp_path, signal=np.ones((2, 3, 2), dtype=np.float32), **arrays), MASKED)
    assert error.code == code
    assert says in error.message


@pytest.mark.parametrize("shape", [(2, 3), (3,), (), (1, 2, 3, 2), (1, 2, 3), (0, 3, 2), (1, 0, 2)], ids=str)
def test_wrong_shapes_of_x(tmp_path: Path, shape: tuple[int, ...]) -> None:
    error = refusal(save(tmp_path, x=np.ones(shape, dtype=np.float32)))
    assert str(shape) in error.message
    assert "(batch >= 1, steps >= 1, features = 2)" in error.message


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((3, 0, 2), "Give an array of this shape: steps = 0 must be at least 1."),
        ((40, 12, 6), "Give an array of this shape: features = 6 must be 2."),
        ((3, 2), "Give an array of 3 axes (batch, steps, features); this one has 2."),
    ],
)
def test_what_is_wrong_with_a_shape_is_said(tmp_path: Path, shape: tuple[int, ...], remedy: str) -> None:
    assert refusal(save(tmp_path, x=np.ones(shape, dtype=np.float32))).remedy == remedy


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    error = refusal(pipe)
    assert error.code == "inputs_unreadable"
    assert "it is no regular file" in error.message


def test_wrong_number_of_steps(tmp_path: Path) -> None:
    error = refusal(save(tmp_path, x=np.ones((1, 27, 28), dtype=np.float32)), FIXED_STEPS)
    assert "steps = 28" in error.message
    assert "(1, 27, 28)" in error.message


@pytest.mark.parametrize(
    "extra",
    [
        {"mask": np.ones((2, 4), dtype=bool)},
        {"mask": np.ones((2, 3, 1), dtype=bool)},
        {"lstm.h0": np.ones((2, 2), dtype=np.float32)},
        {"lstm.c0": np.ones(3, dtype=np.float32)},
        {"lstm.c0": np.ones((1, 3), dtype=np.float32)},
    ],
)
def test_wrong_shapes_beside_x(tmp_path: Path, extra: dict[str, Any]) -> None:
    error = refusal(save(tmp_path, x=np.ones((2, 3, 2), dtype=np.float32), **extra))
    assert error.code == "inputs_shape"
    assert next(iter(extra)) in error.message


@pytest.mark.parametrize("dtype", ["complex64", "bool", "U3", "S3", "datetime64[s]"])
def test_wrong_dtypes(tmp_path: Path, dtype: str) -> None:
    error = refusal(save(tmp_path, x=np.zeros((1, 2, 2)).astype(dtype)))
    assert error.code == "inputs_dtype"


def test_a_mask_of_numbers_is_refused(tmp_path: Path) -> None:
    error = refusal(save(tmp_path, x=np.ones((1, 2, 2), dtype=np.float32), mask=np.ones((1, 2))))
    assert "not bool" in error.message


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    assert refusal(save(tmp_path, x=np.full((1, 2, 2), 1e39))).code == "inputs_range"


@pytest.mark.parametrize("name", ["y", "other.h0", "lstm.h", "x_calls", "reset_before"])
def test_unknown_names(tmp_path: Path, name: str) -> None:
    x = np.ones((1, 2, 2), dtype=np.float32)
    error = refusal(save(tmp_path, x=x, **{name: x}))
    assert error.code == "inputs_unknown"
    assert f"'{name}'" in error.message


def test_no_x(tmp_path: Path) -> None:
    assert "it has 'data'" in refusal(save(tmp_path, data=np.ones(3))).message


def test_no_file_a_folder_and_other_files(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.npz").code == "inputs_not_found"
    assert refusal(tmp_path).code == "inputs_unreadable"
    np.save(tmp_path / "array.npy", np.ones((1, 2, 2)))
    assert refusal(tmp_path / "array.npy").code == "inputs_unreadable"
    (tmp_path / "empty.npz").write_bytes(b"")
    assert refusal(tmp_path / "empty.npz").code == "inputs_unreadable"


def test_truncated_file(tmp_path: Path) -> None:
    path = save(tmp_path, x=np.ones((4, 8, 2)))
    path.write_bytes(path.read_bytes()[:-30])
    assert refusal(path).code == "inputs_unreadable"


def test_damaged_member(tmp_path: Path) -> None:
    path = save(tmp_path, x=np.ones((4, 8, 2)))
    content = bytearray(path.read_bytes())
    content[300] ^= 0xFF
    path.write_bytes(content)
    assert refusal(path).code == "inputs_unreadable"


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("the file's code was run",)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    objects = np.empty((1, 2, 2), dtype=object)
    objects[:] = Hostile()
    assert refusal(save(tmp_path, x=objects)).code == "inputs_unreadable"
    path = tmp_path / "pickle.npz"
    path.write_bytes(pickle.dumps(Hostile()))
    assert refusal(path).code == "inputs_unreadable"


def npz_of(path: Path, member: bytes, name: str = "x.npy") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, member)
    return path


def test_a_header_that_promises_terabytes(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 1 << 20, 2)}
    )
    assert refusal(npz_of(tmp_path / "lie.npz", header.getvalue())).code == "inputs_unreadable"


@pytest.mark.parametrize("member", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff{", b"\x93NUMPY\x09\x00"])
def test_members_that_are_no_arrays(tmp_path: Path, member: bytes) -> None:
    assert refusal(npz_of(tmp_path / "odd.npz", member)).code == "inputs_unreadable"


def test_a_small_file_may_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        for _ in range((MAX_INPUT_BYTES >> 24) + 1):
            member.write(bytes(1 << 24))
    assert path.stat().st_size < 1 << 20
    assert "are read at most" in refusal(path).message


STATED = replace(
    SPEC,
    name="stated",
    input_name="signal",
    nodes=(
        seeds.random_lstm_node(2, 3, name="first", h0_input="x", c0_input="mask"),
        seeds.random_lstm_node(3, 4, name="second", source=0, h0_input="both", c0_input="both"),
        seeds.random_lstm_node(4, 2, name="third", source=1),
    ),
    outputs=(2,),
)


def test_initial_states_by_the_names_of_the_models_inputs(tmp_path: Path) -> None:
    """Also where the names are those that the format reserves in other models."""
    arrays = {"x": np.full((2, 3), 0.5), "mask": np.full((2, 3), 0.25), "both": np.full((2, 4), 2, np.float32)}
    signal, c0 = np.ones((2, 5, 2), np.float32), np.ones((2, 2), np.float32)
    got = load_inputs(save(tmp_path, signal=signal, **arrays, **{"third.c0": c0}), STATED)
    assert got.mask is None
    assert {name: float(array[0, 0]) for name, array in got.initial.items()} == {
        "first.h0": 0.5, "first.c0": 0.25, "second.h0": 2, "second.c0": 2, "third.h0": 0, "third.c0": 1,
    }  # fmt: skip
    assert "'mask' was float64 and is cast to float32" in got.notes


def test_random_initial_states_come_behind_the_sequence() -> None:
    got = random_inputs(STATED, batch=2, steps=5, seed=7)
    assert got.x.tobytes() == random_inputs(SPEC, batch=2, steps=5, seed=7).x.tobytes()
    assert {name: array.shape for name, array in got.initial.items()} == {
        "first.h0": (2, 3), "first.c0": (2, 3), "second.h0": (2, 4), "second.c0": (2, 4),
    }  # fmt: skip
    assert not np.array_equal(got.initial["first.h0"], got.initial["first.c0"])
    np.testing.assert_array_equal(got.initial["second.h0"], got.initial["second.c0"])


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"both": None}, "inputs_missing", "no array 'both', which model 'stated' takes as 'second.h0', 'second.c0'"),
        ({"both": np.ones((2, 3))}, "inputs_shape", "'both' in"),
        ({"both": np.ones((3, 4))}, "inputs_shape", "(batch = 2, units = 4)"),
        ({"both": np.ones((2, 4), dtype=bool)}, "inputs_dtype", "'both' in"),
        ({"first.h0": np.ones((2, 3))}, "inputs_unknown", "'first.h0', which model 'stated' does not know"),
        ({"signal": None}, "inputs_missing", "no array 'signal'; it has"),
    ],
)
def test_initial_states_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], code: str, says: str) -> None:
    arrays: dict[str, Any] = {
        "signal": np.ones((2, 5, 2)),
        "x": np.ones((2, 3)),
        "mask": np.ones((2, 3)),
        "both": np.ones((2, 4)),
    }
    arrays.update(changes)
    error = refusal(save(tmp_path, **{name: array for name, array in arrays.items() if array is not None}), STATED)
    assert error.code == code
    assert says in error.message


def test_a_mask_that_no_lstm_obeys(tmp_path: Path) -> None:
    spec = replace(SPEC, nodes=(seeds.random_lstm_node(2, 3, masked=False),))
    error = refusal(save(tmp_path, x=np.ones((2, 3, 2)), mask=np.ones((2, 3), dtype=bool)), spec)
    assert "to no LSTM" in error.message


def test_steps_that_the_model_fixes_otherwise_are_noted() -> None:
    fixed = replace(seeds.random_lstm(2, 3), steps=6)
    assert random_inputs(fixed, steps=5).notes == ("the model fixes 6 steps: not the 5 that were asked for",)
    assert random_inputs(fixed, steps=6).notes == random_inputs(fixed).notes == ()
    assert random_inputs(seeds.random_lstm(2, 3), steps=5).notes == ()


def test_labels_are_no_input(tmp_path: Path) -> None:
    x = np.zeros((2, 3, 2), np.float32)
    plain = load_inputs(save(tmp_path, x=x), SPEC)
    labelled = load_inputs(save(tmp_path, x=x, labels=np.array([1, 0], np.uint8)), SPEC)
    assert {name: array.tolist() for name, array in labelled.labels.items()} == {"output": [1, 0]}
    assert labelled.labels["output"].dtype == np.int64
    assert labelled.sha256 == plain.sha256
    assert plain.labels == {}


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    error = refusal(save(tmp_path, x=np.zeros((2, 3, 2), np.float32), labels=np.eye(2, dtype=np.float32)))
    assert error.code == "inputs_dtype"
    assert "argmax" in error.remedy


def test_labels_of_a_model_with_several_outputs(tmp_path: Path) -> None:
    spec = replace(SPEC, outputs=(0, 0))
    arrays = {"labels.1": np.array([1, 2])}
    assert list(load_inputs(save(tmp_path, x=np.zeros((2, 3, 2), np.float32), **arrays), spec).labels) == ["output.1"]
    assert "labels" in refusal(save(tmp_path, x=np.zeros((2, 3, 2)), labels=np.array([1, 2])), spec).message
