"""The command line `hil`: reads options, wires the parts together, turns every error into one message and exit code."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Entry point of the `hil` program. Exit codes: docs/REPORT.md and `hil --help`."""
    # SIGTERM ends us as Ctrl-C does: in order, with every process that we started.
    signal.signal(signal.SIGTERM, _terminate)
    from harness.cli.app import run

    sys.exit(run(sys.argv[1:]))


def _terminate(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)
