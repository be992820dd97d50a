"""Every mistake by its name: what people who write LSTMs by hand get wrong. docs/DIAGNOSIS.md lists them for users.

Each is a change of the nodes of a network, or of how it is run. What it changes nothing of, it does not apply to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from harness.diagnosis.runs import MUTATED_RUNS, MutatedRun
from harness.model.array_types import Float32Array
from harness.model.nodes import GATES, ActivationNode, DenseNode, LstmNode, Node, ScaleNode
from harness.protocol.wire import Activation

ChangeNode: TypeAlias = Callable[[Node], Node]
"""A node with the mistake; the very node where it has no room for it."""

GATE_FUNCTIONS = (Activation.SIGMOID, Activation.HARD_SIGMOID, Activation.HARD_SIGMOID_KERAS2)
"""What people take for each other as recurrent_activation."""

STATE_FUNCTIONS = (Activation.TANH, Activation.LINEAR)
"""What people take for each other as activation."""

DECIMALS = range(1, 6)
"""Decimals that weights are printed with. Six move h by less than float32's own rounding does."""


@dataclass(frozen=True)
class Mutation:
    """One mistake.

    Attributes:
        name: a stable name, for scripts.
        text: what is wrong, to follow "if".
        change: what it does to a node; None: it is a mistake of the run.
        runs: what it does to a run.
    """

    name: str
    text: str
    change: ChangeNode | None = None
    runs: MutatedRun | None = None


def _with_weights(node: Node, change: Callable[[Float32Array], Float32Array], *, bias: bool = True) -> Node:
    """The node with all its weights changed."""
    if isinstance(node, LstmNode):
        changed = None if node.bias is None else change(node.bias) if bias else node.bias
        return replace(node, kernel=change(node.kernel), recurrent_kernel=change(node.recurrent_kernel), bias=changed)
    if isinstance(node, DenseNode):
        changed = None if node.bias is None else change(node.bias) if bias else node.bias
        return replace(node, kernel=change(node.kernel), bias=changed)
    if isinstance(node, ScaleNode):
        return replace(node, scale=change(node.scale), offset=change(node.offset) if bias else node.offset)
    return node


def _blocks_taken_for(order: tuple[str, ...]) -> ChangeNode:
    """The blocks of the weights, i, f, c, o, are taken for gates in another order."""
    places = [order.index(gate) for gate in GATES]

    def reordered(array: Float32Array) -> Float32Array:
        blocks = np.split(array, len(GATES), axis=-1)
        return np.concatenate([blocks[place] for place in places], axis=-1)

    return lambda node: _with_weights(node, reordered) if isinstance(node, LstmNode) else node


def _gate_orders() -> Iterator[Mutation]:
    for order in itertools.permutations(GATES):
        moved = [gate for gate, other in zip(GATES, order, strict=True) if gate != other]
        if len(moved) == 2:
            first, second = moved
            name, text = f"swap_gates_{first}_{second}", f"gates {first} and {second} are swapped"
        elif moved:
            name = f"gate_order_{'_'.join(order)}"
            text = f"the gates' weights, which lie in the order i, f, c, o, are taken for {', '.join(order)}"
        else:
            continue
        yield Mutation(name, text, _blocks_taken_for(order))


def _of_lstm(change: Callable[[LstmNode], LstmNode]) -> ChangeNode:
    return lambda node: change(node) if isinstance(node, LstmNode) else node


