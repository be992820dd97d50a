"""`hil compare`: what differs between runs, or between models that are run here on the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.exit_codes import worst_exit_code
from harness.cli.files import refuse_overwriting
from harness.cli.model_options import Batch, KernelName, Seed, Steps
from harness.cli.options import takes_target
from harness.cli.session import Computation, ModelFiles, Outcome, RandomInputs, Settings
from harness.errors import ExitCode, HilError, InputsRefused, UsageError
from harness.findings.writing import writing
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from harness.changes.side import Side
    from harness.model.spec import ModelSpec


@takes_target
def compare_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="A B...",
            help="Models (.keras, .h5, .npz, .golden), or runs: a folder of --report, R.json with R.npz beside it.",
        ),
    ],
    target: TargetChoice,
    inputs: Annotated[
        Path | None, typer.Option("--inputs", metavar="X.npz", help="Inputs of all models. Default: random.")
    ] = None,
    batch: Batch = None,
    steps: Steps = None,
    seed: Seed = None,
    kernel: KernelName = None,
    json_path: Annotated[Path | None, typer.Option("--json", metavar="F", help="The comparison as JSON.")] = None,
) -> int:
    """Compare runs, or models before and after pruning, rounding or training; of three or more a ranking too.

    Every one is compared with the first. Models are run on the target, on the same inputs.
    """
    from harness.changes.compare import change_from, comparison_json
    from harness.changes.side import files_of_run, is_run
    from harness.changes.tables import print_comparison
    from harness.report.record import write_record
    from harness.report.terminal import make_console

    if len(paths) < 2:
        raise UsageError("only one thing is given to be compared", remedy="give two or more models or runs")
    random = RandomInputs(batch, steps, seed)
    random.check(None if inputs is None else str(inputs))
    computation = Computation(kernel)
    computation.check()
    models = [path for path in paths if not is_run(path)]
    _check_options(models, inputs, random, computation)
    runs = [path for path in paths if path not in models]
    refuse_overwriting([json_path], [inputs, *models, *(file for path in runs for file in files_of_run(path))])
    console = make_console()
    if models:
        console.print(f"target  {target}", markup=False)
    sides, codes = _sides(paths, models, inputs, target, random, computation)
    changes = [change_from(sides[0], side) for side in sides[1:]]
    print_comparison(console, sides[0], changes)
    if json_path is not None:
        with writing(json_path):
            write_record(comparison_json(sides[0], changes), json_path)
        console.print(f"written {json_path}", markup=False)
    return worst_exit_code(codes)


def _check_options(models: Sequence[Path], inputs: Path | None, random: RandomInputs, computation: Computation) -> None:
    """Refuse options that would have no effect."""
    if not models and (inputs is not None or random != RandomInputs() or computation.kernel is not None):
        raise UsageError(
            "inputs or a kernel were given, and nothing is run: all that is compared are runs",
            remedy="leave them out, or give models",
        )


def _sides(
    paths: Sequence[Path],
    models: Sequence[Path],
    inputs: Path | None,
    target: TargetChoice,
    random: RandomInputs,
    computation: Computation,
) -> tuple[list[Side], list[ExitCode]]:
    """Every side by its name, and the exit codes of those that were run here."""
    from harness.changes.same_inputs import refuse_other_shapes
    from harness.changes.side import read_side
    from harness.validation import Limits

    names = [path.name for path in paths]
    settings = Settings((target,), Limits(), random, computation, counts_ticks=True)
    sides, codes = [], [ExitCode.PASS]
    known: list[tuple[Path, ModelSpec]] = []
    refused: HilError | None = None
    with settings.session() as run_model:
        for path in paths:
            if path in models:
                outcome = run_model(ModelFiles(path, inputs=inputs), lambda _: None)
                if outcome.run.loaded is not None:
                    known.append((path, outcome.run.loaded.spec))
                    refuse_other_shapes(str(known[0][0]), known[0][1], str(path), known[-1][1])
                if outcome.run.error is not None:
                    refused = refused or _of_model(path, outcome.run.error)
                    if isinstance(refused, InputsRefused):
                        continue  # of a file that fits one model only, both are to be named
                    raise refused
                codes.append(outcome.run.exit_code)
                side = _side_of(outcome, target)
            else:
                side = read_side(path)
            sides.append(replace(side, name=path.name if names.count(path.name) == 1 else str(path)))
    if refused is not None:
        raise refused
    return sides, codes


def _of_model(path: Path, error: HilError) -> HilError:
    """The error of a model's run, with its name where it is the model or its inputs that are refused."""
    if isinstance(error, UsageError) and path.name not in error.message:
        error.message = f"{path}: {error.message}"
    return error


def _side_of(outcome: Outcome, target: TargetChoice) -> Side:
    from harness.changes.side import Side
    from harness.report.record import record_of

    run = outcome.run
    assert run.loaded is not None
    return Side(
        name=run.model_path.name,
        record=record_of(run, target, outcome.target),
        tensors=run.got,
        spec=run.loaded.spec,
    )
