"""All commands, and the one place where exceptions become messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer

from harness import __version__
from harness.cli import (
    bench,
    bisect,
    compare,
    demo,
    doctor,
    export,
    fit,
    flash,
    golden,
    info,
    listing,
    maintenance,
    replay,
    soak,
    validate,
    vectors,
)
from harness.errors import ExitCode, HilError, InternalError
from harness.findings.writing import machine_error

INTERRUPTED = 130
"""The exit code that a shell gives a program which Ctrl-C has ended."""

_EPILOG = (
    "Exit codes: 0 pass, 1 out of tolerance, 2 usage, 3 target not available, 4 flash, 5 link, "
    "6 firmware/protocol mismatch, 7 device fault, 8 oracle."
)

app = typer.Typer(
    help="Proves that an LSTM trained in Keras gives the right numbers on an STM32.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _with_exit_code(command: Callable[..., int]) -> Callable[..., None]:
    """The same command, which ends the program with the code that it returns."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            code = command(*args, **options)
        except KeyboardInterrupt:  # of which Typer would say nothing
            sys.stdout.flush()
            sys.stderr.write("interrupted\n")
            code = INTERRUPTED
        raise typer.Exit(code)

    return wrapped


for _name, _command in (
    ("validate", validate.validate_command),
    ("demo", demo.demo_command),
    ("bench", bench.bench_command),
    ("compare", compare.compare_command),
    ("soak", soak.soak_command),
    ("info", info.info_command),
    ("flash", flash.flash_command),
    ("doctor", doctor.doctor_command),
    ("list", listing.list_command),
    ("export", export.export_command),
    ("fit", fit.fit_command),
    ("bisect", bisect.bisect_command),
    ("vectors", vectors.vectors_command),
    ("replay", replay.replay_command),
    ("setup", maintenance.setup_command),
    ("test", maintenance.run_tests_command),
):
    app.command(_name)(_with_exit_code(_command))

_golden = typer.Typer(help="Golden files: model, inputs and expected values in one.", no_args_is_help=True)
for _name, _command in (("make", golden.make_command), ("show", golden.show_command)):
    _golden.command(_name)(_with_exit_code(_command))
app.add_typer(_golden, name="golden")


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"hil {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Proves that an LSTM trained in Keras gives the right numbers on an STM32."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. A person's mistake gives a sentence, never a traceback."""
    try:
        app(list(arguments))
    except SystemExit as end:  # Typer ends every command so, after its own message where the usage was wrong
        return end.code if isinstance(end.code, int) else 0 if end.code is None else int(ExitCode.USAGE)
    except BrokenPipeError:
        _forget_output()
        return 141  # what a shell reports of a program whose reader went away
    except HilError as error:
        _say(error)
        return int(error.exit_code)
    except OSError as error:
        told = machine_error(error)
        _say(told)
        return int(told.exit_code)
    except Exception as error:  # noqa: BLE001 - exit code 1 is a verdict, and a bug of ours must not pass for one
        traceback.print_exc()
        _say(InternalError(f"{type(error).__name__}: {error}", remedy="report this with the lines above"))
        return int(InternalError.exit_code)
    return 0


def _say(error: HilError) -> None:
    sys.stderr.write(f"error ({error.fault}): {error.message} [{error.code}]\n")
    if error.first is not None:
        sys.stderr.write(f"at first: {error.first.message}\n")
    if error.remedy:
        sys.stderr.write(f"what to do: {error.remedy}\n")


def _forget_output() -> None:
    """Python flushes standard output once more at its end, and would complain of the same pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
