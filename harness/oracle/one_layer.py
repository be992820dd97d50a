"""One LSTM of a model alone: Keras runs the whole model, and what it gives that layer is what the device is given.

Any model that Keras can load qualifies, whatever layers are before and behind the LSTM.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputsRefused, ModelRefused
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.nodes import LstmNode, Source
from harness.model.spec import ModelSpec
from harness.model.whole import InputSpec, WholeInputs
from harness.oracle.calls import all_layers, class_name, flat
from harness.oracle.graph import graph_of, name_of
from harness.oracle.layers import check_dtype, lstm_node
from harness.oracle.refusals import CONTAINERS
from harness.oracle.runtime import KerasApi, api_of, quiet
from harness.protocol.wire import Tap


@dataclass(frozen=True)
class Captured:
    """What one LSTM was given, and what it returned.

    Attributes:
        inputs: x, mask and initial states of the layer; with go_backwards it reads them from the last step.
        returned: by the names of the outputs, what the layer gave.
    """

    inputs: Inputs
    returned: dict[str, Float32Array]


def lstm_layers(keras_model: Any) -> dict[str, Any]:
    """The LSTMs of a model and of the models inside it, by name.

    Those of a Bidirectional wrapper are `<wrapper>.forward` and `<wrapper>.backward`.
    """
    found: dict[str, Any] = {}
    for layer in getattr(keras_model, "layers", ()):
        kind = class_name(layer)
        if kind in CONTAINERS:
            found.update(lstm_layers(layer))
        elif kind == "LSTM":
            found[layer.name] = layer
        elif kind == "Bidirectional":
            halves = {"forward": layer.forward_layer, "backward": layer.backward_layer}
            found.update({f"{layer.name}.{half}": of for half, of in halves.items() if class_name(of) == "LSTM"})
    return found


def lstms_called_once(keras_model: Any) -> list[str]:
    """Names of the LSTMs that can be run alone; all of them where the model's calls cannot be followed."""
    layers = lstm_layers(keras_model)
    try:
        called = [step.layer for step in graph_of(keras_model).steps]
    except ModelRefused:
        return list(layers)
    halves = [getattr(layer, half, None) for layer in called for half in ("forward_layer", "backward_layer")]
    calls = Counter(map(id, [*called, *halves]))
    return [name for name, layer in layers.items() if calls[id(layer)] < 2]


def chosen_layer(keras_model: Any, name: str) -> Any:
    """The LSTM of that name.

    Raises:
        ModelRefused: there is none; the message lists those that there are.
    """
    layers = lstm_layers(keras_model)
    if name not in layers:
        raise ModelRefused(
            f"Model '{keras_model.name}' has no LSTM named '{name}'.",
            code="layer_not_found",
            remedy=f"Its LSTMs: {', '.join(layers)}." if layers else "It has no LSTM: nothing can be validated.",
        )
    return layers[name]


def layer_spec(keras_model: Any, name: str) -> ModelSpec:
    """A network of one LSTM of a model.

    Raises:
        ModelRefused: there is no such layer, or it has an option that is not run.
    """
    layer = chosen_layer(keras_model, name)
    check_dtype(layer)
    node: LstmNode = replace(lstm_node(layer, name), source=Source(reverse=True) if layer.go_backwards else None)
    states = (Source(0, Tap.STATE_H), Source(0, Tap.STATE_C)) if layer.return_state else ()
    return ModelSpec(keras_model.name, "x", node.input_size, None, (node,), (0, *states))


def input_specs(keras_model: Any) -> tuple[InputSpec, ...]:
    """What a whole model reads.

    Raises:
        ModelRefused: it was never built.
    """
    if not getattr(keras_model, "inputs", None):
        raise ModelRefused(
            f"Model '{keras_model.name}' was never built: it has no inputs.",
            code="structure_not_supported",
            remedy="Build it with an Input, or call it once, before it is saved.",
        )
    limits = _embedding_limits(keras_model)
    return tuple(
        InputSpec(
            name=name_of(tensor),
            shape=tuple(None if size is None else int(size) for size in tensor.shape),
            dtype=str(getattr(tensor.dtype, "name", tensor.dtype)),
            below=limits.get(place),
        )
        for place, tensor in enumerate(keras_model.inputs)
    )


