"""Runs compilers and their like."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.build.paths import hil_command
from harness.errors import BuildFailed
from harness.processes import run_to_its_end

_SHOWN_LINES = 20
"""As many as a reader takes in; the first error is what matters, and it is always among them."""

_ERROR = re.compile(r"\berror\b|\bld(\.exe)?: |^\*\*\* |^\w*(Error|Exception): ", re.IGNORECASE)


def run_tool(
    argv: Sequence[str | Path], *, what: str, cwd: Path, extra_env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program to its end, with its input closed. It ends with us, and all that it has started.

    Args:
        argv: the program and its arguments.
        what: what it does, to follow "could not".
        cwd: where it runs.
        extra_env: environment variables on top of ours.

    Returns:
        Its exit status, and what it wrote to stdout and stderr, in the order of writing.

    Raises:
        BuildFailed: it could not be started.
    """
    try:
        return run_to_its_end([str(argument) for argument in argv], cwd=cwd, env={**os.environ, **(extra_env or {})})
    except OSError as error:
        raise BuildFailed(
            f"could not {what}: {argv[0]}: {error.strerror}", remedy=f"run `{hil_command()} setup`"
        ) from error


def failure_lines(output: str) -> str:
    """The part of a compiler's output that a person wants to see: from the first error on, else the end."""
    lines = output.strip().splitlines()
    first = next((i for i, line in enumerate(lines) if _ERROR.search(line)), len(lines) - _SHOWN_LINES)
    return "\n".join(lines[max(first, 0) :][:_SHOWN_LINES])
