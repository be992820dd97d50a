"""Options about inputs and tolerances that several commands share, in the same words."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.session import DEFAULT_KERNEL
from harness.model.trace import TraceLevel
from harness.protocol.wire import Kernel

KERNELS = tuple(kernel.name.lower() for kernel in Kernel)
"""Names for --kernel."""

TRACES = tuple(level.name.lower() for level in TraceLevel)
"""Levels for --trace, each with all of the one before it."""

AbsoluteTolerance = Annotated[float | None, typer.Option("--atol", help="Absolute tolerance. Default: derived.")]

RelativeTolerance = Annotated[float | None, typer.Option("--rtol", help="Relative tolerance. Default: 2e-6.")]

Batch = Annotated[
    int | None, typer.Option("--batch", help="Random inputs: sequences. Default: the model's own, else 8.")
]

Steps = Annotated[
    int | None, typer.Option("--steps", help="Random inputs: time steps, if the model leaves them. Default: 16.")
]

Seed = Annotated[int | None, typer.Option("--seed", help="Random inputs: seed. Default: 0.")]

Layer = Annotated[
    str | None, typer.Option("--layer", metavar="NAME", help="That LSTM alone, on what Keras itself gives it.")
]

KernelName = Annotated[
    str | None,
    typer.Option("--kernel", metavar="|".join(KERNELS), help=f"What computes the LSTMs. Default: {DEFAULT_KERNEL}."),
]
