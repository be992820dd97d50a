"""The trained classifiers: every held-out digit is seen as the same digit by Keras and by the device."""

from __future__ import annotations

from collections.abc import Callable

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
    assert len(run.got["output"]) >= least_images
    (classes,) = run.classes
    truth, _, keras = classes.rows
    assert (truth.name, keras.name) == ("device_vs_truth", "device_vs_keras")
    assert keras.right == keras.samples == len(run.got["output"])
    assert truth.right > 0.9 * truth.samples, "a trained model, not a random one"
