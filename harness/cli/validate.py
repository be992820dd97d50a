"""`hil validate`: models in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.files import PerModel, start_recording
from harness.cli.options import ready_target, takes_target
from harness.errors import DeviceError, ExitCode, HilError, LinkError, MismatchError, TargetUnavailable, UsageError
from harness.targets.base import Target
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.device import Device
    from harness.model.inputs import Inputs
    from harness.model.pack import ModelImage
    from harness.model.whole import WholeInputs
    from harness.oracle.load import LoadedModel
    from harness.transport.recording import Recording
    from harness.validation import Limits, Validation
    from harness.workbench import Workbench

KERNELS = ("arm_math", "packed", "packed_fma")
"""Names for --kernel, the default one first: what the project is named for, and what the others are held against."""

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
class RandomInputs:
    """What random inputs are made from, where no file is given; None: what the model fixes, else the default."""

    batch: int | None = None
    steps: int | None = None
    seed: int | None = None

    def check(self, inputs: str | None) -> None:
        """Refuse what cannot be, before anything is started.

        Args:
            inputs: the file that was given in place of random inputs.

        Raises:
            UsageError: a number is too small, or would have no effect.
        """
        given = [
            (option, value, least)
            for option, value, least in (
                ("--batch", self.batch, 1),
                ("--steps", self.steps, 1),
                ("--seed", self.seed, 0),
            )
            if value is not None
        ]
        for option, value, least in given:
            if value < least:
                raise UsageError(f"{option} is {value}", remedy=f"give {option} a number of at least {least}")
        if given and inputs is not None:
            options = ", ".join(option for option, _, _ in given)
            raise UsageError(
                f"{options} and --inputs were both given", remedy=f"leave out {options}: the inputs come from {inputs}"
            )


@dataclass(frozen=True)
class Computation:
    """How the device computes, how much of that is looked at, and whether every bit of it."""

    kernel: str = "arm_math"
    bit_exact: bool = False
    trace: str = "hc"

    def check(self) -> None:
        """Refuse a kernel or a trace that there is not.

        Raises:
            UsageError: there is none of this name.
        """
        from harness.model.pack import kernel_named
        from harness.model.trace import trace_named

        kernel_named(self.kernel)
        trace_named(self.trace)


@dataclass(frozen=True)
class Files:
    """The per-model files of one command line."""

    weights: PerModel
    inputs: PerModel
    save: PerModel
    json: PerModel
    record: Path | None = None

    def check(self, models: Sequence[Path]) -> None:
        """Nothing that is written may be something that is read, or written twice.

        Raises:
            UsageError: an output is also a model, its weights, an input or another output.
        """
        record = None if self.record is None else self.record.resolve()
        read = {
            path.resolve()
            for model in models
            for path in (model, self.weights.of(model), self.inputs.of(model))
            if path is not None
        }
        for model in models:
            outputs = [path for path in (self.save.of(model), self.json.of(model)) if path is not None]
            for path in outputs:
                if path.resolve() in read:
                    raise UsageError(f"{path} would be written over, and it is read", remedy="name another place")
            if len({path.resolve() for path in outputs}) < len(outputs):
                raise UsageError(f"--save and --json both name {outputs[0]}", remedy="name two files")
            if record is not None and record in {path.resolve() for path in outputs}:
                raise UsageError(f"--record names {self.record}, as another option does", remedy="name another file")
        if record in read:
            raise UsageError(f"{self.record} would be written over, and it is read", remedy="name another place")

    def forget_old(self, model: Path) -> None:
        """Remove what an earlier run left: whatever happens to this one, its result must not be taken for a new one."""
        for path in (self.save.of(model), self.json.of(model)):
            if path is not None and path.is_file():
                with suppress(OSError):  # said when it is written
                    path.unlink()

    def write(self, run: Validation, target: _LazyWorkbench, exit_code: int | None = None) -> list[Path]:
        """Write what was asked for; what cannot be written becomes the run's error. Gives the files that are there."""
        from harness.report.record import record_of, write_arrays, write_record

        written = []
        save, json = self.save.of(run.model_path), self.json.of(run.model_path)
        if target.recording is not None and target.recording.failure is not None and run.error is None:
            run.error = UsageError(target.recording.failure, remedy="name another file for --record")
        try:
            if save is not None and run.got:
                write_arrays(run.got, save)
                written.append(save)
        except OSError as error:
            run.error = UsageError(f"{save} cannot be written: {error.strerror}", remedy="name another file")
        try:
            if json is not None:
                record = record_of(run, target.choice, target.target, self.record)
                write_record({**record, "exit_code": record["exit_code"] if exit_code is None else exit_code}, json)
                written.append(json)
        except OSError as error:
            run.error = UsageError(f"{json} cannot be written: {error.strerror}", remedy="name another file")
        return written


