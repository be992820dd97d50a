"""The command line `hil`: reads options, wires the parts together, turns every error into one message and exit code.

app            all commands; where errors become messages
validate, info, flash, fit, export, replay, soak, doctor, bisect, compare, golden, vectors, demo
               a command each; listing has `list`, maintenance `setup` and `test`
bench          a command, with bench_link for what it is with --link; baseline: --baseline of it and of `validate`
options        what several commands share: the target; model_options: inputs and tolerances
run_models     many models, each printed as it is done, for `validate` and its like
session        one of them on a session of a target; lazy_workbench: the target, made when it is needed
workers        who does that: this process, several, a cluster; remote is what travels there
run_files      every file that is read and written; files: where a model's own lie
resume         which models need not be run again
telling        what a device tells unasked
exit_codes     the exit code of several runs
"""

from __future__ import annotations

import io
import signal
import sys
from typing import NoReturn

from harness.endings import end_in_order


def main() -> NoReturn:
    """Entry point of the `hil` program. Exit codes: docs/REPORT.md and `hil --help`."""
    try:
        _end_in_order()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
        from harness.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = 130
    sys.exit(code)


def _end_in_order() -> None:
    """SIGTERM, and a terminal that goes away, end us as Ctrl-C does: with every process that we started."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # a shell's background job ignores it
        end_in_order(signal.SIGINT, once=True)  # pressed twice, for want of patience, it must not cost the records
    end_in_order(signal.SIGTERM)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which nohup asks for
        end_in_order(signal.SIGHUP)