def _transposed(array: Float32Array) -> Float32Array:
    """Square matrices beside each other, each of them transposed."""
    rows, columns = array.shape
    return np.ascontiguousarray(array.reshape(rows, columns // rows, rows).transpose(2, 1, 0).reshape(rows, columns))


def _read_across(array: Float32Array) -> Float32Array:
    """The values as they lie in memory, read as the rows of the transposed matrix."""
    return np.ascontiguousarray(array.reshape(array.shape[::-1]).T)


def _kernel_changed(change: Callable[[Float32Array], Float32Array]) -> ChangeNode:
    def changed(node: Node) -> Node:
        if not isinstance(node, LstmNode | DenseNode):
            return node
        if change is _transposed and node.input_size != node.units:
            return node
        return replace(node, kernel=change(node.kernel))

    return changed


def _recurrent_kernel_changed(change: Callable[[Float32Array], Float32Array]) -> ChangeNode:
    return _of_lstm(lambda node: replace(node, recurrent_kernel=change(node.recurrent_kernel)))


def _kernels_read_across(node: Node) -> Node:
    changed = _kernel_changed(_read_across)(node)
    return _recurrent_kernel_changed(_read_across)(changed) if isinstance(changed, LstmNode) else node


def _bias_changed(node: Node, factor: float = 1.0, forget_factor: float = 1.0, forget_added: float = 0.0) -> Node:
    if isinstance(node, DenseNode) and node.bias is not None:
        return replace(node, bias=node.bias * np.float32(factor))
    if not isinstance(node, LstmNode) or node.bias is None:
        return node
    of_gates = node.bias.reshape(len(GATES), -1) * np.float32(factor)
    of_forget = of_gates[1] * np.float32(forget_factor) + np.float32(forget_added)
    return replace(node, bias=np.concatenate([of_gates[0], of_forget, of_gates[2], of_gates[3]]))


def _bias_dropped(node: Node) -> Node:
    if not isinstance(node, LstmNode | DenseNode) or node.bias is None:
        return node
    return replace(node, bias=None)


def _function_for(new: Activation, old: Activation, *, of_gates: bool) -> ChangeNode:
    def changed(node: Node) -> Node:
        if isinstance(node, LstmNode) and of_gates and node.recurrent_activation == old:
            return replace(node, recurrent_activation=new)
        # A head that has one of these functions may have been given another one just as well.
        if isinstance(node, DenseNode | ActivationNode) or (isinstance(node, LstmNode) and not of_gates):
            return replace(node, activation=new) if node.activation == old else node
        return node

    return changed


def _functions() -> Iterator[Mutation]:
    for functions, of_gates in ((GATE_FUNCTIONS, True), (STATE_FUNCTIONS, False)):
        for old, new in itertools.permutations(functions, 2):
            names = old.name.lower(), new.name.lower()
            yield Mutation(
                f"{names[1]}_for_{names[0]}",
                f"{names[1]} is computed where the model has {names[0]}",
                _function_for(new, old, of_gates=of_gates),
            )
    yield Mutation(
        "linear_for_softmax",
        "softmax is left out",
        _function_for(Activation.LINEAR, Activation.SOFTMAX, of_gates=False),
    )


def _float16(array: Float32Array) -> Float32Array:
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float32)


def _bfloat16(array: Float32Array) -> Float32Array:
    """The upper half of the float32's bits, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(array), rounded.view(np.float32), array)


def _int8(array: Float32Array) -> Float32Array:
    """-127 to 127 times one scale for the whole array, as TensorFlow Lite quantizes weights."""
    largest = np.abs(array).max(initial=0.0)
    if not np.isfinite(largest) or largest == 0:
        return array
    scale = largest / 127
    return np.asarray(np.round(array / scale) * scale, dtype=np.float32)


def _q7(array: Float32Array) -> Float32Array:
    """int8 times the least power of two that holds the whole array, as CMSIS-NN's q7_t."""
    largest = float(np.abs(array).max(initial=0.0))
    if not np.isfinite(largest) or largest == 0:
        return array
    scale = 2.0 ** (np.ceil(np.log2(largest)) - 7)
    return np.asarray(np.clip(np.round(array / scale), -128, 127) * scale, dtype=np.float32)


def _decimals(count: int) -> Callable[[Float32Array], Float32Array]:
    # In float64, as a person's program prints them.
    return lambda array: array.astype(np.float64).round(count).astype(np.float32)


def _rounded() -> Iterator[Mutation]:
    ways: list[tuple[str, str, Callable[[Float32Array], Float32Array]]] = [
        ("float16", "to float16", _float16),
        ("bfloat16", "to bfloat16", _bfloat16),
        ("int8", "to int8 with one scale for each array", _int8),
        ("q7", "to int8 times a power of two", _q7),
        *((f"{count}_decimals", f"to {count} decimals", _decimals(count)) for count in DECIMALS),
    ]
    for name, text, change in ways:
        yield Mutation(f"weights_{name}", f"the weights are rounded {text}", partial(_with_weights, change=change))
    for name, text, change in ways[2:4]:
        yield Mutation(
            f"kernels_{name}",
            f"the weights but the biases are rounded {text}",
            partial(_with_weights, change=change, bias=False),
        )


MUTATIONS: tuple[Mutation, ...] = (
    *_gate_orders(),
    Mutation(
        "recurrent_kernel_transposed",
        "the recurrent kernel of each gate is transposed",
        _recurrent_kernel_changed(_transposed),
    ),
    Mutation(
        "recurrent_kernel_reshaped",
        "the recurrent kernel is read as (4 units, units) without being transposed",
        _recurrent_kernel_changed(_read_across),
    ),
    Mutation(
        "kernel_transposed", "the kernel of each gate, which is square, is transposed", _kernel_changed(_transposed)
    ),
    Mutation(
        "kernel_reshaped",
        "the kernel is read as (4 units, input_size) without being transposed",
        _kernel_changed(_read_across),
    ),
    Mutation("kernels_reshaped", "both kernels are read as if they were transposed", _kernels_read_across),
    Mutation("bias_dropped", "the bias is left out", _bias_dropped),
    Mutation("bias_twice", "the bias is added twice", lambda node: _bias_changed(node, factor=2.0)),
    Mutation(
        "forget_bias_twice",
        "the bias of the forget gate is added twice",
        lambda node: _bias_changed(node, forget_factor=2.0) if isinstance(node, LstmNode) else node,
    ),
    Mutation(
        "forget_bias_plus_one",
        "1 is added to the bias of the forget gate, which has it already",
        lambda node: _bias_changed(node, forget_added=1.0) if isinstance(node, LstmNode) else node,
    ),
    *_functions(),
    *_rounded(),
    *(Mutation(run.name, run.text, runs=run.mutated) for run in MUTATED_RUNS),
)
"""Every mistake that is tried, in the order in which equally good explanations are named."""

WEIGHT_CORRUPTED = Mutation("weight_corrupted", "one weight has another value")
"""Found by a search of its own: see `corrupted`."""
