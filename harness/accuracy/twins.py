"""Whether Keras' model, its layers and its cells agree bit for bit, which the oracle rests on."""

from __future__ import annotations

from itertools import product

from harness.errors import OracleError
from harness.model.inputs import random_inputs
from harness.oracle.keras_oracle import expected
from harness.oracle.load import LoadedModel, from_keras
from harness.oracle.runtime import import_keras

UNITS = (1, 2, 3, 5, 8, 16, 33, 64, 75, 128, 256, 512)
FEATURES = (1, 2, 8, 28, 64, 200)
BATCHES = (1, 2, 7, 8, 33, 64)
"""Sizes at, below and above those of vectors and of the blocks of a matrix product."""

GATES = ("sigmoid", "hard_sigmoid")

DROPOUTS = (0.0, 0.1)
"""recurrent_dropout, which at inference drops nothing but selects another implementation in Keras."""

STEPS = 2
"""A second one, whose state is not zero."""


def combinations() -> int:
    """How many are tried."""
    return len(UNITS) * len(FEATURES) * len(BATCHES) * len(GATES) * len(DROPOUTS)


def contradictions() -> int:
    """In how many of the combinations the oracle refuses Keras, since a bit differs."""
    refused = 0
    for units, features, gate, dropout in product(UNITS, FEATURES, GATES, DROPOUTS):
        loaded = _model(units, features, gate, dropout)
        for batch in BATCHES:
            try:
                expected(loaded, random_inputs(loaded.spec, batch, STEPS, 0))
            except OracleError as error:
                if error.code != "keras_inconsistent":
                    raise
                refused += 1
    return refused


def _model(units: int, features: int, gate: str, dropout: float) -> LoadedModel:
    keras = import_keras()
    layer = keras.layers.LSTM(
        units,
        recurrent_activation=gate,
        recurrent_dropout=dropout,
        kernel_initializer=keras.initializers.GlorotUniform(0),
        recurrent_initializer=keras.initializers.Orthogonal(seed=1),
        return_sequences=True,
        name="lstm",
    )
    return from_keras(keras.Sequential([keras.Input((None, features)), layer]))
