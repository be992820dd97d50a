"""Trains the example: handwritten digits, read as 8 steps of 8 pixels. Writes the files that lie beside it.

Needs scikit-learn, for its bundled data set (1797 images of 8 x 8, values 0 to 16), beside keras and tensorflow:

    pip install scikit-learn && python examples/digits/train.py

The seed is fixed; another version or another machine may still give slightly different weights. Run it on Python 3.10,
whose newest Keras is the oldest one of the lock: a newer Keras writes files that it cannot read.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

SEED = 8
HELD_OUT = 360
"""Images that are not trained on: a fifth. The accuracy is theirs."""

STORED = 60
"""How many of them are stored as inputs for the device."""

FOLDER = Path(__file__).parent


def network() -> keras.Model:
    """The untrained model: 8 steps of 8 pixels in, 10 probabilities out."""
    return keras.Sequential(
        [
            keras.Input((8, 8), name="rows"),
            keras.layers.LSTM(32, name="lstm"),
            keras.layers.Dense(10, activation="softmax", name="dense"),
        ],
        name="digits",
    )


def main() -> None:
    """Train, measure, and store the model with some of the images that it has not seen."""
    keras.utils.set_random_seed(SEED)
    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.images))
    x = (digits.images[order] / 16).astype(np.float32)
    labels = digits.target[order].astype(np.uint8)
    model = network()
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[HELD_OUT:], labels[HELD_OUT:], batch_size=32, epochs=60, verbose=0)
    _, accuracy = model.evaluate(x[:HELD_OUT], labels[:HELD_OUT], verbose=0)
    print(f"{accuracy:.1%} of {HELD_OUT} held-out images are read right")  # noqa: T201
    stored = network()  # never compiled: no optimizer state is stored
    stored.set_weights(model.get_weights())
    stored.save(FOLDER / "digits.keras")
    np.savez(FOLDER / "heldout.npz", x=x[:STORED], labels=labels[:STORED])


if __name__ == "__main__":
    main()
