"""A model's weights as C arrays, for firmware that is written by hand.

The four gates of an LSTM, which Keras keeps side by side on the last axis, are stacked on axis 0 in its order (i, f, c,
o) and flattened: the kernel (input_size, 4 units) becomes [4][input_size][units], each gate a matrix of its own.
"""

from __future__ import annotations

import re

import numpy as np

from harness.model.array_types import Float32Array
from harness.model.nodes import GATES, DenseNode, LstmNode
from harness.model.spec import ModelSpec

_VALUES_PER_LINE = 8


def c_source(spec: ModelSpec, decimals: int | None = None) -> str:
    """A C file with every weight of a model.

    Args:
        spec: the model.
        decimals: round to so many decimals first; None: every bit is kept.
    """
    rounding = "every value as Keras has it" if decimals is None else f"rounded to {decimals} decimals"
    lines = [f"// Weights of the Keras model {_comment(spec.name)}, {rounding}.", ""]
    used: set[str] = set()
    for node in spec.nodes:
        if isinstance(node, LstmNode):
            prefix = _identifier(node.name, used)
            sizes = {"INPUT_SIZE": node.input_size, "UNITS": node.units}
            arrays = {
                "kernel": (stack_gates(node.kernel), f"[4][{node.input_size}][{node.units}]: gate, input, unit"),
                "recurrent_kernel": (
                    stack_gates(node.recurrent_kernel),
                    f"[4][{node.units}][{node.units}]: gate, h of the step before, unit",
                ),
                "bias": (node.bias, f"[4][{node.units}]: gate, unit"),
            }
            lines.append(f"// LSTM {_comment(node.name)}. Gates in the order {', '.join(GATES)}.")
        elif isinstance(node, DenseNode):
            prefix = _identifier(node.name, used)
            sizes = {"INPUT_SIZE": node.input_size, "UNITS": node.units}
            arrays = {
                "kernel": (node.kernel, f"[{node.input_size}][{node.units}]: input, unit"),
                "bias": (node.bias, f"[{node.units}]: unit"),
            }
            lines.append(f"// Dense {_comment(node.name)}.")
        else:
            continue
        lines += [f"#define {prefix.upper()}_{name} {size}" for name, size in sizes.items()]
        for name, (values, order) in arrays.items():
            if values is not None:
                lines += _array(f"{prefix}_{name}", values, order, decimals)
        lines.append("")
    return "\n".join(lines)


def stack_gates(weights: Float32Array) -> Float32Array:
    """(rows, 4 units) -> (4 rows, units): the four gates below each other."""
    return np.concatenate(np.split(weights, len(GATES), axis=1), axis=0)


def _array(name: str, values: Float32Array, order: str, decimals: int | None) -> list[str]:
    flat = values.reshape(-1)
    if decimals is not None:
        flat = np.around(flat.astype(np.float64), decimals).astype(np.float32)
    literals = [_literal(value) for value in flat]
    rows = [
        "    " + ", ".join(literals[start : start + _VALUES_PER_LINE]) + ","
        for start in range(0, len(literals), _VALUES_PER_LINE)
    ]
    return [f"// {order}", f"static const float {name}[{len(literals)}] = {{", *rows, "};"]


def _literal(value: np.float32) -> str:
    """The shortest digits that bring back this very float32."""
    if np.isnan(value):
        return "NAN"  # <math.h>
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = str(value)
    return f"{text}f" if re.search("[.e]", text) else f"{text}.0f"


def _identifier(name: str, used: set[str]) -> str:
    """A C identifier, different from those that were used."""
    base = re.sub(r"\W", "_", name, flags=re.ASCII) or "layer"
    base = f"layer_{base}" if base[0].isdigit() else base
    identifier, number = base, 2
    while identifier in used:
        identifier, number = f"{base}_{number}", number + 1
    used.add(identifier)
    return identifier


def _comment(text: str) -> str:
    """A name that cannot end or continue a line comment."""
    return "".join(c if c.isprintable() and c != "\\" else "?" for c in text)
