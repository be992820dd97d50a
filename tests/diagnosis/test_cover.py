"""Inputs that are made to show mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import networks
import seeds
from harness.diagnosis.cover import arrays_of, cover
from harness.errors import InputsRefused
from harness.model.inputs_file import load_inputs
from harness.model.spec import ModelSpec
from harness.protocol.wire import Activation
from planted import one_lstm


@pytest.mark.parametrize(
    "spec",
    [seeds.worked_example().spec, one_lstm(Activation.HARD_SIGMOID), networks.bidirectional(), networks.backwards()],
    ids=["published", "hard_sigmoid", "bidirectional", "backwards"],
)
def test_they_show_everything(spec: ModelSpec) -> None:
    made = cover(spec)
    assert made.score.unseen == ()
    assert made.score.coverage.gaps == []


def test_sums_of_gates_without_a_bias_are_zero_and_denormal_too() -> None:
    made = cover(seeds.random_lstm(3, 5, bias=False))
    assert made.score.coverage.gaps == []
    assert all(gate.zero and gate.denormal for gate in made.score.coverage.gates["lstm"].values())


def test_one_step_wants_states_to_begin_with() -> None:
    made = cover(replace(one_lstm(), steps=1))
    assert made.inputs.initial
    assert {each.name for each in made.score.unseen} == {"state_not_reset"}


def test_a_masked_model_gets_a_mask() -> None:
    spec = replace(one_lstm(), mask_value=0.5)
    made = cover(spec)
    assert made.inputs.masked_steps(spec)
    assert made.score.unseen == ()


def test_they_can_be_read_again(tmp_path: Path) -> None:
    spec = replace(one_lstm(), steps=1)
    made = cover(spec)
    np.savez(tmp_path / "x.npz", **arrays_of(spec, made.inputs))  # type: ignore[arg-type]
    assert load_inputs(tmp_path / "x.npz", spec).sha256 == made.inputs.sha256


def test_no_inputs_where_float32_says_little() -> None:
    node = seeds.random_lstm_node(3, 5, scale=300.0, activation=Activation.LINEAR)
    spec = replace(seeds.random_lstm(3, 5), nodes=(node,))
    with pytest.raises(InputsRefused, match="float32 says little"):
        cover(spec)
