"""`hil validate`: models in, verdicts out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.baseline import BaselineFile, BaselineOptions, BaselinePercent, BaselineStrict, UpdateBaseline
from harness.cli.files import PerModel, ReportFolder, start_recording
from harness.cli.model_options import AbsoluteTolerance, Batch, Layer, RelativeTolerance, Seed, Steps
from harness.cli.options import takes_target
from harness.cli.resume import Earlier, Keys, check_resume, earlier_runs, saved_sha256
from harness.cli.session import DEFAULT_KERNEL, Computation, ModelFiles, Outcome, RandomInputs, Settings
from harness.cli.telling import tell_of_run
from harness.cli.workers import checked_workers, events_of, possible_workers, without_busy
from harness.errors import (
    DeviceError,
    ExitCode,
    FlashError,
    HilError,
    InternalError,
    LinkError,
    MismatchError,
    TargetUnavailable,
    UsageError,
)
from harness.spread.events import Event, Finished, Lost, Progressed, Started
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.progress import RunsProgress
    from harness.transport.recording import Recording
    from harness.validation import Validation

KERNELS = ("arm_math", "packed", "packed_fma")
"""Names for --kernel."""

TRACES = ("none", "last", "h", "hc", "gates")
"""Levels for --trace, each with all of the one before it."""

WORST_FIRST = (
    ExitCode.ORACLE,
    ExitCode.DEVICE,
    ExitCode.MISMATCH,
    ExitCode.LINK,
    ExitCode.FLASH,
    ExitCode.TARGET,
    ExitCode.USAGE,
    ExitCode.OUT_OF_TOLERANCE,
    ExitCode.PASS,
)
"""Of several models the first of these that occurs is the exit code of all. A refused model (2) is worse than a wrong
number, since nothing was measured, and no fault of the rig."""


@dataclass(frozen=True)
class Files:
    """The per-model files of one command line."""

    weights: PerModel
    inputs: PerModel
    save: PerModel
    json: PerModel
    record: Path | None = None
    report: ReportFolder | None = None
    expected: PerModel | None = None

    def check(self, models: Sequence[Path]) -> None:
        """Nothing that is written may be something that is read, or written twice.

        Raises:
            UsageError: an output is also a model, its weights, an input or another output.
        """
        record = None if self.record is None else self.record.resolve()
        read = {
            path.resolve()
            for model in models
            for path in (model, self.weights.of(model), self.inputs.of(model), self.of(model).expected)
            if path is not None
        }
        for model in models:
            outputs = self._outputs(model)
            for path in outputs:
                if path.resolve() in read:
                    raise UsageError(f"{path} would be written over, and it is read", remedy="name another place")
            named = Counter(path.resolve() for path in outputs).most_common(1)
            if named and named[0][1] > 1:
                raise UsageError(
                    f"two of --save, --json and --report name {named[0][0]}", remedy="name files of their own"
                )
            if record is not None and record in {path.resolve() for path in outputs}:
                raise UsageError(f"--record names {self.record}, as another option does", remedy="name another file")
        if record in read:
            raise UsageError(f"{self.record} would be written over, and it is read", remedy="name another place")

    def _outputs(self, model: Path) -> list[Path]:
        """All files that are written about a model, except for the record of the link."""
        files = [path for path in (self.save.of(model), self.json.of(model)) if path is not None]
        if self.report is None:
            return files
        from harness.report.folder import RUN_FILES

        return [*files, *(self.report.of(model) / name for name in RUN_FILES)]

    def forget_old(self, model: Path) -> None:
        """Remove what an earlier run left: whatever happens to this one, its result must not be taken for a new one."""
        for path in (self.save.of(model), self.json.of(model)):
            if path is not None and path.is_file():
                with suppress(OSError):  # said when it is written
                    path.unlink()
        if self.report is not None:
            from harness.report.folder import forget_report

            forget_report(self.report.of(model))

    def begin(self, choice: TargetChoice, workers: int) -> Recording | None:
        """Forget the old index, and start the record of the link that is wanted or that a report may keep.

        Args:
            choice: the target.
            workers: several have no link in common; 0: none of them is ours.
        """
        if self.report is not None:
            from harness.report.folder import LINK_RECORD, forget_index

            forget_index(self.report.path)
            if self.record is None and workers == 1:
                return start_recording(self.report.path / LINK_RECORD, choice)
        return None if self.record is None else start_recording(self.record, choice)

    def earlier(self, models: Sequence[Path], keys: Keys, settings: Settings) -> dict[int, Earlier]:
        """Which models need not be run again, by their place."""
        files = [(self.of(model), self.json.of(model), self.save.of(model)) for model in models]
        return earlier_runs(files, keys, settings)

    def of(self, model: Path) -> ModelFiles:
        """What is read of one model."""
        expected = None if self.expected is None else self.expected.of(model)
        return ModelFiles(model, self.weights.of(model), self.inputs.of(model), expected)

    def write(
        self,
        outcome: Outcome,
        choice: TargetChoice,
        recording: Recording | None = None,
        exit_code: int | None = None,
        resume_key: str | None = None,
    ) -> list[Path]:
        """Write what was asked for; what cannot be written becomes the run's error. Gives the files that are there."""
        from harness.report.folder import forget_report, write_report
        from harness.report.record import write_arrays, write_record

        run = outcome.run
        written = []
        save, json = self.save.of(run.model_path), self.json.of(run.model_path)
        report = None if self.report is None else self.report.of(run.model_path)
        if self.record is not None and recording is not None and recording.failure is not None and run.error is None:
            run.error = UsageError(recording.failure, remedy="name another file for --record")
        try:
            if save is not None and run.got:
                write_arrays(run.got, save)
                written.append(save)
        except OSError as error:
            run.error = UsageError(f"{save} cannot be written: {error.strerror}", remedy="name another file")
        try:
            if report is not None:
                written.append(
                    write_report(report, run, self._record(outcome, choice, recording, exit_code, resume_key))
                )
        except UsageError as error:
            run.error = error
        try:
            if json is not None:
                write_record(self._record(outcome, choice, recording, exit_code, resume_key), json)
                written.append(json)
        except OSError as error:
            run.error = UsageError(f"{json} cannot be written: {error.strerror}", remedy="name another file")
            if report is not None:
                forget_report(report)  # it says nothing of this
        return written

    def write_index(self, runs: Sequence[Validation]) -> list[Path]:
        """Write what leads to the reports of many models; gives the file, if there is any to be written."""
        if self.report is None or not self.report.holds_many:
            return []
        from harness.report.folder import read_records, write_index

        return [write_index(self.report.path, read_records([self.report.of(run.model_path) for run in runs]))]

    def _record(
        self,
        outcome: Outcome,
        choice: TargetChoice,
        recording: Recording | None,
        exit_code: int | None,
        resume_key: str | None = None,
    ) -> dict[str, Any]:
        from harness.build.commit import commit_here
        from harness.build.program import program_facts
        from harness.report.record import record_of

        run = outcome.run
        link = self.record
        if recording is not None and keeps_link_record(run):
            link = recording.path
        record = record_of(
            run,
            choice,
            outcome.target,
            link,
            command=["hil", *sys.argv[1:]],
            program=None if run.hello is None else program_facts(run.hello.build_id, run.hello.board),
            commit=commit_here(),
            resume=None
            if resume_key is None
            else {"key": resume_key, "saved_sha256": saved_sha256(self.save.of(run.model_path))},
        )
        return record if exit_code is None else {**record, "exit_code": exit_code}


