"""`hil export`: a model's weights for firmware that is written by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError

MAX_DECIMALS = 9
"""More make no difference: float32 has at most 9 significant digits."""


def export_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A Keras model (.keras, .h5, .npz).")],
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="W.weights.h5", help="Weights in place of the model's own.")
    ] = None,
    c: Annotated[bool, typer.Option("--c", help="C arrays, on standard output.")] = False,
    decimals: Annotated[
        int | None, typer.Option("--decimals", metavar="N", help="Round to N decimals. Default: every bit is kept.")
    ] = None,
) -> int:
    """Print a model's weights as C arrays: four gates stacked, their order in a comment."""
    if not c:
        raise UsageError("no format was named", remedy="add --c for C arrays")
    if decimals is not None and not 0 <= decimals <= MAX_DECIMALS:
        raise UsageError(f"--decimals is {decimals}", remedy=f"give --decimals a number from 0 to {MAX_DECIMALS}")
    from harness.export import c_source
    from harness.oracle.load import load_model

    sys.stdout.write(c_source(load_model(model, weights).spec, decimals))
    return 0
