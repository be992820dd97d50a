"""How fast jobs are done, and how long the rest takes at that rate."""

from __future__ import annotations

import time
from collections.abc import Callable

_LEAST_SHARE = 0.05
"""Of all jobs, or of one where there are many, before anything is foretold from shares alone."""

_LEAST_S = 2.0
"""Of work, before anything is foretold from shares alone."""


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
        self._shares: dict[int, float] = {}
        self._first: tuple[float, float] | None = None

    def progressed(self, place: int, share: float) -> None:
        """A share of a job is done; 0: it begins, for the first time or anew."""
        self._shares[place] = share
        # A model is loaded, and Keras asked, before the first share: that says nothing of how fast the others come.
        if not share:
            self._first = None
        elif self._first is None:
            self._first = self._clock_s(), self.done_with_shares

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
        if self.done:
            elapsed_s = self._clock_s() - self._start_s
            return self.done_with_shares / elapsed_s if elapsed_s > 0 else None
        if self._first is None:
            return None
        first_s, first_share = self._first
        elapsed_s, done = self._clock_s() - first_s, self.done_with_shares - first_share
        is_enough = elapsed_s >= _LEAST_S and done >= _LEAST_SHARE * min(self.total, 1 / _LEAST_SHARE)
        return done / elapsed_s if is_enough else None

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
