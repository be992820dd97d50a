"""The tolerance that is proposed, and what a given one hides."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from harness.compare.tolerance import Tolerance, derived
from harness.diagnosis.advice import BATCH_SPREAD, advise, hidden_by
from harness.diagnosis.score import Unseen, score
from harness.model.inputs import random_inputs
from harness.oracle.reference import reference
from patience import PATIENCE_S
from planted import one_lstm


def test_it_is_twice_what_both_are_off_by() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    got = {name: np.asarray(array + 2e-6, np.float32) for name, array in reference(spec, inputs).items()}
    advice = advise(spec, inputs, {"lstm.c": 1e-6}, got, passed=True)["lstm.c"]
    assert advice.device == pytest.approx(2e-6, rel=0.1)
    assert advice.atol == pytest.approx(2 * (1e-6 + advice.device), rel=0.1)
    assert advice.atol >= 2 * (1e-6 + advice.device)
    assert "Keras' distance of 1e-06" in advice.reason


def test_a_device_that_failed_is_no_measure() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    got = {name: np.asarray(array + 1, np.float32) for name, array in reference(spec, inputs).items()}
    advice = advise(spec, inputs, {"lstm.c": 1e-6}, got, passed=False)["lstm.c"]
    assert advice.device < 1e-6
    assert "NumPy float32's" in advice.reason


def test_it_is_not_below_what_the_batch_does_to_keras() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    got = {name: np.asarray(array, np.float32) for name, array in reference(spec, inputs).items()}
    advice = advise(spec, inputs, {"lstm.h": 0.0}, got, passed=True)["lstm.h"]
    assert advice.atol == 2 * BATCH_SPREAD
    assert "number of sequences" in advice.reason


def test_what_a_wide_tolerance_hides_is_named() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    wide = score(spec, inputs, {"output": Tolerance(1e-3, 0, "given")}, limit_s=PATIENCE_S)
    names = {each.name for each in hidden_by(spec, inputs, derived({"output": 1e-7}), wide.unseen)}
    assert {"weights_4_decimals", "weights_5_decimals"} <= names
    narrow = score(spec, inputs, {"output": Tolerance(1e-6, 0, "given")}, limit_s=PATIENCE_S)
    assert hidden_by(spec, inputs, derived({"output": 1e-7}), narrow.unseen) == []


def test_of_a_mistake_that_was_not_tried_in_time_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    unseen = [Unseen("weights_4_decimals", None, 0.5)]
    assert hidden_by(spec, inputs, derived({"output": 1e-7}), unseen) == unseen
    monkeypatch.setattr("harness.diagnosis.advice.score", partial(score, limit_s=0.0))
    assert hidden_by(spec, inputs, derived({"output": 1e-7}), unseen) == []
