"""All jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from harness.spread.events import Event, Finished, Job, MakeSession, Result, Started


def run_here(
    make_session: MakeSession[Job, Result], jobs: Sequence[Job], show: Callable[[int, float], None] = lambda *_: None
) -> Iterator[Event[Result]]:
    """Do jobs in one session.

    Args:
        make_session: opens the session.
        jobs: what is to be done.
        show: told the place and the share of the job at hand, since nothing can be yielded in the middle of one.
    """
    with make_session() as session:
        for place, job in enumerate(jobs):
            yield Started(place)
            yield Finished(place, session(job, partial(show, place)))
