"""Keras models that want several passes on the device, for tests of the oracle and on targets; for either Keras.

All read x: 6 steps, or as many as the run has, of 3 features.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

STEPS = 6


def _model(keras: Any, body: Callable[[Any, Any], Any], steps: int | None = None) -> Any:
    x = keras.Input((steps, 3), name="x")
    return keras.Model(x, body(keras.layers, x), name="network")


def backwards(keras: Any) -> Any:
    """go_backwards, with a layer behind it, and one more time."""

    def body(layers: Any, x: Any) -> Any:
        first = layers.LSTM(4, go_backwards=True, return_sequences=True, name="first")(x)
        second = layers.LSTM(3, return_sequences=True, name="second")(first)
        return layers.LSTM(2, go_backwards=True, name="third")(second)

    return _model(keras, body)


def bidirectional(keras: Any, merge_mode: str | None = "concat", *, sequences: bool = True) -> Any:
    """A Bidirectional LSTM."""

    def body(layers: Any, x: Any) -> Any:
        inner = layers.LSTM(4, return_sequences=sequences)
        return layers.Bidirectional(inner, merge_mode=merge_mode, name="bi")(x)

    return _model(keras, body)


def two_layers_in_one(keras: Any) -> Any:
    """A Bidirectional of two LSTMs that differ, the forward one of which goes backwards."""

    def body(layers: Any, x: Any) -> Any:
        forward = layers.LSTM(4, return_sequences=True, go_backwards=True, activation="linear")
        backward = layers.LSTM(2, return_sequences=True, use_bias=False)
        return layers.Bidirectional(forward, backward_layer=backward, name="bi")(x)

    return _model(keras, body)


def tagger(keras: Any) -> Any:
    """Two Bidirectional LSTMs and a softmax at every step, in a Sequential."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((None, 3), name="x"),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="one"),
            layers.Dropout(0.5),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum", name="two"),
            layers.TimeDistributed(layers.Dense(5, activation="tanh"), name="dense"),
            layers.TimeDistributed(layers.Activation("softmax"), name="softmax"),
        ],
        name="tagger",
    )


def autoencoder(keras: Any) -> Any:
    """LSTM, RepeatVector, LSTM, TimeDistributed(Dense): what most people mean by an LSTM autoencoder."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((STEPS, 3), name="x"),
            layers.LSTM(4, name="encoder"),
            layers.RepeatVector(STEPS),
            layers.LSTM(4, return_sequences=True, name="decoder"),
            layers.TimeDistributed(layers.Dense(3), name="dense"),
        ],
        name="autoencoder",
    )


def bidirectional_encoder(keras: Any) -> Any:
    """A Bidirectional's states, joined, are what a decoder begins with."""

    def body(layers: Any, x: Any) -> Any:
        encoded, *states = layers.Bidirectional(layers.LSTM(2, return_state=True), name="encoder")(x)
        h = layers.Concatenate(name="h")([states[0], states[2]])
        c = layers.Concatenate(name="c")([states[1], states[3]])
        repeated = layers.RepeatVector(4)(encoded)
        decoded = layers.LSTM(4, return_sequences=True, name="decoder")(repeated, initial_state=[h, c])
        return [layers.Dense(2, name="dense")(decoded), h]

    return _model(keras, body)


def begun_bidirectional(keras: Any) -> Any:
    """A Bidirectional that begins with another one's states."""

    def body(layers: Any, x: Any) -> Any:
        first, *states = layers.Bidirectional(layers.LSTM(2, return_sequences=True, return_state=True), name="one")(x)
        return layers.Bidirectional(layers.LSTM(2), name="two")(first, initial_state=states)

    return _model(keras, body)


def flattened(keras: Any) -> Any:
    """All steps as one vector, a Dense, and the vector cut into steps again."""

    def body(layers: Any, x: Any) -> Any:
        sequence = layers.LSTM(4, return_sequences=True, name="lstm")(x)
        vector = layers.Dense(6, name="dense")(layers.Flatten()(sequence))
        steps = layers.LSTM(3, name="again")(layers.Reshape((3, 2))(vector))
        return [vector, steps, layers.Reshape((-1, 8))(sequence), layers.Flatten()(sequence)]

    return _model(keras, body, STEPS)


def cut_input(keras: Any) -> Any:
    """The model's input cut into other steps; an LSTM reads them from the last one."""

    def body(layers: Any, x: Any) -> Any:
        return layers.LSTM(3, go_backwards=True, return_sequences=True, name="lstm")(layers.Reshape((2, 9))(x))

    return _model(keras, body, STEPS)