def keeps_link_record(run: Validation) -> bool:
    """Whether the link may tell why a run did not pass: numbers went over it, or it failed itself."""
    is_of_link = isinstance(run.error, (LinkError, DeviceError, MismatchError, FlashError))
    return run.exit_code != ExitCode.PASS and (run.hello is not None or is_of_link)


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
        str,
        typer.Option(
            "--trace",
            metavar="|".join(TRACES),
            help="What is fetched and judged beside the outputs: nothing, last states, h of each step, c, gates.",
        ),
    ] = "hc",
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
    settings = Settings(targets, Limits(atol, rtol), random, computation, layer, counts_ticks=counts)
    runs = run_models(models, settings, files, count, cluster, resume=resume, verbose=verbose)
    return worst_exit_code([*(run.exit_code for run in runs), _against(held, runs, targets[0])])


def _against(held: BaselineOptions, runs: Sequence[Validation | Earlier], target: TargetChoice) -> ExitCode:
    """What a baseline says of the runs, if one was given."""
    if held.path is None:
        return ExitCode.PASS
    from harness.report.model_figures import model_entry
    from harness.report.terminal import make_console

    # Of those that passed: figures of wrong numbers must not become a baseline.
    passed = [run for run in runs if not isinstance(run, Earlier) and run.exit_code == ExitCode.PASS]
    return held.judge(make_console(), dict(model_entry(run, target) for run in passed))


