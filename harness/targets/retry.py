"""Trying again what comes and goes: ports, until USB or a server has settled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from harness.errors import HilError

Got = TypeVar("Got")


def retry_for(
    timeout_s: float, attempt: Callable[[], Got], *, pause_s: float, is_passing: Callable[[HilError], bool]
) -> Got:
    """What `attempt` gives, tried at least once.

    Args:
        timeout_s: how long it is tried again.
        attempt: looks for what may not be there yet.
        pause_s: between two tries.
        is_passing: whether what was wrong may pass.

    Raises:
        HilError: the last one, when the time is up; one that does not pass at once.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            return attempt()
        except HilError as error:
            if not is_passing(error) or time.monotonic() >= deadline_s:
                raise
        time.sleep(pause_s)
