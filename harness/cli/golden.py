"""`hil golden`: golden files are made where Keras is, and validated where it is not."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.files import refuse_overwriting
from harness.cli.model_options import KERNELS, TRACES, AbsoluteTolerance, Batch, Layer, RelativeTolerance, Seed, Steps
from harness.cli.session import DEFAULT_KERNEL, Computation, RandomInputs
from harness.errors import UsageError
from harness.findings.writing import writing

if TYPE_CHECKING:
    from rich.console import Console

    from harness.golden.file import Golden


def make_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A Keras model (.keras, .h5, .npz).")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.golden", help="Where it is written.")],
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="W.weights.h5", help="Weights in place of the model's own.")
    ] = None,
    inputs: Annotated[Path | None, typer.Option("--inputs", metavar="X.npz", help="Inputs. Default: random.")] = None,
    atol: AbsoluteTolerance = None,
    rtol: RelativeTolerance = None,
    batch: Batch = None,
    steps: Steps = None,
    layer: Layer = None,
    seed: Seed = None,
    kernel: Annotated[
        str, typer.Option("--kernel", metavar="|".join(KERNELS), help="What is to compute the LSTMs.")
    ] = DEFAULT_KERNEL,
    trace: Annotated[
        str, typer.Option("--trace", metavar="|".join(TRACES), help="Which tensors are to be judged, as of validate.")
    ] = "hc",
    made_on: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", help="Put a day into it. Default: none: always the same bytes."),
    ] = None,
) -> int:
    """Write a model, inputs and what Keras gives on them into one file, for `hil validate` without Keras."""
    from harness.build.paths import work_dir
    from harness.golden.file import SUFFIX, golden_bytes, golden_from_bytes
    from harness.golden.make import make_golden
    from harness.model.pack import kernel_named
    from harness.model.trace import trace_named
    from harness.oracle.cache import Oracle
    from harness.report.record import replacing
    from harness.report.terminal import make_console
    from harness.validation import Limits, make_inputs

    if output.suffix != SUFFIX:
        raise UsageError(f"{output} does not end in {SUFFIX}", remedy=f"name it {output.with_suffix(SUFFIX).name}")
    refuse_overwriting([output], [model, weights, inputs])
    RandomInputs(batch, steps, seed).check(None if inputs is None else str(inputs))
    Computation(kernel, trace=trace).check()
    limits, day = Limits(atol, rtol), None if made_on is None else _day(made_on)
    oracle = Oracle(work_dir() / "oracle")
    loaded = oracle.load(model, weights, layer)
    golden = make_golden(
        oracle,
        loaded,
        make_inputs(loaded, inputs, batch, steps, seed),
        kernel=kernel_named(kernel),
        level=trace_named(trace),
        atol=limits.atol,
        rtol=limits.rtol,
        made_on=day,
    )
    content = golden_bytes(golden)
    read = golden_from_bytes(content, output)
    with writing(output), replacing(output) as file:
        file.write(content)
    console = make_console()
    _print(console, read)
    console.print(f"written {output}, {len(content)} bytes", markup=False)
    return 0


def show_command(
    file: Annotated[Path, typer.Argument(metavar="FILE.golden", help="A golden file.")],
) -> int:
    """Check a golden file and print what is in it."""
    from harness.golden.file import read_golden
    from harness.report.terminal import make_console

    _print(make_console(), read_golden(file))
    return 0


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date is {text!r}", remedy="give a day as 2026-01-31") from None


def _print(console: Console, golden: Golden) -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.golden.oracle import notes
    from harness.report.terminal import describe

    sequences, steps, features = golden.inputs.x.shape[-3:]
    calls = "" if golden.inputs.reset_before is None else f"{golden.inputs.calls} calls x "
    seed = "" if golden.inputs.seed is None else f", random from seed {golden.inputs.seed}"
    versions = ", ".join(f"{name} {version}" for name, version in golden.expected.versions.items())
    for line in (
        f"model   {describe(golden.spec)}",
        *(f"        {note}" for note in (*notes(golden), *golden.origin.notes)),
        f"        model's SHA-256 {golden.origin.model_sha256}",
        f"inputs  {calls}{sequences} sequences x {steps} steps x {features} features{seed}",
        f"oracle  {versions}",
        f"device  kernel {golden.kernel.name.lower()}, trace {golden.level.name.lower()}",
    ):
        console.print(escape(line))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("tensor", "shape", "atol", "rtol"):
        table.add_column(title, no_wrap=True)
    for name, tolerance in golden.tolerances.items():
        shape = "x".join(map(str, golden.expected.tensors[name].shape))
        table.add_row(escape(name), shape, f"{tolerance.atol:.3g}", f"{tolerance.rtol:.3g}")
    console.print(table)
    reasons: dict[str, list[str]] = {}
    for name, tolerance in golden.tolerances.items():
        reasons.setdefault(tolerance.reason, []).append(name)
    for reason, names in reasons.items():
        console.print(escape(f"{', '.join(names)}: {reason}"))
