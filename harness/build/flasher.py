"""Runs a program that writes a board's flash, and says why where it fails."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.build.paths import project_root
from harness.errors import HilError
from harness.findings import found
from harness.processes import run_to_its_end

_SHOWN_LINES = 12


@dataclass(frozen=True)
class Flasher:
    """A way to write the flash.

    Attributes:
        name: for people.
        causes: what it writes where it fails, as a pattern, and the finding that this is. The first one counts.
        by_hand: a command that shows more.
        timeout_s: after which it is ended.
        facts: more facts of its findings.
    """

    name: str
    causes: tuple[tuple[str, str], ...]
    by_hand: str
    timeout_s: float
    facts: Mapping[str, Any] = field(default_factory=dict)


def run(flasher: Flasher, argv: Sequence[str], serial_number: str | None, environment: Mapping[str, str] = {}) -> None:
    """Run the program to its end.

    Args:
        flasher: what it is.
        argv: its command.
        serial_number: of the probe, for messages.
        environment: variables on top of ours.

    Raises:
        HilError: the finding that its failure is, with the last lines of what it wrote.
    """
    status, output = _output_of(argv, environment, flasher.timeout_s)
    if status == 0:
        return
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("===")]
    error = _failure(flasher, serial_number, status, output)
    error.message = "\n".join([f"{error.message}:", *lines[-_SHOWN_LINES:]])
    raise error


def _failure(flasher: Flasher, serial_number: str | None, status: int | None, output: str) -> HilError:
    probe = f"the ST-LINK with serial number {serial_number}" if serial_number else "an ST-LINK"
    facts = {"tool": flasher.name, "probe": probe, "user": "this user", "owner": "", **flasher.facts}
    if status is None:
        return found("flash_hangs", seconds=f"{flasher.timeout_s:g}", **facts)
    for pattern, finding_id in flasher.causes:
        if re.search(pattern, output):
            return found(finding_id, **facts)
    return found("flash_error", status=status, by_hand=flasher.by_hand, **facts)


def _output_of(argv: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> tuple[int | None, str]:
    """Exit status, None if it took too long, and output. What it has started ends with it: it would keep the probe."""
    try:
        return run_to_its_end(argv, cwd=project_root(), env={**os.environ, **environment}, timeout_s=timeout_s)
    except subprocess.TimeoutExpired as late:
        return None, str(late.output)
