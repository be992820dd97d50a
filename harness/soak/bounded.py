"""A line with a last moment, so that an exchange without an end is one that can be counted."""

from __future__ import annotations

import math
from collections.abc import Callable

from harness.transport.base import Transport, WrappedLine

FOREVER = math.inf


class Overdue(Exception):  # no HilError: nobody on the way may take it for one
    """An exchange has not ended in time."""


class Bounded(WrappedLine):
    """A line that must not be used beyond a point in time.

    Args:
        inner: the line; closed with this one.
        clock: seconds that only go forward.

    Attributes:
        deadline_s: that point.
    """

    def __init__(self, inner: Transport, clock: Callable[[], float]) -> None:
        super().__init__(inner)
        self.deadline_s = FOREVER
        self._clock = clock

    def write(self, data: bytes) -> None:
        """Send all bytes; raises Overdue beyond the deadline."""
        self._check()
        self._inner.write(data)

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived within `timeout_s`; raises Overdue beyond the deadline."""
        self._check()
        return self._inner.read(timeout_s)

    def set_baud(self, baud: int) -> None:
        """Change that of the line; raises Overdue beyond the deadline."""
        self._check()
        super().set_baud(baud)

    def _check(self) -> None:
        if self._clock() > self.deadline_s:
            raise Overdue("it did not end in time")
