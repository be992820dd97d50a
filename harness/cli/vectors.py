"""`hil vectors`: which mistakes inputs could show, and inputs that show all that can be shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.files import refuse_overwriting
from harness.cli.model_options import Batch, Seed, Steps
from harness.cli.session import RandomInputs
from harness.errors import UsageError
from harness.findings.writing import writing

if TYPE_CHECKING:
    from harness.diagnosis.score import Score
    from harness.model.inputs import Inputs
    from harness.model.spec import ModelSpec


def vectors_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A Keras model (.keras, .h5, .npz).", readable=False)],
    inputs: Annotated[
        Path | None, typer.Option("--inputs", metavar="X.npz", help="The inputs to look at. Default: random.")
    ] = None,
    cover: Annotated[
        Path | None, typer.Option("--cover", metavar="OUT.npz", help="Make inputs that show all that can be shown.")
    ] = None,
    batch: Batch = None,
    steps: Steps = None,
    seed: Seed = None,
) -> int:
    """Plant every mistake in the model and say which ones a device could make unseen on these inputs.

    A golden file's inputs are its own, unless others are given.
    """
    from harness.build.paths import work_dir
    from harness.diagnosis.cover import cover as make_cover
    from harness.golden.file import SUFFIX
    from harness.golden.oracle import GoldenOracle
    from harness.model.inputs import random_inputs
    from harness.model.inputs_file import load_inputs
    from harness.oracle.cache import Oracle
    from harness.report.terminal import describe, make_console

    RandomInputs(batch, steps, seed).check(None if inputs is None else str(inputs))
    if cover is not None and (inputs is not None or batch is not None):
        raise UsageError("--cover makes inputs of its own", remedy="leave out --inputs and --batch")
    refuse_overwriting([cover], [model])
    console = make_console()
    golden = GoldenOracle.open(model) if model.suffix == SUFFIX else None
    spec = (golden or Oracle(work_dir() / "oracle")).load(model).spec
    console.print(f"model   {model.name}: {describe(spec)}", markup=False)
    if cover is not None:
        made = make_cover(spec, steps, seed or 0)
        _write(spec, made.inputs, cover)
        chosen, score = made.inputs, made.score
        console.print(f"tried   {made.tried} kinds of inputs; taken: {'; '.join(made.inputs.notes)}", markup=False)
    else:
        if inputs is not None:
            chosen = load_inputs(inputs, spec)
        elif golden is not None:
            chosen = golden.inputs
        else:
            chosen = random_inputs(spec, batch, steps, seed or 0)
        score = _score(spec, chosen)
    console.print(f"inputs  {' x '.join(map(str, chosen.x.shape))}")
    for line in _lines(score):
        console.print(line, markup=False)
    if cover is not None:
        console.print(f"written {cover}", markup=False)
    if score.warning is not None:
        console.print(f"warning {score.warning}", markup=False)
    console.print(score.line, markup=False)
    return 0


def _score(spec: ModelSpec, inputs: Inputs) -> Score:
    """By the tolerance that NumPy float32 speaks for, which Keras' is like."""
    import numpy as np

    from harness.diagnosis.explain import float32_tolerances
    from harness.diagnosis.score import score
    from harness.oracle.reference import reference

    allowed = float32_tolerances(reference(spec, inputs), reference(spec, inputs, np.float32))
    return score(spec, inputs, allowed, limit_s=60.0)


def _lines(score: Score) -> list[str]:
    lines = []
    for title, names in (
        ("unseen", [each.text for each in score.unseen]),
        ("same", [f"{name} changes nothing of this model" for name in score.equivalent]),
        ("values", score.coverage.gaps),
    ):
        lines += [f"{title if place == 0 else '':7} {name}" for place, name in enumerate(names)]
    return lines


def _write(spec: ModelSpec, inputs: Inputs, path: Path) -> None:
    from harness.diagnosis.cover import arrays_of
    from harness.report.record import write_arrays

    with writing(path):
        write_arrays(arrays_of(spec, inputs), path)
