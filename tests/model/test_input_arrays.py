"""Inputs written to a file and read back are the same: what a report saves can be given to another run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import networks
import seeds
from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import input_arrays, load_inputs
from harness.model.spec import ModelSpec
from harness.model.whole import InputSpec, WholeInputs, load_whole_inputs, whole_input_arrays


def with_random(spec: ModelSpec) -> tuple[ModelSpec, Inputs]:
    return spec, random_inputs(spec, batch=4)


def labelled(spec: ModelSpec) -> tuple[ModelSpec, Inputs]:
    return spec, replace(random_inputs(spec, batch=4), labels={"output": np.arange(4)})


def masked(spec: ModelSpec) -> tuple[ModelSpec, Inputs]:
    inputs = random_inputs(spec, batch=4, steps=3)
    states = {f"lstm.{state}": np.full((4, 3), value, np.float32) for state, value in (("h0", 0.5), ("c0", 2))}
    return spec, replace(inputs, mask=inputs.x[..., 0] > 0, initial=states)


def calls() -> tuple[ModelSpec, Inputs]:
    nodes = (
        seeds.random_lstm_node(2, 3, stateful=True, name="lstm"),
        seeds.random_lstm_node(3, 4, source=0, name="told", h0_input="h_in", c0_input="c_in", stateful=True),
    )
    spec = replace(seeds.random_lstm(2, 3), nodes=nodes, outputs=(1,))
    states = {name: np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4) for name in ("told.h0", "told.c0")}
    x = np.random.default_rng(1).standard_normal((2, 4, 5, 2)).astype(np.float32)
    return spec, Inputs(x, initial=states, reset_before=np.array([False, True]))


CASES: dict[str, Callable[[], tuple[ModelSpec, Inputs]]] = {
    "plain": lambda: with_random(seeds.random_lstm(2, 3)),
    "several inputs": lambda: with_random(networks.several_inputs()),
    "labels": lambda: labelled(seeds.rows_of_an_image()),
    "mask and states": lambda: masked(seeds.random_lstm(2, 3)),
    "calls": calls,
}


def same(a: Any, b: Any) -> bool:
    return (a is None and b is None) or np.array_equal(a, b)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("which", [slice(None), slice(2, 3)])
def test_what_was_written_is_read(name: str, which: slice, tmp_path: Path) -> None:
    spec, inputs = CASES[name]()
    inputs = inputs.rows(which)
    assert inputs.batch == len(range(4)[which])
    np.savez(tmp_path / "x.npz", **input_arrays(inputs, spec))  # type: ignore[arg-type]
    again = load_inputs(tmp_path / "x.npz", spec)
    assert again.sha256 == inputs.sha256
    assert again.labels.keys() == inputs.labels.keys()
    assert all(same(again.labels[name], inputs.labels[name]) for name in inputs.labels)


@pytest.mark.parametrize("which", [slice(None), slice(1, 2)])
def test_inputs_of_a_whole_model_likewise(which: slice, tmp_path: Path) -> None:
    tokens = [InputSpec("tokens", (None, 3), "int32", 9)]
    one = WholeInputs({"tokens": np.arange(6, dtype=np.int32).reshape(2, 3)}, mask=np.ones((2, 3), bool))
    many = WholeInputs({"tokens": np.arange(12, dtype=np.int32).reshape(2, 2, 3)}, reset_before=np.array([False, True]))
    for inputs in (one.rows(which), many.rows(which)):
        np.savez(tmp_path / "x.npz", **whole_input_arrays(inputs))  # type: ignore[arg-type]
        assert load_whole_inputs(tmp_path / "x.npz", tokens).sha256 == inputs.sha256


def test_labels_are_left_out_where_one_lstm_is_alone(tmp_path: Path) -> None:
    tokens = [InputSpec("tokens", (None, 3), "int32", 9)]
    np.savez(tmp_path / "x.npz", tokens=np.ones((2, 3), np.int32), labels=np.array([1, 0]))
    got = load_whole_inputs(tmp_path / "x.npz", tokens)
    assert list(got.arrays) == ["tokens"]
    assert "'labels'" in got.notes[0]
