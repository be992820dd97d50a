"""Which one weight of a Dense layer has another value, where that layer is an output of the model.

All before it is right then, so what it reads is known. What each sum must have been follows from the output, of a
softmax up to a number that all units of a step share. Over all steps one column of inputs explains the unit that is
off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.compare.verdict import Json
from harness.diagnosis.explain import MARGIN, Diagnosis, Fit
from harness.diagnosis.hypotheses import Hypothesis
from harness.diagnosis.mutations import WEIGHT_CORRUPTED
from harness.diagnosis.runs import Run
from harness.diagnosis.solve import LEAST_ERROR, LEAST_STEPS, changes_of_sums, explained_by
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.nodes import ActivationNode, DenseNode, as_source
from harness.model.spec import ModelSpec
from harness.oracle.activations import ACTIVATIONS, Array
from harness.oracle.reference import reference
from harness.protocol.wire import Activation, Phase, Tap


@dataclass(frozen=True)
class Head:
    """A Dense layer and what became of it. N is steps of all sequences.

    Attributes:
        index: of the node.
        node: the layer.
        functions: its activation, and those of the layers behind it.
        columns: (N, input_size + 1), what its weights are multiplied with, and 1 for the bias.
        observed: (N, units).
    """

    index: int
    node: DenseNode
    functions: tuple[Activation, ...]
    columns: Array
    observed: Array

    @property
    def sums(self) -> Array:
        """(N, units), by the right weights."""
        product: Array = self.columns[:, :-1] @ self.node.kernel.astype(np.float64)
        return product if self.node.bias is None else product + self.node.bias

    def output(self, sums: Array) -> Array:
        """What sums lead to."""
        with np.errstate(all="ignore"):
            for function in self.functions:
                sums = ACTIVATIONS[function](sums)
        return sums


def find_in_head(
    spec: ModelSpec, inputs: Inputs, values: Mapping[str, Float32Array], fit: Callable[[Hypothesis], Fit]
) -> Diagnosis | None:
    """The one weight that has another value, None where none explains the values. See `explain.Search`.

    Args:
        spec: the right model.
        inputs: what it was given.
        values: outputs of the model by their names; the rest is not looked at.
        fit: how well a hypothesis fits.
    """
    plain = fit(Hypothesis("", "", None, Run(spec, inputs)))
    for head in _heads(spec, inputs, values):
        for unit, column, change in _solved(head):
            hypothesis, weight = _hypothesis(spec, inputs, head, unit, column, change)
            found = fit(hypothesis)
            if found.explains and found.rms * MARGIN <= plain.rms:
                text, layer = hypothesis.text, hypothesis.layer
                return Diagnosis(hypothesis.name, layer, found.residual, found.share, text, weight)
    return None


def _heads(spec: ModelSpec, inputs: Inputs, values: Mapping[str, Float32Array]) -> Iterator[Head]:
    """The Dense layers that are outputs, or are but for activations behind them."""
    for name, output in zip(spec.output_names, map(as_source, spec.outputs), strict=True):
        functions: list[Activation] = []
        index = output.node if output.tap is Tap.OUTPUT else None
        while index is not None and isinstance(spec.nodes[index], ActivationNode):
            functions.insert(0, spec.nodes[index].activation)
            index = as_source(spec.nodes[index].source).node  # type: ignore[union-attr]
        node = None if index is None else spec.nodes[index]
        if index is None or not isinstance(node, DenseNode) or name not in values:
            continue
        source = as_source(node.source)
        if source.node is None or source.rows or source.repeat or source.tap is not Tap.OUTPUT:
            continue
        read = reference(replace(spec, outputs=(source.node,)), inputs)["output"]
        if node.phase is Phase.AFTER_LAST_STEP and spec.gives_sequence(source.node):
            read = read[..., -1, :]
        columns = read.reshape(-1, node.input_size)
        observed = values[name].reshape(-1, node.units).astype(np.float64)
        if len(columns) == len(observed):
            ones = np.ones((len(columns), 1))
            yield Head(index, node, (node.activation, *functions), np.concatenate([columns, ones], axis=1), observed)


def _solved(head: Head) -> list[tuple[int, int, float]]:
    """Unit, column and change of the weights that explain the output best."""
    errors = np.abs(head.output(head.sums) - head.observed)
    if not np.isfinite(errors).all() or np.count_nonzero(errors.max(axis=1) > LEAST_ERROR) < LEAST_STEPS:
        return []
    others = [function for function in head.functions if function is not Activation.LINEAR]
    if others == [Activation.SOFTMAX]:
        changes, slopes = _behind_softmax(head)
    elif Activation.SOFTMAX in others or Activation.LOG_SOFTMAX in others:
        return []
    else:
        changes, slopes = changes_of_sums(head.output, head.sums, head.observed)
    unit = int(np.argmax(np.nansum(np.square(changes * slopes), axis=0)))
    return [(unit, column, change) for column, change in explained_by(head.columns, changes[:, unit], slopes[:, unit])]


def _behind_softmax(head: Head) -> tuple[Array, Array]:
    """Changes of sums less what all units share, which is the change of most of them: none."""
    with np.errstate(all="ignore"):
        changes = np.log(head.observed) - np.log(head.output(head.sums))
    changes = np.where(np.isfinite(changes), changes, np.nan)
    shared = np.nan_to_num(np.nanmedian(changes, axis=1, keepdims=True))
    if head.node.units == 2:  # no most: the second unit's weights may as well be said to be the first one's
        shared = np.nan_to_num(changes[:, 1:])
    return changes - shared, head.observed * (1 - head.observed)


def _hypothesis(
    spec: ModelSpec, inputs: Inputs, head: Head, unit: int, column: int, change: float
) -> tuple[Hypothesis, dict[str, Json]]:
    node = head.node
    is_bias = column == node.input_size
    bias = np.zeros(node.units, np.float32) if node.bias is None else node.bias.copy()
    kernel = node.kernel.copy()
    expected = float(bias[unit] if is_bias else kernel[column, unit])
    value = np.float32(expected + change)
    if is_bias:
        bias[unit] = value
    else:
        kernel[column, unit] = value
    wrong = replace(node, kernel=kernel, bias=bias if is_bias or node.bias is not None else None)
    nodes = (*spec.nodes[: head.index], wrong, *spec.nodes[head.index + 1 :])
    array, index = ("bias", f"{unit}") if is_bias else ("kernel", f"{column}, {unit}")
    text = f"one weight is {value:.9g} for {expected:.9g}: {array}[{index}] of '{node.name}'"
    weight: dict[str, Json] = {
        "layer": node.name,
        "array": array,
        "row": None if is_bias else column,
        "column": unit,
        "gate": None,
        "unit": unit,
        "expected": expected,
        "got": float(value),
        "bit": None,
    }
    return Hypothesis(WEIGHT_CORRUPTED.name, text, node.name, Run(replace(spec, nodes=nodes), inputs)), weight
