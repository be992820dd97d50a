"""Waiting for what another process does, with one limit for all: a machine may be ten times slower than ours."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 150.0
"""Half of what a test may take in all (conftest.py). What happens is not waited for any longer, so it costs nothing."""


def wait_until(happened: Callable[[], object], timeout_s: float = PATIENCE_S, *, look_s: float = 0.02) -> bool:
    """Whether something happens in time."""
    deadline_s = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(look_s)
    return True
