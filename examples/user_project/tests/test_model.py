"""Each of these runs once for each target. `validate` and `device` come from lstm-hil's pytest plugin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def test_model(validate: Callable[..., Any], model: Path) -> None:
    """Random inputs: every h and c of every step as Keras has them."""
    assert validate(model)


def test_recorded_inputs(validate: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    """Inputs of our own: a slow sine on each of the three features."""
    steps = np.arange(12, dtype=np.float32)[None, :, None]
    np.savez(tmp_path / "x.npz", x=np.sin(0.5 * steps + np.arange(3, dtype=np.float32)))
    assert validate(model, inputs=tmp_path / "x.npz")


def test_room_for_a_larger_model(device: Any) -> None:
    """What the device says of itself."""
    assert device.info.arena_bytes > 100_000
