"""A Keras model's graph -> a ModelSpec, call by call. What the device cannot run is refused by layer and option."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from harness.model.nodes import LstmNode, Source
from harness.model.spec import ModelSpec
from harness.oracle.calls import class_name
from harness.oracle.graph import Graph, Step, Value, graph_of
from harness.oracle.layers import POOLS, check_dtype, lstm_node, plain_node, pool_node
from harness.oracle.model_inputs import ModelInputs, model_inputs
from harness.oracle.network import STATES, Network, Tensor, backwards, with_sources
from harness.oracle.refusals import (
    LAYERS,
    MERGES,
    SAME_AT_INFERENCE,
    refused_layer,
    refused_option,
    refused_structure,
)
from harness.oracle.reshapes import MERGE_MODES, RESHAPES, check_merge
from harness.oracle.runtime import KERAS_3, api_of


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
        for step in graph.steps:
            if class_name(step.layer) not in LAYERS:
                raise refused_layer(step.layer.name, class_name(step.layer))
        for problem in graph.problems:
            raise problem
        self._inputs: ModelInputs = model_inputs(graph)
        self._net = Network(self._inputs.read)
        self._tensors: dict[tuple[int | None, int], Tensor] = {
            (None, place): tensor for place, tensor in zip(self._inputs.places, self._net.inputs, strict=True)
        }
        self._mask_value: float | None = None
        self._mask_refuser: str | None = None

    def done(self) -> Lowered:
        for index, step in enumerate(self._graph.steps):
            for place, tensor in enumerate(self._lower(step)):
                self._tensors[index, place] = tensor
        graph, inputs = self._graph, self._inputs
        outputs = tuple(self._output(value) for value in graph.outputs)
        self._check_names()
        if any(value != self._mask_value for value in self._graph.mask_values):
            raise refused_structure(
                f"Model '{self._graph.name}' makes masks by itself, with {self._graph.mask_values[0]}.",
                "Let a Masking layer behind its input make them.",
            )
        lstms = [node for node in self._net.nodes if isinstance(node, LstmNode)]
        if not lstms:
            raise refused_structure(f"Model '{graph.name}' has no LSTM layer.")
        if inputs.mask_name is not None and not any(node.masked for node in lstms):
            raise refused_structure(
                f"Input '{inputs.mask_name}' of model '{graph.name}' is bool, and no LSTM has it as its `mask=`."
            )
        spec = ModelSpec(
            name=graph.name,
            input_name=inputs.read[0].name,
            input_size=inputs.read[0].size,
            steps=inputs.read[0].steps,
            nodes=tuple(self._net.nodes),
            outputs=outputs,
            mask_input=inputs.mask_name,
            mask_value=self._mask_value,
            mask_refuser=self._mask_refuser,
            batch=inputs.batch,
            beside=inputs.read[1:],
            one_length=self._net.one_length,
        )
        return Lowered(spec, tuple(self._net.layers))

    def _lower(self, step: Step) -> list[Tensor]:
        """What a layer gives."""
        layer, kind = step.layer, class_name(step.layer)
        self._check_call(step)
        tensors = [self._tensor(layer.name, value) for value in step.sources]
        check_dtype(layer)
        if kind in MERGES:
            self._check_merged_masks(step)
            return [self._net.merged(layer.name, check_merge(layer, tensors), MERGES[kind])]
        if len(tensors) != 1:
            raise refused_structure(f"Layer '{layer.name}' reads {len(tensors)} tensors; it can read one.")
        (tensor,) = tensors
        if kind in SAME_AT_INFERENCE:
            return [tensor]
        if kind == "LSTM":
            node = replace(lstm_node(layer, layer.name), masked=step.masked)
            output = self._lstm(node, layer, tensor, step, step.states)
            return [output, *self._net.states_of(output)]
        if kind == "Bidirectional":
            return self._bidirectional(step, tensor)
        if kind == "Masking":
            return [self._masking(layer, tensor)]
        if kind in POOLS:
            return [self._net.add(pool_node(layer, tensor, masked=step.masked), layer, tensor)]
        if kind in RESHAPES:
            return [RESHAPES[kind](self._net, layer, tensor)]
        return [self._net.add(plain_node(layer, tensor), layer, tensor)]

    def _check_call(self, step: Step) -> None:
        """A layer's call may have nothing beside its input that is not run."""
        name = step.layer.name
        takes_mask = class_name(step.layer) in ("LSTM", "Bidirectional", "GlobalAveragePooling1D")
        for mask in step.masks:
            if mask is not None and not takes_mask:
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

    def _check_merged_masks(self, step: Step) -> None:
        """Three merges of Keras 3 leave masked steps out of what they compute, which is not run."""
        layer = step.layer
        obeys = class_name(layer) in ("Multiply", "Maximum", "Minimum") and api_of(layer).name == KERAS_3
        if not obeys or not any(source.masked for source in step.sources):
            return
        if self._inputs.mask_name is not None or self._mask_value is not None:
            raise refused_option(
                layer.name, f"a mask in a {class_name(layer)}", "Use Concatenate or Add, which do not look at masks."
            )
        self._mask_refuser = layer.name

    def _tensor(self, name: str, value: Value) -> Tensor:
        """What a layer reads."""
        if (value.step, value.index) not in self._tensors:
            raise refused_structure(
                f"Layer '{name}' reads {self._graph.describe(value)}, which is no sequence; "
                "an input of [batch, units] is for the `initial_state=` of LSTM layers."
            )
        return self._tensors[value.step, value.index]

    def _lstm(self, node: LstmNode, layer: Any, tensor: Tensor, step: Step, states: tuple[Value, ...]) -> Tensor:
        """The output of an LSTM that reads `tensor` and begins with `states`."""
        if not tensor.is_sequence:
            raise refused_structure(
                f"LSTM '{node.name}' reads a layer that gives only its last output; "
                "it needs return_sequences=True there."
            )
        sequence = self._net.inputs[0]
        if node.masked and (tensor.steps, tensor.length_of) != (sequence.steps, sequence.length_of):
            raise refused_option(
                step.layer.name, "a mask of another number of steps", "Give it a mask of its own, or none."
            )
        inputs = [self._inputs.states.get(value.index) if value.step is None else None for value in states]
        given = [self._tensors.get((value.step, value.index), self._net.inputs[0]) for value in states]
        if not states:
            node = with_sources(node, tensor, ())
        elif len(states) == len(STATES) and None not in inputs:
            node = replace(with_sources(node, tensor, ()), h0_input=inputs[0], c0_input=inputs[1])
        elif len(states) == len(STATES) and not any(each.is_sequence for each in given):
            node = with_sources(node, tensor, [self._vector(each, node.name) for each in given])
        else:
            raise refused_option(
                step.layer.name,
                f"{', '.join(map(self._graph.describe, states))} as its initial_state",
                "Give it h and c, both of them Inputs of the model or both from other layers, (batch, units) each.",
            )
        return self._net.add(node, layer, tensor)

    def _vector(self, tensor: Tensor, name: str) -> Tensor:
        """A vector that can be taken over as it stands."""
        return tensor if not tensor.source.rows else self._net.copied(tensor, f"{name}.state")

    def _bidirectional(self, step: Step, tensor: Tensor) -> list[Tensor]:
        """Two LSTMs, and what their outputs are made into; the second one's sequence is turned round by Keras."""
        layer, net = step.layer, self._net
        count = len(step.states) // 2
        outputs = []
        for half, inner, states in (
            ("forward", layer.forward_layer, step.states[:count]),
            ("backward", layer.backward_layer, step.states[count:]),
        ):
            if class_name(inner) != "LSTM":
                raise refused_option(layer.name, f"a {class_name(inner)} in it", "Let it wrap an LSTM.")
            node = replace(lstm_node(inner, f"{layer.name}.{half}"), masked=step.masked)
            outputs.append(self._lstm(node, inner, tensor, step, states))
        forward, backward = outputs
        states_of_both = [*net.states_of(forward), *net.states_of(backward)]
        if layer.merge_mode is None:
            turned = net.flipped(backward, layer.name) if backward.is_sequence else backward
            return [forward, turned, *states_of_both]
        turned = backwards(backward) if backward.is_sequence else backward
        return [net.merged(layer.name, [forward, turned], MERGE_MODES[layer.merge_mode]), *states_of_both]

    def _masking(self, layer: Any, tensor: Tensor) -> Tensor:
        """The model's input, with the mask that is made of it."""
        value = float(layer.mask_value)
        others = [
            step.layer.name
            for step in self._graph.steps
            if class_name(step.layer) != "Masking" and any(source.step is None for source in step.sources)
        ]
        if tensor != self._net.inputs[0] or self._mask_value not in (None, value) or self._inputs.mask_name is not None:
            raise refused_option(
                layer.name,
                "a mask beside another one, or of something else than the model's input",
                "Put one Masking behind the input of the model, and no mask beside it.",
            )
        if others and value != 0:
            raise refused_structure(
                f"Layer '{layer.name}' sets masked steps to zero, and '{others[0]}' reads them as they were.",
                f"Let '{others[0]}' read what '{layer.name}' gives.",
            )
        self._mask_value = value
        return tensor

    def _output(self, value: Value) -> int | Source:
        name = self._graph.describe(value)
        tensor = self._tensors.get((value.step, value.index), self._net.inputs[0])
        if tensor.source.node is None:
            raise refused_structure(
                f"Model '{self._graph.name}' returns {name} as it is; an output must be computed by one of its layers."
            )
        is_read_anew = tensor.source != Source(tensor.source.node, tensor.source.tap)
        source = self._net.copied(tensor, name).source if is_read_anew else tensor.source
        assert source.node is not None
        return source.node if source == Source(source.node) else source

    def _check_names(self) -> None:
        """Results are stored by the LSTM's name; other layers may be called twice."""
        names = [node.name for node in self._net.nodes if isinstance(node, LstmNode)]
        for name in names:
            if names.count(name) > 1:
                raise refused_structure(
                    f"Two steps of the model bear the name '{name}'; an LSTM's results are stored by its name.",
                    "Call each LSTM once, and give each another name.",
                )
