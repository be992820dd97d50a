"""What a device tells unasked, on standard error: warnings always, the rest with -v."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.protocol.messages import Log
    from harness.validation import Validation


def tell_of_run(run: Validation, *, verbose: bool) -> None:
    """The LOGs of a run, and a fault that the device had before it."""
    from harness.protocol.faults import earlier_fault_text

    if run.earlier_fault is not None:
        sys.stderr.write(f"device  warning: {earlier_fault_text(run.earlier_fault)}; its record is cleared now\n")
    for line in log_lines(run.logs, verbose=verbose):
        sys.stderr.write(f"device  {line}\n")


def log_lines(logs: Iterable[Log], *, verbose: bool) -> list[str]:
    """`warning: ...`, a line for each; a gap in their numbers is a loss."""
    from harness.protocol.logs import level_name, log_text
    from harness.protocol.wire import LogLevel

    lines, expected = [], None
    for log in logs:
        if verbose and expected is not None and log.number != expected:
            lines.append(f"({(log.number - expected) % 2**32} messages of the device were lost)")
        expected = (log.number + 1) % 2**32
        if verbose or log.level >= LogLevel.WARNING:
            lines.append(f"{level_name(log)}: {log_text(log)}")
    return lines
