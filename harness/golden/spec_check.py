"""Whether a `ModelSpec` that was read from a file is a network: types, shapes, sizes, and who reads whom.

What Keras gives is known to be one; a file may say anything. Whether values fit together where one node reads another
is left to those who compute with them.
"""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from math import prod
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from harness.model.inputs import Inputs
from harness.model.nodes import DenseNode, LstmNode, Node, ScaleNode, Source, as_source, sources_of
from harness.model.spec import ModelSpec
from harness.protocol.wire import MAX_NODES, MAX_SOURCES, Tap

_MAX_NUMBER = 1 << 20
"""Most steps, rows and repetitions, as of a model's file."""

_MAX_SIZE = 4096
"""Most units or features, likewise: an LSTM of 181 units fills the flash of the device."""

_MAX_FLOATS = 1 << 26
"""Most values that the four gates of an LSTM, or another node, may have in a run: the float64 reference takes some 40
bytes for each, so 2.7 GB. 1000 sequences of 100 steps and 128 units have three quarters of it."""

_MAX_TEXT = 1000
"""Longest name."""


def check_spec(spec: ModelSpec) -> None:
    """Refuse what is no network.

    Raises:
        ValueError: it is none; the text says why.
    """
    _check_types(spec, "the model")
    if not 1 <= len(spec.nodes) <= MAX_NODES or not spec.outputs or len(spec.inputs) > MAX_SOURCES:
        raise ValueError(f"it has {len(spec.nodes)} nodes and {len(spec.outputs)} outputs")
    for each in spec.inputs:
        _check_sizes("an input", each.size)
    for index, node in enumerate(spec.nodes):
        _check_shapes(node)
        _check_sizes(node.name, node.units, node.input_size)
        for source in sources_of(node):
            _check_source(spec, source, index)
    for output in map(as_source, spec.outputs):
        if output.node is None:
            raise ValueError("it returns its own input")
        _check_source(spec, output, len(spec.nodes))
    names = [node.name for _, node in spec.lstm_nodes()]
    if not names or len(set(names)) < len(names):
        raise ValueError("it has no LSTM, or two of one name")


def check_work(spec: ModelSpec, inputs: Inputs) -> None:
    """Refuse what would take much more memory than the file.

    Raises:
        ValueError: it would.
    """
    steps = max(array.shape[-2] if array.ndim > 2 else 1 for array in (inputs.x, *inputs.beside.values()))
    steps = max([steps, *(source.repeat for node in spec.nodes for source in sources_of(node))])
    widest = max(4 * node.units if isinstance(node, LstmNode) else node.units for node in spec.nodes)
    floats = prod((inputs.calls, inputs.batch, steps, widest))
    if floats > _MAX_FLOATS:
        raise ValueError(f"its run takes {floats} numbers at once, and {_MAX_FLOATS} are the most")


def _check_source(spec: ModelSpec, source: Source, reader: int) -> None:
    if source.node is None:
        fits = source.input < len(spec.inputs)
    else:
        fits = source.node < reader and (source.tap is Tap.OUTPUT or isinstance(spec.nodes[source.node], LstmNode))
    if not fits:
        raise ValueError("a node reads what is not before it")


def _check_shapes(node: Node) -> None:
    """The weights of a node among themselves."""
    wanted: dict[str, tuple[int, ...]] = {}
    if isinstance(node, LstmNode) and node.kernel.ndim == node.recurrent_kernel.ndim == 2:
        units = node.recurrent_kernel.shape[0]
        wanted = {"kernel": (node.kernel.shape[0], 4 * units), "recurrent_kernel": (units, 4 * units)}
        wanted["bias"] = (4 * units,)
    elif isinstance(node, DenseNode) and node.kernel.ndim == 2:
        wanted = {"bias": (node.kernel.shape[1],)}
    elif isinstance(node, ScaleNode):
        wanted = {"scale": (node.scale.size,), "offset": (node.scale.size,)}
    elif isinstance(node, LstmNode | DenseNode):
        raise ValueError(f"the kernels of {node.name!r} are no matrices")
    for name, shape in wanted.items():
        array = getattr(node, name)
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} of {node.name!r} has the shape {array.shape}, not {shape}")


def _check_sizes(name: str, *sizes: int) -> None:
    if not all(1 <= size <= _MAX_SIZE for size in sizes):
        raise ValueError(f"{name!r} has a size that is not from 1 to {_MAX_SIZE}")


def _check_types(record: Any, what: str) -> None:
    """Every field of a dataclass, and of those in it, has the type that it is annotated with."""
    hints = get_type_hints(type(record))
    for name in (field.name for field in fields(record)):
        if not _fits(getattr(record, name), hints[name]):
            raise ValueError(f"{name} of {what} is no {hints[name]}")


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is tuple:
        wanted = arguments[:1] * len(value) if arguments[-1] is ... and isinstance(value, tuple) else arguments
        return isinstance(value, tuple) and len(value) == len(wanted) and all(map(_fits, value, wanted))
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and bool(value.dtype == np.float32)
    if type(value) is not hint:
        return False
    if is_dataclass(value):
        _check_types(value, type(value).__name__)
    if type(value) is int:
        return 0 <= value <= _MAX_NUMBER
    return not isinstance(value, str) or is_text(value)


def is_text(value: Any) -> bool:
    """Whether a value is a name or a remark that can be shown on a terminal."""
    return isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable()
