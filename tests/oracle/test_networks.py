"""Models with Bidirectional, go_backwards, merges and the like: what the oracle makes of them, for either Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import keras_networks
from harness.model.inputs import Inputs, random_inputs
from harness.oracle.keras_oracle import expected
from harness.oracle.load import from_keras
from harness.oracle.reference import reference
from harness.oracle.runtime import KERAS_2, KERAS_3, import_keras

ATOL = 3e-6
"""Between Keras' float32 and float64: 4 to 10 times what these small models were seen to differ by."""


def agree(model: Any, inputs: Inputs | None = None) -> dict[str, np.ndarray]:
    """Keras' model, layers and cells agree bit for bit (else `expected` raises), and all with float64."""
    loaded = from_keras(model)
    inputs = random_inputs(loaded.spec, batch=3, steps=keras_networks.STEPS, seed=1) if inputs is None else inputs
    tensors = expected(loaded, inputs).tensors
    float64 = reference(loaded.spec, inputs)
    assert tensors.keys() == float64.keys()
    for name, values in tensors.items():
        assert values.shape == float64[name].shape, name
        np.testing.assert_allclose(values, float64[name], rtol=0, atol=ATOL, err_msg=name)
    return tensors


@pytest.fixture(params=[KERAS_3, KERAS_2])
def keras(request: pytest.FixtureRequest) -> Any:
    return import_keras(request.param)


@pytest.mark.parametrize("name", keras_networks.MODELS)
def test_keras_and_the_reference_agree(keras: Any, name: str) -> None:
    agree(keras_networks.MODELS[name](keras))


NO_MASK = ("masking", "merged", "several inputs", "translator")
"""With a mask of their own, layers that compute with masks, or more than one sequence."""

DROPS_MASKS = ("autoencoder", "pooled", "bidirectional encoder", "flattened", "cut input")
"""With layers that Keras 2 gives no mask."""


@pytest.mark.parametrize("name", [name for name in keras_networks.MODELS if name not in NO_MASK])
def test_they_agree_with_a_mask(keras: Any, name: str) -> None:
    if keras.__name__.startswith(KERAS_2) and name in DROPS_MASKS:
        pytest.skip("Keras 2 refuses a mask before these layers")
    generator = np.random.default_rng(2)
    mask = generator.random((3, keras_networks.STEPS)) < 0.6
    mask[0, 0], mask[0, -1], mask[1, 0], mask[1, -1], mask[2] = True, False, False, True, False
    x = generator.standard_normal((3, keras_networks.STEPS, 3)).astype(np.float32)
    agree(keras_networks.MODELS[name](keras), Inputs(x=x, mask=mask))


@pytest.mark.parametrize("mask_value", [0.0, -1.0, 0.1])
def test_masking(keras: Any, mask_value: float) -> None:
    x = np.random.default_rng(3).standard_normal((3, 6, 3)).astype(np.float32)
    x[0, 4:] = x[1, :2] = x[2] = mask_value
    x[0, 0, 1] = mask_value  # one feature of it makes no masked step
    agree(keras_networks.with_masking(keras, mask_value), Inputs(x=x))


def test_h_is_in_processing_order() -> None:
    """And the output as Keras gives it: a backward half's is turned round, that of go_backwards is not."""
    keras = import_keras()
    tensors = agree(keras_networks.bidirectional(keras))
    np.testing.assert_array_equal(tensors["output"][..., :4], tensors["bi.forward.h"])
    np.testing.assert_array_equal(tensors["output"][..., 4:], tensors["bi.backward.h"][:, ::-1])
    tensors = agree(keras_networks.backwards(keras))
    assert set(tensors) == {f"{layer}.{what}" for layer in ("first", "second", "third") for what in ("h", "c")} | {
        f"{layer}.{what}_last" for layer in ("first", "second", "third") for what in ("h", "c")
    } | {"output"}
    np.testing.assert_array_equal(tensors["output"], tensors["third.h"][:, -1])
