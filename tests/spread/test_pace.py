"""The rate and the time that is left, by a clock that the test sets."""

from __future__ import annotations

import pytest

from harness.spread.pace import Pace


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_rate_and_time_left() -> None:
    clock = Clock()
    pace = Pace(20, clock)
    assert str(pace) == "0 of 20"
    assert pace.left_s() is None
    clock.now_s += 4
    for place in range(8):
        pace.finished(place)
    assert (pace.rate_per_s(), pace.left_s()) == (2.0, 6.0)
    assert str(pace) == "8 of 20, 2.0/s, 6 s left"


def test_what_one_job_does_before_its_first_share_says_nothing_of_the_rest() -> None:
    clock = Clock()
    pace = Pace(1, clock)
    clock.now_s += 60
    pace.progressed(0, 0.0)
    clock.now_s += 60
    pace.progressed(0, 0.1)
    assert str(pace) == "0 of 1"
    clock.now_s += 1.9
    pace.progressed(0, 0.2)
    assert str(pace) == "0 of 1", "too short"
    clock.now_s += 0.1
    pace.progressed(0, 0.2)
    assert (pace.rate_per_s(), pace.left_s()) == pytest.approx((0.05, 16))
    assert str(pace) == "0 of 1, 20.0 s each, 16 s left"
    pace.progressed(0, 0.0)
    assert str(pace) == "0 of 1", "its worker was lost"
    clock.now_s += 60
    pace.progressed(0, 0.1)
    clock.now_s += 5
    pace.progressed(0, 0.14)
    assert str(pace) == "0 of 1", "too little"
    pace.progressed(0, 0.2)
    assert str(pace) == "0 of 1, 50.0 s each, 40 s left"


def test_shares_of_jobs_at_hand_count_until_they_are_done() -> None:
    clock = Clock()
    pace = Pace(2, clock)
    clock.now_s += 50
    pace.progressed(0, 0.25)
    clock.now_s += 50
    pace.progressed(0, 0.5)
    pace.progressed(1, 0.25)
    assert pace.done_with_shares == 0.75
    assert str(pace) == "0 of 2, 100.0 s each, 2 min 05 s left"
    pace.finished(0)
    assert pace.done_with_shares == 1.25
    assert str(pace) == "1 of 2, 80.0 s each, 1 min 00 s left", "what a whole job takes counts from the start"
    pace.progressed(1, 0.0)
    assert pace.done_with_shares == 1.0, "its worker was lost, and it begins anew"
