"""Keras' values of a model, held against the float64 reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import keras_models
from harness.compare.tolerance import distance_to_float64, tolerances
from harness.compare.verdict import all_passed, compare
from harness.model.inputs import Inputs
from harness.model.spec import ModelSpec
from harness.oracle.keras_oracle import Expected, expected
from harness.oracle.load import LoadedModel, load_model
from harness.oracle.reference import reference


def load(spec: ModelSpec, folder: Path) -> LoadedModel:
    """The spec, written as a file and read again."""
    return load_model(keras_models.save_spec(spec, folder))


def agreed(loaded: LoadedModel, inputs: Inputs, *, gates: bool = False) -> Expected:
    """Keras' values, after they agreed with the reference's within the default tolerances."""
    got = expected(loaded, inputs, gates=gates)
    float64 = reference(loaded.spec, inputs, gates=gates)
    assert list(got.tensors) == list(float64)
    for name, array in got.tensors.items():
        assert array.dtype == np.float32, name
        assert array.shape == float64[name].shape, name
    distances = distance_to_float64(got.tensors, float64)
    assert max(distances.values()) < 5e-7, distances
    narrowed = {name: array.astype(np.float32) for name, array in float64.items()}
    assert all_passed(compare(got.tensors, narrowed, tolerances(distances), has_calls=inputs.reset_before is not None))
    return got


def assert_same(first: ModelSpec, second: ModelSpec) -> None:
    """Two specs are the same in all but the names of files."""
    assert (first.name, first.input_name, first.mask_input, first.input_size, first.steps, first.outputs) == (
        second.name,
        second.input_name,
        second.mask_input,
        second.input_size,
        second.steps,
        second.outputs,
    )
    for one, other in zip(first.nodes, second.nodes, strict=True):
        assert type(one) is type(other)
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=f"{one.name}.{name}")
