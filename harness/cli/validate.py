"""`hil validate`: models in, verdicts out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.baseline import (
    BaselineFile,
    BaselineOptions,
    BaselinePercent,
    BaselineStrict,
    HeldRuns,
    UpdateBaseline,
)
from harness.cli.exit_codes import worst_exit_code
from harness.cli.files import PerModel, ReportFolder
from harness.cli.model_options import KERNELS, TRACES, AbsoluteTolerance, Batch, Layer, RelativeTolerance, Seed, Steps
from harness.cli.options import takes_target
from harness.cli.resume import check_resume
from harness.cli.run_files import Files
from harness.cli.run_models import run_models
from harness.cli.session import DEFAULT_KERNEL, Computation, RandomInputs, Settings
from harness.cli.workers import checked_workers
from harness.errors import UsageError
from harness.targets.choice import TargetChoice


@takes_target
def validate_command(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...", help="Keras models (.keras, .h5, .npz), golden files (.golden).", readable=False
        ),
    ],
    targets: tuple[TargetChoice, ...],
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="W.weights.h5",
            help="Weights in place of the models' own: a file for all, or a folder with MODEL's stem + .weights.h5.",
        ),
    ] = None,
    inputs: Annotated[
        str | None, typer.Option("--inputs", metavar="X.npz", help="Inputs, or a folder of them. Default: random.")
    ] = None,
    expected: Annotated[
        str | None,
        typer.Option(
            "--expected", metavar="Y.npz", help="Expected values in place of Keras', as --save names them; or a folder."
        ),
    ] = None,
    atol: AbsoluteTolerance = None,
    rtol: RelativeTolerance = None,
    batch: Batch = None,
    steps: Steps = None,
    layer: Layer = None,
    seed: Seed = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            "--kernel",
            metavar="|".join(KERNELS),
            help=f"What computes the LSTMs. Default: {DEFAULT_KERNEL}, or what a golden file says.",
        ),
    ] = None,
    bit_exact: Annotated[
        bool, typer.Option("--bit-exact", help="Compare every bit with the same firmware as a process of this machine.")
    ] = False,
    trace: Annotated[
        str | None,
        typer.Option(
            "--trace",
            metavar="|".join(TRACES),
            help="What is fetched and judged beside the outputs: nothing, last states, h of each step, c, gates. "
            "Default: hc, or what a golden file has.",
        ),
    ] = None,
    save: Annotated[
        str | None, typer.Option("--save", metavar="OUT.npz", help="What the device computed: file or folder.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="R.json", help="The record of the run: file or folder.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FILE", help="Every byte of the link to the target, for `hil replay`."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="DIR", help="A report to read, with pictures, the record, junit.xml and all arrays."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-j",
            metavar="N",
            help="So many models at once, each on an emulator or a board of its own. Default: 1, or all boards given.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--dask", metavar="tcp://HOST:PORT", help="On the workers of a dask scheduler (docs/LAB.md)."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave out models of whose runs the records in --json say that nothing changed."),
    ] = False,
    baseline: BaselineFile = None,
    percent: BaselinePercent = None,
    update: UpdateBaseline = False,
    strict: BaselineStrict = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show all that the device tells, not only its warnings.")
    ] = False,
) -> int:
    """Validate Keras models on the firmware: every h and c of every step, within a tolerance with a reason."""
    from harness.validation import Limits

    files = Files(
        PerModel("--weights", weights, ".weights.h5", models, one_for_all=True),
        PerModel("--inputs", inputs, ".npz", models),
        PerModel("--save", save, ".npz", models).writable(),
        PerModel("--json", json_path, ".json", models).writable(),
        record,
        None if report is None else ReportFolder(report, models).writable(),
        PerModel("--expected", expected, ".npz", models),
        baseline,
    )
    files.check(models)
    random = RandomInputs(batch, steps, seed)
    random.check(inputs)
    computation = Computation(kernel, bit_exact, trace)
    computation.check()
    count = checked_workers(workers, targets, record, cluster)
    if resume:
        check_resume(json_path, report, targets)
    held = BaselineOptions(baseline, percent, update, strict)
    held.check()
    if baseline is not None:
        name, count_of_name = Counter(model.name for model in models).most_common(1)[0]
        if count_of_name > 1:
            raise UsageError(f"two models are named {name}", remedy="give --baseline to one of them at a time")
        if resume:
            raise UsageError(
                "--resume and --baseline were both given", remedy="leave out --resume: figures are measured"
            )
    # A report and a baseline say what a step costs. It is slower, so nobody else pays for it.
    counts = report is not None or baseline is not None
    limits, steps_alone = Limits(atol, rtol), report is not None
    settings = Settings(targets, limits, random, computation, layer, counts_ticks=counts, steps_alone=steps_alone)
    of_runs = HeldRuns(held, targets[0])
    runs = run_models(
        models, settings, files, count, cluster, resume=resume, verbose=verbose, before_record=of_runs.hold
    )
    return worst_exit_code([*(run.exit_code for run in runs), of_runs.judge()])
