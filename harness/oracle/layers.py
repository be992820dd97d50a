"""Keras layers -> the nodes of a ModelSpec. What the device cannot run is refused by layer and option."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.model.spec import (
    ActivationNode,
    DenseNode,
    Float32Array,
    LstmNode,
    ModelSpec,
    Node,
    Source,
    SourceLike,
    gives_sequence,
)
from harness.oracle.calls import class_name
from harness.oracle.graph import Graph, Step, Value, graph_of
from harness.oracle.model_inputs import ModelInputs, model_inputs
from harness.oracle.refusals import LAYERS, refused_layer, refused_option, refused_structure
from harness.oracle.runtime import KERAS_3, KerasApi, api_of, hard_sigmoid_keras2
from harness.protocol.wire import Activation, Phase, Tap

_STATES = (Tap.STATE_H, Tap.STATE_C)
"""What an LSTM with return_state=True returns behind its output, and what it takes as initial_state."""


@dataclass(frozen=True)
class Lowered:
    """A Keras model as the device would run it.

    Attributes:
        spec: the network.
        layers: the Keras layer of each node of `spec`, in the same order.
    """

    spec: ModelSpec
    layers: tuple[Any, ...]


def lower(keras_model: Any) -> Lowered:
    """Makes nodes of a Keras model's layers.

    Args:
        keras_model: a built Sequential or Functional model.

    Raises:
        ModelRefused: it holds something that this version does not run.
    """
    graph = graph_of(keras_model)
    return _Lowering(graph).done()


def model_spec(keras_model: Any) -> ModelSpec:
    """`lower` without the layers."""
    return lower(keras_model).spec


class _Lowering:
    """Goes through a graph in its order."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: list[Node] = []
        self._layers: list[Any] = []
        for step in graph.steps:
            if class_name(step.layer) not in LAYERS:
                raise refused_layer(step.layer.name, class_name(step.layer))
        self._inputs: ModelInputs = model_inputs(graph)
        self._values: dict[tuple[int | None, int], Source] = {(None, self._inputs.sequence): Source()}

    def done(self) -> Lowered:
        for index, step in enumerate(self._graph.steps):
            self._lower(index, step)
        self._check_names()
        graph, inputs = self._graph, self._inputs
        lstms = [node for node in self._nodes if isinstance(node, LstmNode)]
        if not lstms:
            raise refused_structure(f"Model '{graph.name}' has no LSTM layer.")
        if inputs.mask_name is not None and not any(node.masked for node in lstms):
            raise refused_structure(
                f"Input '{inputs.mask_name}' of model '{graph.name}' is bool, and no LSTM has it as its `mask=`."
            )
        spec = ModelSpec(
            name=graph.name,
            input_name=inputs.name,
            input_size=inputs.size,
            steps=inputs.steps,
            nodes=tuple(self._nodes),
            outputs=tuple(self._output(value) for value in graph.outputs),
            mask_input=inputs.mask_name,
            batch=inputs.batch,
        )
        return Lowered(spec, tuple(self._layers))

    def _lower(self, index: int, step: Step) -> None:
        source = self._source(step)
        if class_name(step.layer) == "Dropout":  # at inference it returns what it is given
            self._values[index, 0] = source
            return
        self._nodes.append(self._node(step, source))
        self._layers.append(step.layer)
        taps = (Tap.OUTPUT, *_STATES) if class_name(step.layer) == "LSTM" else (Tap.OUTPUT,)
        for place, tap in enumerate(taps):
            self._values[index, place] = Source(len(self._nodes) - 1, tap)

    def _source(self, step: Step) -> Source:
        """What a layer reads; its call may have nothing else that is not run."""
        name = step.layer.name
        is_lstm = class_name(step.layer) == "LSTM"
        for mask in step.masks:
            if mask is not None and not is_lstm:
                raise refused_option(
                    name,
                    f"{self._graph.describe(mask)} as its mask",
                    "Give the mask to LSTM layers only; at every step use keras.layers.Activation('softmax').",
                )
            if mask is not None and (mask.step is not None or mask.index != self._graph.mask_input):
                raise refused_option(
                    name,
                    f"{self._graph.describe(mask)} as its mask",
                    "Make the mask a bool Input of the model, and give it as it is.",
                )
        if step.extras:
            raise refused_option(
                name,
                f"more than its input in its call ({', '.join(step.extras)})",
                "Call it without `training` and the like; `mask=` and `initial_state=` may be Inputs of the model.",
            )
        if len(step.sources) != 1:
            raise refused_structure(f"Layer '{name}' reads {len(step.sources)} tensors; this version runs one.")
        (value,) = step.sources
        if (value.step, value.index) not in self._values:
            raise refused_structure(
                f"Layer '{name}' reads {self._graph.describe(value)}, which is no sequence; "
                "an input of [batch, units] is for the `initial_state=` of LSTM layers."
            )
        return self._values[value.step, value.index]

    def _is_sequence(self, source: Source) -> bool:
        return source.node is None or (source.tap is Tap.OUTPUT and gives_sequence(self._nodes[source.node]))

    def _node(self, step: Step, source: Source) -> Node:
        layer = step.layer
        phase = Phase.EVERY_STEP if self._is_sequence(source) else Phase.AFTER_LAST_STEP
        if layer.dtype_policy.name != "float32":
            raise refused_option(
                layer.name, f"the dtype {layer.dtype_policy.name}", "Make the model with dtype float32."
            )
        kind = class_name(layer)
        if kind == "LSTM":
            return self._lstm_node(step, source, phase)
        if kind == "Dense":
            return DenseNode(
                name=layer.name,
                source=_short(source),
                phase=phase,
                kernel=_weights(layer.kernel),
                bias=_weights(layer.bias) if layer.use_bias else None,
                activation=_activation(layer, "activation"),
            )
        units = self._inputs.size if source.node is None else self._nodes[source.node].units
        if kind == "Softmax":
            return ActivationNode(layer.name, _short(source), phase, units, _softmax(layer, phase))
        return ActivationNode(layer.name, _short(source), phase, units, _activation(layer, "activation"))

    def _lstm_node(self, step: Step, source: Source, phase: Phase) -> LstmNode:
        layer = step.layer
        if phase is Phase.AFTER_LAST_STEP:
            raise refused_structure(
                f"LSTM '{layer.name}' reads a layer that gives only its last output; "
                "it needs return_sequences=True there."
            )
        node = replace(lstm_node(layer, layer.name), source=_short(source), masked=step.masked)
        if not step.states:
            return node
        inputs = [self._inputs.states.get(value.index) if value.step is None else None for value in step.states]
        if len(step.states) == len(_STATES) and None not in inputs:
            return replace(node, h0_input=inputs[0], c0_input=inputs[1])
        sources = [self._values.get((value.step, value.index), Source()) for value in step.states]
        if len(sources) == len(_STATES) and not any(self._is_sequence(each) for each in sources):
            return replace(node, initial=(sources[0], sources[1]))
        raise refused_option(
            layer.name,
            f"{', '.join(map(self._graph.describe, step.states))} as its initial_state",
            "Give it h and c, both of them Inputs of the model or both from other layers, (batch, units) each.",
        )

    def _output(self, value: Value) -> int | Source:
        output = self._values.get((value.step, value.index), Source())
        if output.node is None:
            raise refused_structure(
                f"Model '{self._graph.name}' returns {self._graph.describe(value)} as it is; "
                "an output must be computed by one of its layers."
            )
        return output.node if output == Source(output.node) else output

    def _check_names(self) -> None:
        """Results are stored by the LSTM's name; other layers may be called twice."""
        names = [node.name for node in self._nodes if isinstance(node, LstmNode)]
        for name in names:
            if names.count(name) > 1:
                raise refused_structure(
                    f"Two steps of the model bear the name '{name}'; an LSTM's results are stored by its name.",
                    "Call each LSTM once, and give each another name.",
                )


