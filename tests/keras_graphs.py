"""Keras models that are no chain, for tests of the oracle and on targets; for either Keras."""

from __future__ import annotations

from typing import Any

from harness.oracle.runtime import quiet


def two_heads(keras: Any) -> Any:
    """One LSTM read by a head at every step, and by an LSTM with a head behind its last step."""
    layers = keras.layers
    x = keras.Input((5, 2), name="signal")
    trunk = layers.LSTM(4, return_sequences=True, name="trunk")(x)
    every = layers.Dense(3, activation="tanh", name="every")(trunk)
    last = layers.Dense(2, name="last")(layers.LSTM(3, name="branch")(trunk))
    return keras.Model(x, [last, every, trunk], name="heads")


def decoder(keras: Any, *, name: str = "decoder") -> Any:
    """Two LSTMs that start from inputs of the model; the model returns their states for the next call."""
    x = keras.Input((None, 2), name="signal")
    h, c = keras.Input((3,), name="h_in"), keras.Input((3,), name="c_in")
    shared = keras.Input((4,), name="shared")
    first, h_out, c_out = keras.layers.LSTM(3, return_sequences=True, return_state=True, name="first")(
        x, initial_state=[h, c]
    )
    second = keras.layers.LSTM(4, name="second")(first, initial_state=[shared, shared])
    return keras.Model([c, x, shared, h], [keras.layers.Dense(2)(second), h_out, c_out], name=name)


def encoder_decoder(keras: Any) -> Any:
    """An LSTM that starts from the states of another, and heads on these states and on both."""
    layers = keras.layers
    x = keras.Input((5, 2), name="x")
    _, h, c = layers.LSTM(3, return_state=True, name="encoder")(x)
    decoded = layers.LSTM(3, return_sequences=True, name="decoder")(x, initial_state=[h, c])
    heads = [layers.Dense(2, name="head")(decoded), layers.Dense(1, name="of_c")(c), layers.Dense(1, name="of_h")(h)]
    return keras.Model(x, heads, name="encoder_decoder")


def stateful(keras: Any) -> Any:
    """Two stateful LSTMs and one between them that is not; batches of 3 sequences of 5 steps."""
    layers = keras.layers
    x = keras.Input(batch_shape=(3, 5, 2), name="x")
    first = layers.LSTM(4, stateful=True, return_sequences=True, name="first")(x)
    free = layers.LSTM(3, return_sequences=True, name="free")(first)
    return keras.Model(x, layers.LSTM(2, stateful=True, name="second")(free), name="stateful")


def surrounded(keras: Any) -> Any:
    """LSTMs among layers that the device does not run: tokens and features in, masks made on the way."""
    layers = keras.layers
    tokens, extra = keras.Input((7,), dtype="int32", name="tokens"), keras.Input((7, 3), name="extra")
    embedded = layers.Embedding(11, 4, mask_zero=True, name="embedding")(tokens)
    masked = layers.LSTM(2, return_sequences=True, name="masked")(embedded)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, return_state=True), name="both")
    wide, h, c, *_ = both(layers.Conv1D(5, 3, padding="same", name="conv")(extra))
    joined = layers.Concatenate(name="join")([layers.BatchNormalization(name="norm")(wide), masked])
    inner_x = keras.Input((7, 8), name="inner_x")
    inner = keras.Model(inner_x, layers.LSTM(4, go_backwards=True, name="inside")(inner_x), name="inner")
    last = layers.LSTM(3, return_state=True, name="told")(joined, initial_state=[h, c])
    with quiet():  # Keras believes that a model inside a model destroys a mask
        return keras.Model({"tokens": tokens, "extra": extra}, [inner(joined), *last], name="surrounded")
