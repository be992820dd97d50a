"""`hil bisect`: where a model's values begin to be wrong, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.exit_codes import worst_exit_code
from harness.cli.files import PerModel
from harness.cli.model_options import AbsoluteTolerance, Batch, KernelName, Layer, RelativeTolerance, Seed, Steps
from harness.cli.options import takes_target
from harness.cli.run_files import Files
from harness.cli.run_models import run_models
from harness.cli.session import Computation, RandomInputs, Settings
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from harness.validation import Validation


@takes_target
def bisect_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A Keras model (.keras, .h5, .npz).", readable=False)],
    targets: tuple[TargetChoice, ...],
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="W.weights.h5", help="Weights in place of the model's own.")
    ] = None,
    inputs: Annotated[str | None, typer.Option("--inputs", metavar="X.npz", help="Inputs. Default: random.")] = None,
    expected: Annotated[
        str | None, typer.Option("--expected", metavar="Y.npz", help="Expected values in place of Keras'.")
    ] = None,
    atol: AbsoluteTolerance = None,
    rtol: RelativeTolerance = None,
    batch: Batch = None,
    steps: Steps = None,
    seed: Seed = None,
    layer: Layer = None,
    kernel: KernelName = None,
    json_path: Annotated[str | None, typer.Option("--json", metavar="R.json", help="The record of the run.")] = None,
) -> int:
    """Find the first step, layer, unit and gate that is wrong, and why: from the gates, with that step run alone."""
    from harness.validation import Limits

    models = [model]
    files = Files(
        PerModel("--weights", weights, ".weights.h5", models),
        PerModel("--inputs", inputs, ".npz", models),
        PerModel("--save", None, ".npz", models),
        PerModel("--json", json_path, ".json", models).writable(),
        expected=PerModel("--expected", expected, ".npz", models),
    )
    files.check(models)
    random = RandomInputs(batch, steps, seed)
    random.check(inputs)
    computation = Computation(kernel, trace="gates", look_closer=True)
    computation.check()
    settings = Settings(targets, Limits(atol, rtol), random, computation, layer)
    (run,) = run_models(models, settings, files, before_verdict=_print_steps)
    return worst_exit_code([run.exit_code])


def _print_steps(run: Validation) -> None:
    from harness.report.reasons import print_bisection
    from harness.report.terminal import make_console

    if run.bisection is not None:
        print_bisection(make_console(), run.bisection)
