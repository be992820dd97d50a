"""The command line `hil`: reads options, wires the parts together, turns every error into one message and exit code."""

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
    end_in_order(signal.SIGTERM)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which nohup asks for
        end_in_order(signal.SIGHUP)
