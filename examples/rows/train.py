"""Trains LSTM(75) + Dense(10) + Activation("softmax") on digits of 28 x 28, a row a step. Writes the files beside it.

The weights take 128 KB: more than an F446 has left in RAM, so they run from flash. The images are those of scikit-learn
(1797 real ones of 8 x 8), scaled up and kept in 8 bits as MNIST's are, since no download is needed for them:

    pip install scikit-learn && python examples/rows/train.py

The seed is fixed; another version or another machine may still give slightly different weights. Run it on Python 3.10,
whose newest Keras is the oldest one of the lock: a newer Keras writes files that it cannot read.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow
from sklearn.datasets import load_digits

SEED = 3
STEPS = INPUT_SIZE = 28
UNITS = 75
HELD_OUT = 360
"""Images that are not trained on: a fifth. The accuracy is theirs."""

STORED = 240
"""How many of them are stored as inputs for the device."""

FOLDER = Path(__file__).parent


def network() -> keras.Model:
    """The untrained model: 28 steps of 28 pixels in, 10 probabilities out. 31200 + 760 parameters."""
    rows = keras.Input((STEPS, INPUT_SIZE), name="rows")
    x = keras.layers.LSTM(UNITS, name="lstm")(rows)
    x = keras.layers.Dense(10, name="dense")(x)
    x = keras.layers.Activation("softmax", name="softmax")(x)
    return keras.Model(rows, x, name="rows")


def scaled(images: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """(N, 8, 8) of 0 to 16 -> (N, 28, 28) of 0 to 1 in steps of 1/255."""
    large = tensorflow.image.resize(images[..., np.newaxis] / 16, (STEPS, INPUT_SIZE), method="bilinear").numpy()
    return np.asarray(np.round(large[..., 0] * 255) / 255, dtype=np.float32)


def main() -> None:
    """Train, measure, and store the model with some of the images that it has not seen."""
    keras.utils.set_random_seed(SEED)
    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.images))
    x = scaled(digits.images[order])
    labels = digits.target[order].astype(np.uint8)
    model = network()
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[HELD_OUT:], labels[HELD_OUT:], batch_size=32, epochs=40, verbose=0)
    _, accuracy = model.evaluate(x[:HELD_OUT], labels[:HELD_OUT], verbose=0)
    print(f"{accuracy:.1%} of {HELD_OUT} held-out images are read right")  # noqa: T201
    stored = network()  # never compiled: no optimizer state is stored
    stored.set_weights(model.get_weights())
    stored.save(FOLDER / "rows.keras")
    np.savez_compressed(FOLDER / "heldout.npz", x=x[:STORED], labels=labels[:STORED])


if __name__ == "__main__":
    main()
