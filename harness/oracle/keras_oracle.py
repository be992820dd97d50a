"""Keras' own float32 values of every tensor that the device is judged by.

A Keras layer does not give away the cell state of every step, so three things are run on the same batch and have to
agree bit for bit, or there is no verdict:

    the model itself      -> `output`
    a twin of each LSTM   -> h of every step and the last states: same configuration and weights, all outputs returned
    Keras' own LSTMCell   -> c of every step, stepped by us; its h must be the twin's

Everything is called eagerly and at once with the batch as given: no tf.function to trace, no `predict` to cut batches.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import InputsRefused, OracleError
from harness.model.array_types import BoolArray, Float32Array
from harness.model.calls import run_calls
from harness.model.inputs import Inputs
from harness.model.nodes import LstmNode, MergeNode, PoolNode, Source, as_source, sources_of
from harness.model.views import OPERATIONS, directed, viewed
from harness.oracle.gates import GateTap, tapped
from harness.oracle.graph import name_of
from harness.oracle.load import LoadedModel
from harness.oracle.one_layer import Captured
from harness.oracle.runtime import KERAS_2, KerasApi, api_of, quiet
from harness.protocol.wire import Tap

_RETURNED = (Tap.OUTPUT, Tap.STATE_H, Tap.STATE_C)
"""What an LSTM returns, in Keras' order."""


@dataclass(frozen=True)
class Expected:
    """What the device should compute.

    Attributes:
        tensors: float32 arrays: for each LSTM `<layer>.h` and `<layer>.c` (B, T, units), `<layer>.h_last` and
            `<layer>.c_last` (B, units), where they are wanted `<layer>.z` and `<layer>.gates` (B, T, 4 units), the
            gates i, f, c, o before and after their activations, 0 at masked steps; then `output` as the model returns
            it, or `output.0`, `output.1`, ... With calls each has a leading N.
        oracle: who computed them.
        versions: what the values depend on.
    """

    tensors: dict[str, Float32Array]
    oracle: str
    versions: dict[str, str]


def expected(loaded: LoadedModel, inputs: Inputs, *, gates: bool = False) -> Expected:
    """Runs the model in Keras, float32, at inference, on the CPU.

    Args:
        loaded: the model.
        inputs: x (B, T, input_size) with T as the model has it; a mask is given to the model's mask input, or as
            `mask=` where it has none, initial states to their layers as `initial_state=`.
        gates: the values of the gates are wanted too.

    Raises:
        InputsRefused: the model fixes another batch size, or has a mask input and there is no mask; or a stateful layer
            of Keras 2 is given states in several calls.
        OracleError: Keras' model, layers and cells do not agree bit for bit.
    """
    check_inputs(loaded, inputs)
    return _judged(loaded, inputs, lambda: _run_own(api_of(loaded.keras_model), loaded, inputs), gates=gates)


def expected_of_layer(loaded: LoadedModel, captured: Captured, *, gates: bool = False) -> Expected:
    """The same of one LSTM alone, on what Keras gave it.

    Args:
        loaded: the model, with its `layer`.
        captured: what `one_layer.capture` kept.
        gates: the values of the gates are wanted too.

    Raises:
        InputsRefused, OracleError: see `expected`.
    """
    return _judged(loaded, captured.inputs, lambda: captured.returned, gates=gates)


def _judged(
    loaded: LoadedModel, inputs: Inputs, run: Callable[[], dict[str, Float32Array]], *, gates: bool
) -> Expected:
    """Every LSTM's tensors, and what Keras' own run returned, which must be what these lead to."""
    keras = api_of(loaded.keras_model)
    if keras.name == KERAS_2 and inputs.reset_before is not None:
        _refuse_given_states(loaded, inputs)
    with quiet(), keras.on_cpu():
        tensors = run_calls(loaded.spec, inputs, lambda call: _run_twins(keras, loaded, call, gates=gates))
        returned = run()
    for name, array in returned.items():
        require_identical(f"{name} of model '{loaded.spec.name}'", array, "that of its layers", tensors[name])
    return Expected(tensors={**tensors, **returned}, oracle=keras.name, versions=keras.versions())


def _refuse_given_states(loaded: LoadedModel, inputs: Inputs) -> None:
    for _, node in loaded.spec.lstm_nodes():
        if node.stateful and (node.initial is not None or f"{node.name}.h0" in inputs.initial):
            raise InputsRefused(
                f"LSTM '{node.name}' is stateful and given initial states; Keras 2 takes them only while what it "
                "carries is zero, Keras 3 always.",
                code="inputs_unknown",
                remedy="Give the calls one by one as x, or save the layer with stateful=False.",
            )


def check_inputs(loaded: LoadedModel, inputs: Inputs) -> None:
    """Whether a model can be called with these inputs at all.

    Raises:
        InputsRefused: the model fixes another batch size, or has a mask input and there is no mask.
    """
    batch = loaded.spec.batch
    if batch not in (None, inputs.batch):
        raise InputsRefused(
            f"Model '{loaded.spec.name}' fixes a batch of {batch}; the inputs have {inputs.batch}.",
            code="inputs_shape",
            remedy=f"Give {batch} sequences (--batch {batch}), or save the model with an open batch.",
        )
    if loaded.spec.mask_input is not None and inputs.mask is None:
        raise InputsRefused(
            f"The inputs have no mask for '{loaded.spec.mask_input}', the mask input of model '{loaded.spec.name}'.",
            code="inputs_missing",
            remedy="Give a bool mask (batch, steps): True where the step counts.",
        )