def capture(keras_model: Any, name: str, given: WholeInputs) -> Captured:
    """Runs the whole model in Keras, at inference, on the CPU, and keeps what one LSTM is given and returns.

    Raises:
        InputsRefused: Keras cannot run the model on these inputs, or not exactly one time through the layer.
    """
    keras, layer = api_of(keras_model), chosen_layer(keras_model, name)
    runs = []
    with quiet(), keras.on_cpu(), _recorded(layer) as records:
        for is_fresh, call in given.each_call():
            for each in all_layers(keras_model) if is_fresh else ():
                if getattr(each, "stateful", False) and hasattr(each, "cell"):
                    each.reset_states()
            records.clear()
            _call(keras, keras_model, call)
            if len(records) != 1:
                raise InputsRefused(
                    f"Keras calls layer '{name}' {len(records)} times in one run of model '{keras_model.name}'.",
                    code="layer_not_called_once",
                    remedy="Choose a layer that the model calls once.",
                )
            runs.append(_one_run(name, *records[0]))
    arrays = {key: np.stack([run[key] for run in runs]) if given.reset_before is not None else runs[0][key]
              for key in runs[0]}  # fmt: skip
    returned = {key: arrays.pop(key) for key in list(arrays) if key.startswith("output")}
    x, mask = arrays.pop("x"), arrays.pop("mask", None)
    note = f"x is what Keras gives layer '{name}' for {given.text}"
    inputs = Inputs(x, mask, arrays, given.reset_before, given.seed, (*given.notes, note))
    return Captured(inputs, returned)


def _one_run(name: str, arguments: dict[str, Any], returned: Any) -> dict[str, NDArray[Any]]:
    """The arrays of one call of the layer."""
    first, *_ = arguments.values()
    arrays: dict[str, NDArray[Any]] = {"x": np.asarray(first, dtype=np.float32)}
    mask = flat(arguments.get("mask"))
    if mask:
        arrays["mask"] = np.asarray(mask[0], dtype=np.bool_)
    states = flat(arguments.get("initial_state"))
    arrays.update(
        {f"{name}.{key}": np.asarray(state, dtype=np.float32) for key, state in zip(("h0", "c0"), states, strict=False)}
    )
    values = [np.asarray(value, dtype=np.float32) for value in flat(returned)]
    names = ["output"] if len(values) == 1 else [f"output.{place}" for place in range(len(values))]
    return {**arrays, **dict(zip(names, values, strict=True))}


def _call(keras: KerasApi, keras_model: Any, given: WholeInputs) -> None:
    structure = keras_model.inputs[0] if len(keras_model.inputs) == 1 else keras_model.input
    x = keras.map_structure(lambda tensor: keras.tensor(given.arrays[name_of(tensor)]), structure)
    mask = None if given.mask is None else keras.tensor(given.mask)
    try:
        keras_model(x, mask=mask, training=False)
    # The model is Keras' own code throughout; what it dislikes are the values, as a token that an Embedding has not.
    except Exception as error:
        reason = _reason(error)
        raise InputsRefused(
            f"Keras cannot run model '{keras_model.name}' on {given.text}: {reason}",
            code="inputs_not_run",
            remedy="Call the model in Python with the same arrays to see all of Keras' message.",
        ) from error


def _reason(error: Exception) -> str:
    """The first line that says something; Keras puts one before it that only names the layer."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Exception encountered when calling" not in line]
    return next(iter(telling or lines), type(error).__name__)


@contextmanager
def _recorded(layer: Any) -> Iterator[list[tuple[dict[str, Any], Any]]]:
    """The arguments of every call of a layer and what it returned: Keras has put the mask in by then."""
    records: list[tuple[dict[str, Any], Any]] = []
    original = layer.call
    signature = inspect.signature(original)

    def call(*args: Any, **kwargs: Any) -> Any:
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        returned = original(*args, **kwargs)
        records.append((arguments, returned))
        return returned

    # Past Keras' own __setattr__, which keeps books of what a layer holds.
    vars(layer)["call"] = call
    try:
        yield records
    finally:
        del vars(layer)["call"]


def _embedding_limits(keras_model: Any) -> dict[int, int]:
    """By the place of an input, how many different integers the Embeddings know that read it."""
    try:
        graph = graph_of(keras_model)
    except ModelRefused:
        return {}  # then nobody can say
    limits: dict[int, int] = {}
    for step in graph.steps:
        if class_name(step.layer) == "Embedding" and step.sources and step.sources[0].step is None:
            place, known = step.sources[0].index, int(step.layer.input_dim)
            limits[place] = min(known, limits.get(place, known))
    return limits
