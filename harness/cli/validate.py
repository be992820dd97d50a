"""`hil validate`: models in, verdicts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.files import PerModel
from harness.cli.options import Native, Qemu, chosen_target, ready_target
from harness.errors import ExitCode, HilError, TargetUnavailable, UsageError
from harness.targets.base import Target

if TYPE_CHECKING:
    from rich.console import Console

    from harness.model.inputs import Inputs
    from harness.model.spec import ModelSpec
    from harness.validation import Limits, Validation
    from harness.workbench import Workbench

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

    inputs: PerModel
    save: PerModel
    json: PerModel


def validate_command(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Keras models (.keras).")],
    qemu: Qemu = False,
    native: Native = False,
    inputs: Annotated[
        str | None, typer.Option("--inputs", metavar="X.npz", help="Inputs, or a folder of them. Default: random.")
    ] = None,
    atol: Annotated[float | None, typer.Option("--atol", help="Absolute tolerance. Default: derived.")] = None,
    rtol: Annotated[float | None, typer.Option("--rtol", help="Relative tolerance. Default: 2e-6.")] = None,
    batch: Annotated[int, typer.Option("--batch", help="Random inputs: sequences.")] = 8,
    steps: Annotated[int, typer.Option("--steps", help="Random inputs: time steps, if the model leaves them.")] = 16,
    seed: Annotated[int, typer.Option("--seed", help="Random inputs: seed.")] = 0,
    save: Annotated[
        str | None, typer.Option("--save", metavar="OUT.npz", help="What the device computed: file or folder.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="R.json", help="The record of the run: file or folder.")
    ] = None,
) -> int:
    """Validate Keras models on the firmware: every h and c of every step, within a tolerance with a reason."""
    kind, is_default = chosen_target(qemu, native)
    files = Files(
        PerModel("--inputs", inputs, ".npz", models),
        PerModel("--save", save, ".npz", models).writable(),
        PerModel("--json", json_path, ".json", models).writable(),
    )
    _check_random(batch, steps, seed)
    runs = run_models(models, kind, is_default, files, _limits(atol, rtol), (batch, steps, seed))
    return worst_exit_code([run.exit_code for run in runs])


def run_models(
    models: Sequence[Path],
    kind: str,
    is_default: bool,
    files: Files,
    limits: Limits,
    random: tuple[int, int, int] = (8, 16, 0),
    remark: Callable[[Console, Validation], None] | None = None,
) -> list[Validation]:
    """Validate every model on one target session and print each; a verdict, or a table of all, ends the output.

    Args:
        models: model files.
        kind: of the target.
        is_default: whether nobody asked for that target.
        files: what to read and to write.
        limits: tolerances that were given.
        random: (batch, steps, seed) of random inputs.
        remark: may print something more about a run before its verdict.
    """
    from harness.report.terminal import make_console, print_summary, print_verdict

    console = make_console()
    console.print(f"target  {kind}{' (default)' if is_default else ''}")
    target = _Lazy(kind)
    runs = []
    for model in models:
        run = _run_one(console, model, target, files, limits, random)
        if remark is not None:
            remark(console, run)
        if len(models) > 1:
            print_verdict(console, run)
        runs.append(run)
    target.close()
    if len(models) > 1:
        print_summary(console, runs)
    else:
        print_verdict(console, runs[0])
    return runs


def worst_exit_code(codes: Sequence[ExitCode]) -> int:
    """The exit code of several runs."""
    return int(min(codes, key=WORST_FIRST.index))


class _Lazy:
    """The workbench of a target, made when first needed: a model that is refused needs no firmware."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._workbench: Workbench | None = None
        self._unavailable: TargetUnavailable | None = None

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def target(self) -> Target | None:
        return None if self._workbench is None else self._workbench.target

    def workbench(self) -> Workbench:
        from harness.workbench import Workbench

        if self._unavailable is not None:
            raise self._unavailable
        if self._workbench is None:
            try:
                self._workbench = Workbench(ready_target(self._kind))
            except TargetUnavailable as error:
                self._unavailable = error
                raise
        return self._workbench

    def failed(self, error: HilError) -> HilError:
        return error if self._workbench is None else self._workbench.failed(error)

    def close(self) -> None:
        if self._workbench is not None:
            self._workbench.close()


def _run_one(
    console: Console, model: Path, target: _Lazy, files: Files, limits: Limits, random: tuple[int, int, int]
) -> Validation:
    from harness.report.record import record_of, write_record
    from harness.report.terminal import print_run, progress_of
    from harness.validation import validate

    try:
        with progress_of(console, model.name) as progress:
            make_inputs = _inputs_maker(files.inputs.of(model), random)
            run = validate(model, make_inputs, lambda: target.workbench().device(), limits, progress)
        if run.error is not None and run.error.exit_code >= ExitCode.LINK:
            run.error = target.failed(run.error)
    except BaseException:
        target.close()
        raise
    print_run(console, run)
    _save(files.save.of(model), run, console)
    json_file = files.json.of(model)
    if json_file is not None:
        write_record(record_of(run, target.kind, target.target), json_file)
        console.print(f"record  {json_file}")
    return run


def _inputs_maker(path: Path | None, random: tuple[int, int, int]) -> Callable[[ModelSpec], Inputs]:
    from harness.model.inputs import load_inputs, random_inputs

    batch, steps, seed = random
    if path is not None:
        return lambda spec: load_inputs(path, spec)
    return lambda spec: random_inputs(spec, batch, steps, seed)


def _save(path: Path | None, run: Validation, console: Console) -> None:
    if path is None or not run.got:
        return
    import numpy as np

    with path.open("wb") as file:  # np.savez would add .npz to any other name
        np.savez(file, **run.got)  # type: ignore[arg-type]
    console.print(f"saved   {path}")


def _limits(atol: float | None, rtol: float | None) -> Limits:
    from harness.validation import Limits

    for option, value in (("--atol", atol), ("--rtol", rtol)):
        if value is not None and not 0 <= value < float("inf"):
            raise UsageError(f"{option} is {value}", remedy=f"give {option} a number of 0 or more")
    return Limits(atol, rtol)


def _check_random(batch: int, steps: int, seed: int) -> None:
    for option, value, least in (("--batch", batch, 1), ("--steps", steps, 1), ("--seed", seed, 0)):
        if value < least:
            raise UsageError(f"{option} is {value}", remedy=f"give {option} a number of at least {least}")
