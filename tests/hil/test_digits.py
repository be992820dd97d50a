"""The trained classifier: every held-out digit is seen as the same digit by Keras and by the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.build.paths import project_root
from harness.validation import Validation

FOLDER = project_root() / "examples" / "digits"


def test_the_same_digit_on_every_held_out_input(validate: Callable[..., Validation]) -> None:
    run = validate(FOLDER / "digits.keras", FOLDER / "heldout.npz")
    assert run, run.results
    assert run.expected is not None
    assert len(run.got["output"]) >= 40
    np.testing.assert_array_equal(run.got["output"].argmax(axis=1), run.expected.tensors["output"].argmax(axis=1))
    labels = np.load(FOLDER / "heldout_labels.npy", allow_pickle=False)
    assert (run.got["output"].argmax(axis=1) == labels).mean() > 0.9, "a trained model, not a random one"
