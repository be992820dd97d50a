"""Several calls of a stateful model, one after the other, whoever runs each. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.model.inputs import Inputs
from harness.model.spec import ModelSpec

RunCall = Callable[[Inputs], Mapping[str, NDArray[Any]]]
"""Runs one call from the initial states in its inputs; gives the tensors of OUT.npz without the leading N."""


def run_calls(spec: ModelSpec, inputs: Inputs, run: RunCall) -> dict[str, NDArray[Any]]:
    """Runs every call, with what one leaves in stateful LSTMs as the next one's initial states.

    Returns:
        The tensors of all calls, stacked on a leading axis; of inputs that are no `x_calls`, those of the one call.
    """
    results: list[Mapping[str, NDArray[Any]]] = []
    for is_fresh, call in inputs.each_call():
        results.append(run(call if is_fresh else _continued(spec, call, results[-1])))
    if inputs.reset_before is None:
        return dict(results[0])
    return {name: np.stack([result[name] for result in results]) for name in results[0]}


def _continued(spec: ModelSpec, call: Inputs, before: Mapping[str, NDArray[Any]]) -> Inputs:
    """A call that starts where the one before ended; states that it is given itself stay."""
    left = {
        f"{node.name}.{state}0": before[f"{node.name}.{state}_last"]
        for _, node in spec.lstm_nodes()
        if node.stateful and node.initial is None
        for state in ("h", "c")
    }
    return replace(call, initial={**left, **call.initial})
