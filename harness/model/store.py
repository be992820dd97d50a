"""A `ModelSpec` as plain arrays and back, for files. NumPy only; nothing in such a file is ever executed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.model.nodes import ActivationNode, DenseNode, LstmNode, MergeNode, Node, PoolNode, ScaleNode, Source
from harness.model.spec import ModelSpec, NetworkInput
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
    plain, weights = spec_to_plain(spec)
    return {"spec": np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8), **weights}


def spec_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> ModelSpec:
    """The spec that `spec_to_arrays` stored.

    Raises:
        ValueError, KeyError, TypeError: these arrays hold no spec.
    """
    return spec_from_plain(json.loads(arrays["spec"].tobytes().decode()), arrays)


def spec_to_plain(spec: ModelSpec) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The spec without its weights as JSON has it, enumerations by their names, and `<node>.<field>`: the weights."""
    weights: dict[str, NDArray[Any]] = {}
    nodes = []
    for index, node in enumerate(spec.nodes):
        plain: dict[str, Any] = {"kind": _NAMES[type(node)]}
        for item in fields(node):
            value = getattr(node, item.name)
            if isinstance(value, np.ndarray):
                weights[f"{index}.{item.name}"] = value
            else:
                plain[item.name] = _plain(value)
        nodes.append(plain)
    head = {item.name: _plain(getattr(spec, item.name)) for item in fields(spec) if item.name != "nodes"}
    return {**head, "nodes": nodes}, weights


def spec_from_plain(plain: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> ModelSpec:
    """The spec that `spec_to_plain` took apart. What an older version did not store has its default.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: this is no spec.
    """
    nodes: list[Node] = []
    for index, each in enumerate(plain["nodes"]):
        kind = _KINDS[each["kind"]]
        values: dict[str, Any] = {name: _of_plain(name, value) for name, value in each.items() if name != "kind"}
        for item in fields(kind):
            if f"{index}.{item.name}" in weights:
                values[item.name] = weights[f"{index}.{item.name}"]
        nodes.append(kind(**values))
    head = {name: _of_plain(name, value) for name, value in plain.items() if name != "nodes"}
    return ModelSpec(nodes=tuple(nodes), **head)


def _plain(value: Any) -> Any:
    """A field as JSON has it."""
    if isinstance(value, NetworkInput):
        return asdict(value)
    if isinstance(value, Source):
        return {**asdict(value), "tap": value.tap.name.lower()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value.name.lower() if isinstance(value, IntEnum) else value


def _of_plain(name: str, value: Any) -> Any:
    """The field that `_plain` gave."""
    if name == "beside":
        return tuple(NetworkInput(**each) for each in value)
    if name == "mask_value" and isinstance(value, str):
        return float(value)
    if name in _SOURCES and isinstance(value, dict):
        return Source(**{**value, "tap": Tap[value["tap"].upper()]})
    if name in _SOURCES and isinstance(value, list):
        return tuple(_of_plain(name, item) for item in value)
    return _ENUMS[name][value.upper()] if name in _ENUMS else value
