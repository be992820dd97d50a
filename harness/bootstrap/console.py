"""Where the bootstrap talks: stderr, because stdout belongs to the command that the user asked for."""

from __future__ import annotations

import sys


def print_to_stderr(text: str) -> None:
    """Print one message of the launcher."""
    sys.stderr.write(f"hil: {text}\n")
    sys.stderr.flush()