def require_identical(what: str, first: Float32Array, other_name: str, other: Float32Array) -> None:
    """Raises OracleError unless both are the same, bit for bit but for the payload of a NaN and the sign of a zero."""
    if first.shape == other.shape and np.array_equal(first, other, equal_nan=True):
        return
    distance = f"{np.nanmax(np.abs(first - other)):.3g}" if first.shape == other.shape else "the shape"
    raise OracleError(
        f"Keras contradicts itself: the {what} and {other_name} differ by {distance}.",
        code="keras_inconsistent",
        remedy="Report this with the model: on one machine Keras has always given the same bits.",
    )


def _beside_model(loaded: LoadedModel, inputs: Inputs) -> bool:
    """Whether there are initial states that are no inputs of the model, so that its own call cannot take them."""
    taken = {state for states in loaded.spec.state_inputs.values() for state in states}
    return not inputs.initial.keys() <= taken


def _run_own(keras: KerasApi, loaded: LoadedModel, inputs: Inputs) -> dict[str, Float32Array]:
    """The outputs of the model's own calls; stateful layers carry their states themselves."""
    stateful = [layer for layer in loaded.layers if getattr(layer, "stateful", False)]
    run = _call_layers if _beside_model(loaded, inputs) else _call_model
    results = []
    for is_fresh, call in inputs.each_call():
        for layer in stateful if is_fresh else ():
            layer.reset_states()
        results.append(run(keras, loaded, call))
    if inputs.reset_before is None:
        return results[0]
    return {name: np.stack([result[name] for result in results]) for name in results[0]}


def _call_model(keras: KerasApi, loaded: LoadedModel, inputs: Inputs) -> dict[str, Float32Array]:
    """One call of the model."""
    model, spec = loaded.keras_model, loaded.spec
    arrays: dict[str, Any] = {spec.input_name: inputs.x, **inputs.beside}
    if spec.mask_input is not None:
        arrays[spec.mask_input] = inputs.mask
    arrays.update({name: inputs.initial[states[0]] for name, states in spec.state_inputs.items()})
    given = {name: keras.tensor(array) for name, array in arrays.items()}
    mask: Any = None
    if spec.mask_input is None and inputs.mask is not None:
        # One for each input, for Keras leaves out what is None. That of a vector is read by nobody.
        nothing = np.ones((inputs.batch, 1), dtype=np.bool_)
        masks = [inputs.mask if name_of(each) == spec.input_name else nothing for each in model.inputs]
        mask = keras.tensor(masks[0]) if len(masks) == 1 else [keras.tensor(each) for each in masks]
    # In the order, or by the names, that the model was made with. A Sequential one has no `input` before it is called.
    structure = model.inputs[0] if len(model.inputs) == 1 else model.input
    x = keras.map_structure(lambda tensor: given[name_of(tensor)], structure)
    returned = keras.flatten(model(x, mask=mask, training=False))
    return {name: _array(tensor) for name, tensor in zip(spec.output_names, returned, strict=True)}


_RunLstm = Callable[[LstmNode, Any, Any, list[Any]], tuple[Any, ...]]
"""(node, Keras layer, sequence, initial states) -> its output, and the states that it ends with if it returns them."""


def _compute(keras: KerasApi, loaded: LoadedModel, inputs: Inputs, run_lstm: _RunLstm) -> dict[str, Float32Array]:
    """The model's outputs from its own layers, node by node."""
    spec = loaded.spec
    given = inputs.arrays(spec)
    values: dict[tuple[int, Tap], Any] = {}

    def value_of(source: Source) -> Float32Array:
        return given[source.input] if source.node is None else _array(values[source.node, source.tap])

    for index, (node, layer) in enumerate(zip(spec.nodes, loaded.layers, strict=True)):
        read = [viewed(value_of(each), each, node.phase) for each in sources_of(node)]
        if isinstance(node, LstmNode):  # a layer with go_backwards turns its sequence itself
            sequence, *states = map(keras.tensor, read)
            returned = run_lstm(node, layer, sequence, states or _initial_states(keras, node, inputs))
            values.update({(index, tap): value for tap, value in zip(_RETURNED, returned, strict=False)})
        elif isinstance(node, MergeNode):
            turned = [directed(array, source) for array, source in zip(read, node.sources, strict=True)]
            values[index, Tap.OUTPUT] = OPERATIONS[node.operation](turned)
        elif isinstance(node, PoolNode) and node.masked:
            _, mask = inputs.seen_by(spec)
            values[index, Tap.OUTPUT] = layer(keras.tensor(read[0]), mask=None if mask is None else keras.tensor(mask))
        else:
            values[index, Tap.OUTPUT] = layer(keras.tensor(read[0]))
    return {name: value_of(as_source(each)) for name, each in zip(spec.output_names, spec.outputs, strict=True)}


