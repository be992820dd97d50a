"""How jobs that a cluster's workers have begun are told that nobody waits for them: by a mark in the worker's process.

A job looks for it as often as it tells its progress. Nothing goes over the network for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from harness.spread.events import Job, Result

_given_up: set[str] = set()
"""Runs that were, in this process. A name each, as long as the worker lives."""

_here = threading.local()
"""`run`: which one's job this thread does. A worker may do several at once."""


class GivenUp(BaseException):
    """Nobody waits for this job any more. No Exception: what a job makes of errors does not keep it from ending."""


def give_up(run: str) -> None:
    """Mark a run; called on a worker by whoever has started it."""
    _given_up.add(run)


def of_run(run: str, do: Callable[[Job], Result], job: Job) -> Result:
    """Do a job of a run.

    Raises:
        GivenUp: by `check`, somewhere in the job.
    """
    _here.run = run
    check()
    return do(job)


def check() -> None:
    """End this thread's job if its run was given up.

    Raises:
        GivenUp: so it is.
    """
    if getattr(_here, "run", None) in _given_up:
        raise GivenUp
