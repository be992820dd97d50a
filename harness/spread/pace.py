"""How fast jobs are done, and how long the rest takes at that rate."""

from __future__ import annotations

import time
from collections.abc import Callable

_LEAST_SHARE = 0.01
"""Of all jobs, before anything is foretold from it."""


class Pace:
    """Counts jobs, and shares of those at hand, against a clock.

    Args:
        total: jobs.
        clock_s: the time; tests bring their own.
    """

    def __init__(self, total: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0
        self._clock_s = clock_s
        self._start_s = clock_s()
        self._start_share = 0.0
        self._shares: dict[int, float] = {}

    def progressed(self, place: int, share: float) -> None:
        """A share of a job is done."""
        if self.total == 1 and not self._shares:
            # A model is loaded, and Keras asked, before the first share: that says nothing of how fast the others come.
            self._start_s, self._start_share = self._clock_s(), share
        self._shares[place] = share

    def finished(self, place: int) -> None:
        """A job is done."""
        self._shares.pop(place, None)
        self.done += 1

    @property
    def done_with_shares(self) -> float:
        """Jobs that are done, and the shares of the others."""
        return min(float(self.total), self.done + sum(self._shares.values()))

    def rate_per_s(self) -> float | None:
        """Jobs per second so far; None: nothing can be said yet."""
        elapsed_s = self._clock_s() - self._start_s
        done = self.done_with_shares - self._start_share
        return done / elapsed_s if elapsed_s > 0 and done >= _LEAST_SHARE * self.total else None

    def left_s(self) -> float | None:
        """Seconds that the rest takes at this rate; None: nothing can be said yet."""
        rate_per_s = self.rate_per_s()
        return None if not rate_per_s else (self.total - self.done_with_shares) / rate_per_s

    def __str__(self) -> str:
        """`3 of 20, 1.2/s, 14 s left`."""
        rate_per_s, left_s = self.rate_per_s(), self.left_s()
        if rate_per_s is None or left_s is None:
            return f"{self.done} of {self.total}"
        rate = f"{rate_per_s:.1f}/s" if rate_per_s >= 1 else f"{1 / rate_per_s:.1f} s each"
        minutes, seconds = divmod(round(left_s), 60)
        left = f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
        return f"{self.done} of {self.total}, {rate}, {left} left"