def _call_layers(keras: KerasApi, loaded: LoadedModel, inputs: Inputs) -> dict[str, Float32Array]:
    """One call of the model's own layers, one after the other: a model's call takes no initial states."""
    _, mask = inputs.seen_by(loaded.spec)

    def run(node: LstmNode, layer: Any, sequence: Any, states: list[Any]) -> tuple[Any, ...]:
        has_own = node.stateful and node.initial is None and f"{node.name}.h0" not in inputs.initial
        initial = None if has_own else states
        returned = layer(sequence, initial_state=initial, mask=_mask(keras, node, mask), training=False)
        return tuple(returned) if layer.return_state else (returned,)

    return _compute(keras, loaded, inputs, run)


def _run_twins(keras: KerasApi, loaded: LoadedModel, inputs: Inputs, *, gates: bool) -> dict[str, Float32Array]:
    """Every LSTM's tensors, and the outputs with the twins in place of the layers."""
    tensors: dict[str, Float32Array] = {}
    _, mask = inputs.seen_by(loaded.spec)

    def run(node: LstmNode, layer: Any, sequence: Any, states: list[Any]) -> tuple[Any, ...]:
        twin = _twin(keras, layer, sequence.shape)
        h, h_last, c_last = twin(sequence, initial_state=states, mask=_mask(keras, node, mask), training=False)
        of_twin = {"h": _array(h), "h_last": _array(h_last), "c_last": _array(c_last)}
        with tapped(twin.cell) if gates else nullcontext() as tap:
            of_cell = _step_cell(keras, twin.cell, node, sequence, states, mask, tap)
        for name, array in of_twin.items():
            require_identical(f"{name} of LSTM '{node.name}'", array, "that of its LSTMCell", of_cell[name])
        tensors.update({f"{node.name}.{name}": array for name, array in of_cell.items()})
        return h if node.return_sequences else h[:, -1], h_last, c_last

    outputs = _compute(keras, loaded, inputs, run)
    return {**tensors, **outputs}


def _twin(keras: KerasApi, layer: Any, input_shape: Any) -> Any:
    """The same LSTM with the same weights, which returns the output of every step and the states."""
    config = {**layer.get_config(), "name": f"{layer.name}_twin", "return_sequences": True, "return_state": True}
    config["stateful"] = False  # it is given its states
    if getattr(layer, "_could_use_gpu_kernel", False):
        # Keras 2 then ignores what the layer says of its implementation, but its cell does not.
        config["implementation"] = 2
    twin = keras.layers.LSTM.from_config(config)
    twin.build(input_shape)
    twin.set_weights(layer.get_weights())
    return twin


def _step_cell(
    keras: KerasApi,
    cell: Any,
    node: LstmNode,
    sequence: Any,
    states: list[Any],
    mask: BoolArray | None,
    tap: GateTap | None,
) -> dict[str, Float32Array]:
    """Steps Keras' LSTMCell and applies the mask as Keras' RNN loop does (keras/src/backend/tensorflow/rnn.py)."""
    h, c = (_array(state) for state in states)
    output = np.zeros_like(h)
    outputs, cells = [], []
    sums: list[Float32Array] = []
    gates: list[Float32Array] = []
    steps = list(keras.steps(sequence))
    order = range(len(steps))[::-1] if as_source(node.source).reverse else range(len(steps))
    for step in order:
        old_c = keras.tensor(c)
        _, new_states = cell(steps[step], [keras.tensor(h), old_c], training=False)
        new_h, new_c = (_array(state) for state in new_states)
        valid = np.ones((len(h), 1), np.bool_)
        if node.masked and mask is not None:
            valid = mask[:, step, np.newaxis]
            output = np.where(valid, new_h, np.float32(0) if node.zero_output_for_mask else output)
            h, c = np.where(valid, new_h, h), np.where(valid, new_c, c)
        else:
            output, h, c = new_h, new_h, new_c
        outputs.append(output)
        cells.append(c)
        if tap is not None:
            for values, of_step in zip((sums, gates), tap.take(old_c, new_h, new_c), strict=True):
                values.append(np.where(valid, of_step, np.float32(0)))
    of_cell = {"h": np.stack(outputs, axis=1), "c": np.stack(cells, axis=1), "h_last": h, "c_last": c}
    return of_cell if tap is None else {**of_cell, "z": np.stack(sums, axis=1), "gates": np.stack(gates, axis=1)}


def _initial_states(keras: KerasApi, node: LstmNode, inputs: Inputs) -> list[Any]:
    zeros = np.zeros((inputs.batch, node.units), dtype=np.float32)
    return [keras.tensor(inputs.initial.get(f"{node.name}.{state}", zeros)) for state in ("h0", "c0")]


def _mask(keras: KerasApi, node: LstmNode, mask: BoolArray | None) -> Any:
    """The mask that an LSTM obeys."""
    return keras.tensor(mask) if node.masked and mask is not None else None


def _array(tensor: Any) -> Float32Array:
    return np.asarray(tensor, dtype=np.float32)
