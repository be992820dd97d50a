"""The trained classifiers: every held-out digit is seen as the same digit by Keras and by the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.build.paths import project_root
from harness.validation import Validation

EXAMPLES = project_root() / "examples"


@pytest.mark.parametrize(("name", "least_images", "trace"), [("digits", 40, "hc"), ("rows", 200, "last")])
def test_the_same_digit_on_every_held_out_input(
    validate: Callable[..., Validation], name: str, least_images: int, trace: str
) -> None:
    """`digits` runs from RAM; `rows`, LSTM(75) on 28 x 28, does not fit there and runs from flash.

    h and c of its 6720 steps would be 4 MB.
    """
    folder = EXAMPLES / name
    run = validate(folder / f"{name}.keras", folder / "heldout.npz", trace=trace)
    assert run, run.results
    assert run.expected is not None
    assert len(run.got["output"]) >= least_images
    np.testing.assert_array_equal(run.got["output"].argmax(axis=1), run.expected.tensors["output"].argmax(axis=1))
    labels = np.load(folder / "heldout_labels.npy", allow_pickle=False)
    assert (run.got["output"].argmax(axis=1) == labels).mean() > 0.9, "a trained model, not a random one"
