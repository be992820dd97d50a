"""Runs without a device: the float64 reference plays Keras, and in float32 the device. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import seeds
from harness.compare.classes import classify
from harness.compare.tolerance import Tolerance, distance_to_float64, tolerances
from harness.compare.verdict import compare
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import LstmNode, gates_of
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.oracle.cache import Answer
from harness.oracle.keras_oracle import Expected
from harness.oracle.load import LoadedModel
from harness.oracle.reference import reference
from harness.report.record import record_of
from harness.targets.choice import TargetChoice
from harness.validation import Validation

Change = Callable[[dict[str, Float32Array]], None]


def made_run(
    spec: ModelSpec | None = None,
    inputs: Inputs | None = None,
    change: Change | None = None,
    level: TraceLevel = TraceLevel.HC,
) -> Validation:
    """A run of a model: a pass, unless `change` does something to the values that the device gave."""
    spec = seeds.random_lstm(3, 5) if spec is None else spec
    inputs = random_inputs(spec, batch=4, steps=9) if inputs is None else inputs
    run = Validation(Path(f"{spec.name}.keras"), level=level)
    run.loaded = LoadedModel(run.model_path, "0" * 64, spec, None, ())
    run.inputs = inputs
    gates = level >= TraceLevel.GATES
    exact = level.of(reference(spec, inputs, gates=gates))
    tensors = {name: array.astype(np.float32) for name, array in exact.items()}
    run.expected = Expected(tensors, "keras", {"keras": "3.0"})
    run.max_abs_to_float64 = distance_to_float64(tensors, exact)
    run.tolerances = tolerances(run.max_abs_to_float64)
    computed = level.of(reference(spec, inputs, np.float32, gates=gates))
    run.got = {name: array.astype(np.float32) for name, array in computed.items()}
    if change is not None:
        change(run.got)
    has_calls = inputs.reset_before is not None
    run.results = compare(tensors, run.got, run.tolerances, has_calls=has_calls, gates_of=gates_of)
    run.classes = classify(tensors, run.got, inputs.labels, spec.classifiers)
    run.times_s = {"device": 0.5}
    return run


class ByReference:
    """An oracle without Keras: the reference in float32.

    Args:
        run: whose model, inputs and values these are.
        settled: tolerances, where they are not to be derived.
    """

    def __init__(self, run: Validation, settled: dict[str, Tolerance] | None = None) -> None:
        self._run = run
        self._settled = settled

    def load(self, path: Path, weights: Path | None = None, layer: str | None = None) -> LoadedModel:
        assert self._run.loaded is not None
        return self._run.loaded

    def answer(self, loaded: LoadedModel, given: Any, *, gates: bool = False) -> Answer:
        assert self._run.expected is not None
        assert self._run.inputs is not None
        return Answer(self._run.expected, self._run.max_abs_to_float64, False, self._run.inputs, self._settled)


def record(run: Validation) -> dict[str, Any]:
    """Its record."""
    return record_of(run, TargetChoice("native"), None, command=["hil", "validate", run.model_path.name])


def renamed(spec: ModelSpec, name: str) -> ModelSpec:
    """The same model, whose LSTM is called otherwise."""
    (node,) = spec.nodes
    assert isinstance(node, LstmNode)
    return replace(spec, name=name, nodes=(replace(node, name=name),))
