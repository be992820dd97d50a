"""A `ModelSpec` as plain arrays and back, for files. NumPy only; nothing in such a file is ever executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.model.spec import (
    ActivationNode,
    DenseNode,
    LstmNode,
    MergeNode,
    ModelSpec,
    NetworkInput,
    Node,
    PoolNode,
    ScaleNode,
    Source,
)
from harness.protocol.wire import Activation, Operation, Phase, Tap

_KINDS: dict[str, type[Node]] = {
    "lstm": LstmNode,
    "dense": DenseNode,
    "activation": ActivationNode,
    "merge": MergeNode,
    "scale": ScaleNode,
    "pool": PoolNode,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ENUMS: dict[str, type[IntEnum]] = {
    "phase": Phase,
    "activation": Activation,
    "recurrent_activation": Activation,
    "operation": Operation,
}
_SOURCES = ("source", "sources", "initial", "outputs")


def spec_to_arrays(spec: ModelSpec) -> dict[str, NDArray[Any]]:
    """The spec as arrays: `spec` holds JSON as bytes, `<node>.<field>` the weights of each node."""
    arrays: dict[str, NDArray[Any]] = {}
    nodes = []
    for index, node in enumerate(spec.nodes):
        plain: dict[str, Any] = {"kind": _NAMES[type(node)]}
        for item in fields(node):
            value = getattr(node, item.name)
            if isinstance(value, np.ndarray):
                arrays[f"{index}.{item.name}"] = value
            else:
                plain[item.name] = _plain(item.name, value)
        nodes.append(plain)
    head = {item.name: _plain(item.name, getattr(spec, item.name)) for item in fields(spec) if item.name != "nodes"}
    text = json.dumps({**head, "nodes": nodes})
    return {"spec": np.frombuffer(text.encode(), dtype=np.uint8), **arrays}


def spec_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> ModelSpec:
    """The spec that `spec_to_arrays` stored.

    Raises:
        ValueError, KeyError, TypeError: these arrays hold no spec.
    """
    head = json.loads(arrays["spec"].tobytes().decode())
    nodes: list[Node] = []
    for index, plain in enumerate(head.pop("nodes")):
        kind = _KINDS[plain.pop("kind")]
        values: dict[str, Any] = {name: _of_plain(name, value) for name, value in plain.items()}
        for item in fields(kind):
            if f"{index}.{item.name}" in arrays:
                values[item.name] = arrays[f"{index}.{item.name}"]
        nodes.append(kind(**values))
    return ModelSpec(nodes=tuple(nodes), **{name: _of_plain(name, value) for name, value in head.items()})


def _plain(name: str, value: Any) -> Any:
    """A field of a node as JSON has it."""
    if isinstance(value, NetworkInput):
        return asdict(value)
    if isinstance(value, Source):
        return {**asdict(value), "tap": int(value.tap)}
    if isinstance(value, tuple):
        return [_plain(name, item) for item in value]
    return int(value) if name in _ENUMS else value


def _of_plain(name: str, value: Any) -> Any:
    """The field that `_plain` gave."""
    if name == "beside":
        return tuple(NetworkInput(**each) for each in value)
    if name in _SOURCES and isinstance(value, dict):
        return Source(**{**value, "tap": Tap(value["tap"])})
    if name in _SOURCES and isinstance(value, list):
        return tuple(_of_plain(name, item) for item in value)
    return _ENUMS[name](value) if name in _ENUMS else value