def run_models(
    models: Sequence[Path],
    settings: Settings,
    files: Files,
    workers: int = 1,
    cluster: str | None = None,
    *,
    resume: bool = False,
    verbose: bool = False,
    before_verdict: Callable[[Validation], None] | None = None,
) -> list[Validation | Earlier]:
    """Validate every model and print each as it is done; a verdict, or a table of all, ends the output.

    Args:
        models: model files.
        settings: the target, and what else is the same for all of them.
        files: what to read and to write.
        workers: how many are validated at once; each worker has one target session.
        cluster: address of a dask scheduler, whose workers validate instead.
        resume: leave out models whose records say that nothing has changed.
        verbose: show all that the devices tell.
        before_verdict: prints something more of a run.
    """
    from harness.report.progress import RunsProgress
    from harness.report.terminal import board_name_of, make_console, print_files, print_summary, print_verdict

    console = make_console()
    settings, busy = without_busy(settings)
    choice, workers = settings.choice, possible_workers(min(workers, len(models)), settings)
    named = "; ".join(map(str, settings.choices))
    where = f", by the dask scheduler at {cluster}" if cluster else f", {workers} at once" if workers > 1 else ""
    console.print(f"target  {named}{where}", markup=False)
    for error in busy:
        console.print(f"note    left out: {error.message}", markup=False)
    recording = files.begin(choice, workers if cluster is None else 0)
    if settings.computation.bit_exact and choice.kind == "native":
        console.print("note    --bit-exact on native compares two runs of one program")
    keys = Keys(settings)
    known = files.earlier(models, keys, settings) if resume else {}
    if known:
        console.print(f"note    {len(known)} of {len(models)} were validated before, and nothing has changed since")
    left = [place for place in range(len(models)) if place not in known]
    jobs = [files.of(models[place]) for place in left]
    keys_before = [keys.of(job) if files.json.is_used else None for job in jobs]
    runs: dict[int, Validation] = {}
    boards: dict[int, str] = {}

    def conclude(place: int, outcome: Outcome) -> None:
        key = keys.still(keys_before[place], jobs[place], outcome)
        _conclude(console, outcome, settings, files, recording, key)
        tell_of_run(outcome.run, verbose=verbose)
        _print_more(outcome.run, before_verdict)
        if len(models) > 1:
            print_verdict(console, outcome.run)
        runs[left[place]] = outcome.run
        if len(settings.choices) > 1 and outcome.target is not None:
            boards[left[place]] = board_name_of(outcome.target)

    with RunsProgress(console, len(jobs), workers) as progress:
        events = events_of(jobs, settings, recording, workers, progress, cluster)
        _follow(events, [job.model for job in jobs], settings, files, progress, conclude)
    print_files(console, files.write_index([runs[place] for place in left]))
    if recording is not None:
        is_kept = files.record is not None or any(map(keeps_link_record, runs.values()))
        _end_recording(console, recording, is_kept=is_kept)
    ends: list[Validation | Earlier] = [known[place] if place in known else runs[place] for place in range(len(models))]
    if len(models) > 1 or known:
        print_summary(console, ends, [boards.get(place, "") for place in range(len(models))] if boards else None)
    else:
        print_verdict(console, runs[0])
    return ends


def _end_recording(console: Console, recording: Recording, *, is_kept: bool) -> None:
    from harness.report.terminal import print_files

    if not is_kept:
        recording.path.unlink(missing_ok=True)
        return
    print_files(console, [recording.path])
    if recording.problem is not None:
        console.print(f"note    {recording.problem}", markup=False)


def _print_more(run: Validation, before_verdict: Callable[[Validation], None] | None) -> None:
    if before_verdict is not None:
        before_verdict(run)


def worst_exit_code(codes: Sequence[ExitCode]) -> int:
    """The exit code of several runs."""
    return int(min(codes, key=WORST_FIRST.index))


def _follow(
    events: Iterator[Event[Outcome]],
    models: Sequence[Path],
    settings: Settings,
    files: Files,
    progress: RunsProgress,
    conclude: Callable[[int, Outcome], None],
) -> None:
    """Conclude each model as it is done. However it ends, the workers end too, and each model begun has a record."""
    begun: set[int] = set()
    done: set[int] = set()
    try:
        with closing(events):  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Started):
                    files.forget_old(models[event.place])
                    begun.add(event.place)
                    progress.progressed(event.place, 0.0)
                elif isinstance(event, Progressed):
                    progress.progressed(event.place, event.share)
                else:
                    conclude(event.place, _outcome(event, models[event.place], settings))
                    begun.discard(event.place)
                    done.add(event.place)
                    progress.finished(event.place)
    except TargetUnavailable as error:  # no worker is left
        for place in sorted(set(range(len(models))) - done):
            files.forget_old(models[place])
            conclude(place, settings.without_result(models[place], error))
    except BaseException as end:
        code = end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 130
        stopped = HilError("the run was interrupted", code="interrupted", remedy="run it again")
        stopped.fault = "user"
        for place in sorted(begun):
            files.write(settings.without_result(models[place], stopped), settings.choice, exit_code=code)
        raise


def _outcome(event: Finished[Outcome] | Lost, model: Path, settings: Settings) -> Outcome:
    if isinstance(event, Finished):
        return event.result
    lost = InternalError(
        f"no worker brought it to its end, the last one: {event.how}",
        code="worker_lost",
        remedy="run it alone, on this machine; if it ends so again, report it with the model (out of memory?)",
    )
    return settings.without_result(model, lost)


def _conclude(
    console: Console,
    outcome: Outcome,
    settings: Settings,
    files: Files,
    recording: Recording | None,
    resume_key: str | None,
) -> None:
    from harness.report.terminal import print_files, print_run

    written = files.write(outcome, settings.choice, recording, resume_key=resume_key)
    print_run(console, outcome.run, outcome.target)
    print_files(console, written)