def _short(source: Source) -> SourceLike:
    """An output as it is by its node's index alone."""
    return source.node if source == Source(source.node) else source


def lstm_node(layer: Any, name: str) -> LstmNode:
    """A Keras LSTM as a node that reads the model's input.

    Raises:
        ModelRefused: one of its options is not run.
    """
    remedies = {
        "go_backwards": "Reverse the steps in the inputs file, and save the layer with go_backwards=False.",
        "time_major": "Save it with time_major=False: inputs are sequence by sequence, step by step.",
    }
    for option, remedy in remedies.items():
        if getattr(layer, option, False):
            raise refused_option(layer.name, f"{option}=True", remedy)
    cell = layer.cell
    return LstmNode(
        name=name,
        source=None,
        phase=Phase.EVERY_STEP,
        kernel=_weights(cell.kernel),
        recurrent_kernel=_weights(cell.recurrent_kernel),
        bias=_weights(cell.bias) if cell.use_bias else None,
        activation=_activation(layer, "activation"),
        recurrent_activation=_activation(layer, "recurrent_activation"),
        zero_output_for_mask=bool(layer.zero_output_for_mask),
        return_sequences=bool(layer.return_sequences),
        stateful=bool(layer.stateful),
    )


def _softmax(layer: Any, phase: Phase) -> Activation:
    """A Softmax layer takes the mask as its own, which an Activation("softmax") does not: only behind the last step."""
    if layer.axis != -1 or phase is Phase.EVERY_STEP:
        raise refused_option(
            layer.name, f"axis={layer.axis} at every step", "Use keras.layers.Activation('softmax') instead."
        )
    return Activation.SOFTMAX


def _activation(layer: Any, option: str) -> Activation:
    function = getattr(layer, option)
    known = _known_activations(api_of(layer))
    if function not in known:
        names = ", ".join(sorted({each.name.lower() for each in known.values()}))
        raise refused_option(layer.name, f"{option}={getattr(function, '__name__', function)}", f"Use one of {names}.")
    return known[function]


def _known_activations(keras: KerasApi) -> dict[Any, Activation]:
    """Keras' functions, as far as this version of it has them."""
    by_name = {activation.name.lower(): activation for activation in Activation}
    aliases = {"celu": Activation.ELU, "swish": Activation.SILU, "hard_sigmoid": keras.hard_sigmoid}
    named = {**by_name, **aliases}.items()
    known = {
        getattr(keras.activations, name): activation for name, activation in named if hasattr(keras.activations, name)
    }
    if keras.name == KERAS_3:
        known[hard_sigmoid_keras2()] = Activation.HARD_SIGMOID_KERAS2
    return known


def _weights(variable: Any) -> Float32Array:
    array: Float32Array = np.array(variable.numpy(), dtype=np.float32)
    array.setflags(write=False)
    return array
