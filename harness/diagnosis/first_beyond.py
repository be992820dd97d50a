"""The first element beyond its tolerance, in the order in which a network computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.tolerance import Tolerance
from harness.compare.verdict import gate_and_unit
from harness.diagnosis.bisection import Place
from harness.model.array_types import Float32Array
from harness.model.nodes import gates_of
from harness.model.plan import make_plan
from harness.model.spec import ModelSpec

_ENDINGS = ("z", "gates", "c", "h")
"""Tensors of an LSTM that have steps, in the order in which a step computes them."""


def first_beyond(
    spec: ModelSpec,
    expected: Mapping[str, Float32Array],
    got: Mapping[str, Float32Array],
    tolerances: Mapping[str, Tolerance],
    *,
    has_calls: bool,
) -> tuple[Place, bool] | None:
    """The first element beyond its tolerance, and True; if there is none, the one nearest to it, and False.

    First is by call, pass, step, and then as a step computes: layer after layer, in each z, gates, c, h. Of several
    that are equally early it is the one with the largest share of its tolerance.

    Args:
        spec: the network.
        expected: the oracle's tensors.
        got: the device's; those of another shape are left out.
        tolerances: by tensor.
        has_calls: every tensor has calls as its first axis.
    """
    beyond: list[tuple[tuple[float, ...], Place]] = []
    within: list[tuple[tuple[float, ...], Place]] = []
    for order, (name, layer) in enumerate(_in_order(spec, expected)):
        if name not in got or got[name].shape != expected[name].shape or not expected[name].size:
            continue
        shares = tolerances[name].shares(expected[name], got[name])
        has_steps = layer is not None and name.endswith(tuple(f".{ending}" for ending in _ENDINGS))
        time, index = _earliest(shares, has_calls=has_calls, has_steps=has_steps)
        values = float(expected[name][index]), float(got[name][index]), float(shares[index])
        call, sequence, step, last = _where(index, has_calls=has_calls)
        gate, unit = gate_and_unit(last, shares.shape[-1], gates_of(name))
        place = Place(name, layer, call, sequence, step, unit, gate, *values)
        if time is not None:
            beyond.append(((time[0], _pass_of(spec, layer), time[1], order), place))
        # A step is of more use than a last state, which is the same number.
        within.append(((not has_steps, -place.share), place))
    found = beyond or within
    return (min(found, key=lambda each: each[0])[1], bool(beyond)) if found else None


def _in_order(spec: ModelSpec, tensors: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Names of tensors as a step computes them, each with its LSTM; then what is there at the end."""
    names = [node.name for _, node in spec.lstm_nodes()]
    for endings in (_ENDINGS, ("c_last", "h_last")):
        for name in names:
            yield from ((f"{name}.{ending}", name) for ending in endings if f"{name}.{ending}" in tensors)
    yield from ((name, None) for name in spec.output_names if name in tensors)


def _pass_of(spec: ModelSpec, layer: str | None) -> int:
    plan = make_plan(spec)
    indices = {node.name: index for index, node in spec.lstm_nodes()}
    return len(plan.passes) if layer is None else plan.pass_of[indices[layer]]


def _earliest(
    shares: NDArray[np.float64], *, has_calls: bool, has_steps: bool
) -> tuple[tuple[float, float] | None, tuple[int, ...]]:
    """Call and step of the first element beyond tolerance, None if there is none; and the index of the worst there."""
    beyond = ~(shares <= 1)
    if not beyond.any():
        return None, _index(shares)
    with_calls = shares if has_calls else shares[np.newaxis]
    beyond = beyond if has_calls else beyond[np.newaxis]
    call = int(np.argmax(beyond.reshape(len(beyond), -1).any(axis=1)))
    step: float = np.inf
    chosen = np.where(beyond, with_calls, -1.0)
    chosen[:call], chosen[call + 1 :] = -1.0, -1.0
    if has_steps:
        steps = beyond[call].any(axis=tuple(axis for axis in range(beyond[call].ndim) if axis != 1))
        step = int(np.argmax(steps))
        chosen[:, :, :step], chosen[:, :, step + 1 :] = -1.0, -1.0
    index = _index(chosen)
    return (call, step), index if has_calls else index[1:]


def _index(values: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(int(number) for number in np.unravel_index(values.argmax(), values.shape))


def _where(index: tuple[int, ...], *, has_calls: bool) -> tuple[int | None, int, int | None, int]:
    """Call if there are calls, sequence, step if there are steps, and place in the last axis, of an index."""
    call, rest = (index[0], index[1:]) if has_calls else (None, index)
    return call, rest[0], rest[1] if len(rest) == 3 else None, rest[-1]