def merged(keras: Any) -> Any:
    """Every merge layer on two or three tensors, at steps and behind the last one."""

    def body(layers: Any, x: Any) -> Any:
        sequences = [layers.LSTM(3, return_sequences=True, name=f"s{i}", go_backwards=i == 2)(x) for i in range(3)]
        vectors = [layers.LSTM(2, name=f"v{i}", go_backwards=i == 1)(x) for i in range(2)]
        kinds = ("Concatenate", "Add", "Multiply", "Average", "Maximum", "Minimum")
        outputs = [getattr(layers, kind)(name=f"{kind}_s".lower())([*sequences, x]) for kind in kinds]
        outputs += [getattr(layers, kind)(name=f"{kind}_v".lower())(vectors) for kind in kinds]
        outputs.append(layers.Subtract(name="difference")([x, sequences[1]]))
        return [*outputs, layers.LSTM(2, name="last")(outputs[0])]

    return _model(keras, body)


def residual(keras: Any) -> Any:
    """What an LSTM reads is added to what it gives; one pass."""

    def body(layers: Any, x: Any) -> Any:
        first = layers.LSTM(3, return_sequences=True, name="first")(x)
        return layers.Dense(2, name="dense")(layers.LSTM(4, name="second")(layers.Add()([x, first])))

    return _model(keras, body)


def several_inputs(keras: Any) -> Any:
    """Two sequences of equally many steps, joined; one of other steps; a vector that is read in every way."""
    layers = keras.layers
    x, same = keras.Input((None, 3), name="x"), keras.Input((None, 2), name="same")
    longer, vector = keras.Input((9, 2), name="longer"), keras.Input((4,), name="vector")
    joined = layers.LSTM(4, return_sequences=True, name="joined")(layers.Concatenate()([x, same]))
    encoded = layers.LSTM(3, name="encoder")(longer)
    decoded = layers.LSTM(4, return_sequences=True, name="decoder")(joined, initial_state=[vector, vector])
    repeated = layers.LSTM(2, name="repeated")(layers.RepeatVector(5)(vector))
    last = layers.Dense(3, name="dense")(layers.Concatenate(name="last")([encoded, repeated, vector]))
    return keras.Model([vector, x, longer, same], [decoded, last], name="several_inputs")


def translator(keras: Any) -> Any:
    """An encoder and a decoder that reads a sequence of other steps, both open, as in every tutorial."""
    layers = keras.layers
    source, target = keras.Input((None, 3), name="source"), keras.Input((None, 2), name="target")
    _, h, c = layers.LSTM(4, return_state=True, name="encoder")(source)
    decoder = layers.LSTM(4, return_sequences=True, return_state=True, name="decoder")
    decoded, *_ = decoder(target, initial_state=[h, c])
    return keras.Model(
        [source, target], layers.Dense(5, activation="softmax", name="words")(decoded), name="translator"
    )


def pooled(keras: Any) -> Any:
    """Batch normalization in the middle, and all steps as one vector by average and maximum."""

    def body(layers: Any, x: Any) -> Any:
        statistics = {
            "moving_mean_initializer": keras.initializers.RandomNormal(stddev=0.3, seed=1),
            "moving_variance_initializer": keras.initializers.RandomUniform(0.5, 2.0, seed=2),
            "beta_initializer": keras.initializers.RandomNormal(seed=3),
        }
        sequence = layers.LSTM(4, return_sequences=True, name="first")(x)
        normal = layers.BatchNormalization(name="normal", **statistics)(sequence)
        second = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="bi")(normal)
        mean = layers.GlobalAveragePooling1D(name="mean")(second)
        largest = layers.GlobalMaxPooling1D(name="largest")(second)
        both = layers.Concatenate(name="both")([mean, largest])
        last = layers.BatchNormalization(name="last", center=False, scale=False, **statistics)(both)
        return [normal, mean, largest, layers.Dense(2, name="dense")(last)]

    return _model(keras, body)


def with_masking(keras: Any, mask_value: float = -1.0) -> Any:
    """A Masking layer, read by a Bidirectional, a head at every step and a head behind the last one."""

    def body(layers: Any, x: Any) -> Any:
        kept = layers.Masking(mask_value=mask_value)(x)
        sequence = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="bi")(kept)
        return [sequence, layers.Dense(2, name="dense")(kept), layers.LSTM(2, name="last")(sequence)]

    return _model(keras, body)


MODELS: dict[str, Callable[[Any], Any]] = {
    "backwards": backwards,
    **{
        f"bidirectional {mode} {'sequences' if sequences else 'last'}": partial(
            bidirectional, merge_mode=mode, sequences=sequences
        )
        for mode in ("concat", "sum", "mul", "ave", None)
        for sequences in (True, False)
    },
    "two layers in one": two_layers_in_one,
    "tagger": tagger,
    "autoencoder": autoencoder,
    "bidirectional encoder": bidirectional_encoder,
    "begun bidirectional": begun_bidirectional,
    "flattened": flattened,
    "cut input": cut_input,
    "merged": merged,
    "residual": residual,
    "masking": with_masking,
    "pooled": pooled,
    "several inputs": several_inputs,
    "translator": translator,
}
"""Every model by a name for test ids."""
