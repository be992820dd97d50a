"""The exit code of several runs."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import ExitCode

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


def worst_exit_code(codes: Sequence[ExitCode]) -> int:
    """The exit code of several runs."""
    return int(min(codes, key=WORST_FIRST.index))