@takes_target
def validate_command(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Keras models (.keras, .h5, .npz).", readable=False)
    ],
    target: TargetChoice,
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
    atol: Annotated[float | None, typer.Option("--atol", help="Absolute tolerance. Default: derived.")] = None,
    rtol: Annotated[float | None, typer.Option("--rtol", help="Relative tolerance. Default: 2e-6.")] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", help="Random inputs: sequences. Default: the model's own, else 8.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Random inputs: time steps, if the model leaves them. Default: 16.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="That LSTM alone, on what Keras itself gives it.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Random inputs: seed. Default: 0.")] = None,
    kernel: Annotated[
        str, typer.Option("--kernel", metavar="|".join(KERNELS), help="What computes the LSTMs.")
    ] = KERNELS[0],
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
) -> int:
    """Validate Keras models on the firmware: every h and c of every step, within a tolerance with a reason."""
    from harness.validation import Limits

    files = Files(
        PerModel("--weights", weights, ".weights.h5", models, one_for_all=True),
        PerModel("--inputs", inputs, ".npz", models),
        PerModel("--save", save, ".npz", models).writable(),
        PerModel("--json", json_path, ".json", models).writable(),
        record,
    )
    files.check(models)
    random = RandomInputs(batch, steps, seed)
    random.check(inputs)
    computation = Computation(kernel, bit_exact, trace)
    computation.check()
    runs = run_models(models, target, files, Limits(atol, rtol), random, computation, layer=layer)
    return worst_exit_code([run.exit_code for run in runs])


def run_models(
    models: Sequence[Path],
    choice: TargetChoice,
    files: Files,
    limits: Limits,
    random: RandomInputs = RandomInputs(),
    computation: Computation = Computation(),
    layer: str | None = None,
) -> list[Validation]:
    """Validate every model on one target session and print each; a verdict, or a table of all, ends the output.

    Args:
        models: model files.
        choice: the target.
        files: what to read and to write.
        limits: tolerances that were given.
        random: what inputs are made from, where no file is given.
        computation: how the device computes.
        layer: name of the one LSTM that is to be validated.
    """
    from harness.report.terminal import make_console, print_files, print_summary, print_verdict

    console = make_console()
    console.print(f"target  {choice}", markup=False)
    target = _LazyWorkbench(choice, None if files.record is None else start_recording(files.record, choice))
    host = _LazyWorkbench(TargetChoice("native"))
    if computation.bit_exact and choice.kind == "native":
        console.print("note    --bit-exact on native compares two runs of one program")
    runs = []
    for model in models:
        run = _run_one(console, model, target, files, limits, random, computation, host, layer)
        if len(models) > 1:
            print_verdict(console, run)
        runs.append(run)
    target.close()
    host.close()
    if target.recording is not None:
        print_files(console, [target.recording.path])
        if target.recording.problem is not None:
            console.print(f"note    {target.recording.problem}", markup=False)
    if len(models) > 1:
        print_summary(console, runs)
    else:
        print_verdict(console, runs[0])
    return runs


def worst_exit_code(codes: Sequence[ExitCode]) -> int:
    """The exit code of several runs."""
    return int(min(codes, key=WORST_FIRST.index))


class _LazyWorkbench:
    """The workbench of a target, made when first needed: a model that is refused needs no firmware."""

    def __init__(self, choice: TargetChoice, recording: Recording | None = None) -> None:
        self.choice = choice
        self.recording = recording
        self._workbench: Workbench | None = None
        self._unavailable: TargetUnavailable | None = None

    @property
    def target(self) -> Target | None:
        return None if self._workbench is None else self._workbench.target

    def workbench(self) -> Workbench:
        from harness.workbench import Workbench

        if self._unavailable is not None:
            raise self._unavailable
        if self._workbench is None:
            try:
                self._workbench = Workbench(ready_target(self.choice, self.recording), self.recording)
            except TargetUnavailable as error:
                self._unavailable = error
                raise
        return self._workbench

    def device_for(self, image: ModelImage) -> Device:
        return self.workbench().device_for(image)

    def failed(self, error: HilError) -> HilError:
        error = error if self._workbench is None else self._workbench.failed(error)
        if self.recording is not None and isinstance(error, (LinkError, DeviceError, MismatchError)):
            error.remedy += f"; `hil replay {self.recording.path}` shows what went over the link"
        return error

    def close(self) -> None:
        if self._workbench is not None:
            self._workbench.close()
        if self.recording is not None:
            self.recording.close()


def _run_one(
    console: Console,
    model: Path,
    target: _LazyWorkbench,
    files: Files,
    limits: Limits,
    random: RandomInputs,
    computation: Computation,
    host: _LazyWorkbench,
    layer: str | None,
) -> Validation:
    from harness.build.paths import work_dir
    from harness.model.pack import kernel_named
    from harness.model.trace import trace_named
    from harness.oracle.cache import Oracle
    from harness.report.terminal import print_files, print_run, progress_of
    from harness.validation import Validation, make_inputs, validate

    files.forget_old(model)
    if target.recording is not None:
        target.recording.note(f"model {model.name}")
    oracle = Oracle(work_dir() / "oracle")
    inputs_path = files.inputs.of(model)

    def inputs_of(loaded: LoadedModel) -> Inputs | WholeInputs:
        return make_inputs(loaded, inputs_path, random.batch, random.steps, random.seed)

    try:
        with progress_of(console, model.name) as progress:
            run = validate(
                model,
                inputs_of,
                target.device_for,
                limits,
                oracle,
                progress,
                layer=layer,
                weights=files.weights.of(model),
                kernel=kernel_named(computation.kernel),
                host=host.device_for if computation.bit_exact else None,
                level=trace_named(computation.trace),
            )
        if run.error is not None:
            run.error = target.failed(run.error)
    except BaseException as end:
        target.close()
        host.close()
        code = end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 130
        stopped = HilError("the run was interrupted", code="interrupted", remedy="run it again")
        stopped.fault = "user"
        stopped_run = Validation(model, layer, trace_named(computation.trace), error=stopped)
        files.write(stopped_run, target, exit_code=code)
        raise
    written = files.write(run, target)
    print_run(console, run, target.target)
    print_files(console, written)
    return run
