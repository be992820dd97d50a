"""HDF5 files for tests, made by h5py alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def lstm_config(**changes: Any) -> dict[str, Any]:
    """The description of an LSTM of 2 units on 3 inputs, as Keras 2.2 wrote it."""
    config = {
        "name": "lstm_1",
        "trainable": True,
        "batch_input_shape": [None, None, 3],
        "dtype": "float32",
        "return_sequences": True,
        "return_state": False,
        "go_backwards": False,
        "stateful": False,
        "unroll": False,
        "units": 2,
        "activation": "tanh",
        "recurrent_activation": "hard_sigmoid",
        "use_bias": True,
        "kernel_initializer": {
            "class_name": "VarianceScaling",
            "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
        },
        "recurrent_initializer": {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}},
        "bias_initializer": {"class_name": "Zeros", "config": {}},
        "unit_forget_bias": True,
        "kernel_regularizer": None,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "implementation": 1,
    }
    return {"class_name": "LSTM", "config": {**config, **changes}}


def sequential_config(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": list(layers)}}


def keras_2_file(
    path: Path,
    config: Any = None,
    version: str | None = "2.2.4",
    change: Callable[[h5py.File], None] = lambda file: None,
) -> Path:
    """A model of one LSTM as standalone Keras 2.2 wrote it, with `change` made to the file."""
    generator = np.random.default_rng(0)
    shapes = {"kernel:0": (3, 8), "recurrent_kernel:0": (2, 8), "bias:0": (8,)}
    with h5py.File(path, "w") as file:
        if version is not None:
            file.attrs["keras_version"] = version.encode()
        file.attrs["backend"] = b"tensorflow"
        text = json.dumps(sequential_config(lstm_config()) if config is None else config)
        file.attrs["model_config"] = text.encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"lstm_1"]
        weights.attrs["backend"] = b"tensorflow"
        layer = weights.create_group("lstm_1")
        layer.attrs["weight_names"] = [f"lstm_1/{name}".encode() for name in shapes]
        for name, shape in shapes.items():
            layer[f"lstm_1/{name}"] = generator.uniform(-1, 1, shape).astype(np.float32)
        change(file)
    return path
