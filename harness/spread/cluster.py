"""Jobs over the workers of a dask cluster: dask moves jobs and results, and does again what was lost with a worker.

Jobs go only to workers that run the same program as we do, to the letter; the others are named and left out.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from threading import Event as Flag
from typing import Any, Generic
from uuid import uuid4

from harness.errors import TargetUnavailable
from harness.spread.events import Event, Finished, Job, Lost, Result, Started
from harness.spread.giving_up import give_up, of_run
from harness.spread.scheduler import Scheduler, Unanswered

_LOOK_S = 1.0
"""Between two looks at which workers there are."""

_WITHOUT_WORKERS_S = 60.0
"""A worker that dask's own nanny starts anew is back within seconds."""

_AHEAD = 2
"""Jobs per thread that are given out at a time: a worker never waits for us, and Ctrl-C breaks off few."""

_FETCHES = 3
"""So often a job is done again whose result its worker does not hand over."""


def run_on_cluster(
    address: str,
    do: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    identity: Callable[[], str],
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Event[Result]]:
    """Do jobs on the workers of a scheduler. Close the iterator to give up.

    What is not yet begun is cancelled then, and what is begun ends where it calls `giving_up.check` next.

    Args:
        address: of the scheduler.
        do: does a job; found on the worker by its module and name, like `identity`.
        jobs: what is to be done; pickled, as results are.
        identity: says which program a worker runs.
        say: told which workers are left out.

    Raises:
        UsageError: dask is not installed here, or the address is none.
        TargetUnavailable: no scheduler answers there, or no worker is left that runs our program.
    """
    scheduler = Scheduler(address)
    cluster = _Cluster(scheduler, do, jobs, identity, say)
    try:
        yield from cluster.events()
    except Unanswered as error:
        raise scheduler.lost(error) from error
    finally:
        cluster.give_up()
        scheduler.close()


class _Call:
    """A call whose pickle is carried out when it is loaded: bytes to the scheduler, which need not know the program."""

    def __init__(self, run: str, do: Callable[[Any], Any], job: Any) -> None:
        self._arguments = (run, do, job)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return of_run, self._arguments


class _Cluster(Generic[Job, Result]):
    """What was given out, and to whom it may go."""

    def __init__(
        self,
        scheduler: Scheduler,
        do: Callable[[Job], Result],
        jobs: Sequence[Job],
        identity: Callable[[], str],
        say: Callable[[str], None],
    ) -> None:
        self._scheduler = scheduler
        self._run = str(uuid4())
        self._do = do
        self._jobs = jobs
        self._identity = identity
        self._say = say
        self._waiting = deque(range(len(jobs)))
        self._given: dict[Any, tuple[int, frozenset[str]]] = {}
        self._ours: set[str] = set()
        self._others: set[str] = set()
        self._unfetched: Counter[int] = Counter()
        self._threads = 0
        self._one_is_done = Flag()
        self._seen_s = time.monotonic()

    def events(self) -> Iterator[Event[Result]]:
        """Give jobs out, and tell of each when it is done."""
        self._see(self._scheduler.workers())
        if not self._ours:
            raise self._no_worker()
        while self._waiting or self._given:
            while self._waiting and self._ours and len(self._given) < max(1, self._threads) * _AHEAD:
                yield self._give(self._waiting.popleft())
            self._one_is_done.wait(_LOOK_S)
            self._one_is_done.clear()
            yield from self._ended()
            self._look()

    def give_up(self) -> None:
        """Cancel what is not begun, and have the rest end; nothing where all is done."""
        if not self._given or self._scheduler.gone:
            return
        with suppress(Unanswered):  # it went away in between
            self._scheduler.cancel(list(self._given))
            self._scheduler.tell(sorted(self._ours), partial(give_up, self._run))

    def _give(self, place: int) -> Started:
        # To ours alone: without that it could go to a worker that has just come and that nobody has asked yet.
        call = pickle.dumps(_Call(self._run, self._do, self._jobs[place]))
        future = self._scheduler.submit(pickle.loads, call, workers=sorted(self._ours), key=f"hil-{place}-{uuid4()}")
        self._given[future] = (place, frozenset(self._ours))
        future.add_done_callback(lambda _: self._one_is_done.set())
        return Started(place)

    def _ended(self) -> Iterator[Event[Result]]:
        for future in [future for future in self._given if future.done()]:
            place, _ = self._given.pop(future)
            if future.status != "finished" and future.status != "error":
                self._waiting.appendleft(place)  # the scheduler has forgotten it
                continue
            if (end := self._end(place, future)) is not None:
                yield end

    def _end(self, place: int, future: Any) -> Event[Result] | None:
        try:
            error = self._scheduler.ask(future.exception)
            if error is None:
                return Finished(place, self._scheduler.ask(future.result))
        except Unanswered as unanswered:  # its worker; where it is the scheduler, the next look will tell
            self._scheduler.cancel([future])
            self._unfetched[place] += 1
            if self._unfetched[place] < _FETCHES:
                self._waiting.appendleft(place)
                return None
            return Lost(place, f"its result could not be fetched: {unanswered}")
        return Lost(place, f"{type(error).__name__}: {error}")

    def _look(self) -> None:
        try:
            workers = self._scheduler.workers()
        except Unanswered:
            if self._scheduler.gone:
                raise
            return
        self._see(workers)

    def _see(self, workers: dict[str, int]) -> None:
        """Which workers there are now; what was given to workers that have all gone waits for others."""
        self._meet(sorted(set(workers) - self._ours - self._others))
        self._ours &= set(workers)
        self._threads = sum(workers[address] for address in self._ours)
        now_s = time.monotonic()
        if self._ours:
            self._seen_s = now_s
        elif now_s - self._seen_s > _WITHOUT_WORKERS_S:
            raise self._no_worker()
        orphans = {future: place for future, (place, given_to) in self._given.items() if not given_to & self._ours}
        if self._ours and orphans:
            self._scheduler.cancel(list(orphans))
            for future, place in orphans.items():
                del self._given[future]
                self._waiting.appendleft(place)

    def _meet(self, strangers: list[str]) -> None:
        """Ask workers which program they run."""
        if not strangers:
            return
        ours = self._identity()
        answers = self._scheduler.run_on(strangers, self._identity)
        for address in strangers:
            answer = answers.get(address)
            if answer == ours:
                self._ours.add(address)
                continue
            self._others.add(address)
            runs = f"runs hil {answer}" if isinstance(answer, str) else f"cannot say which hil it runs ({answer!r})"
            self._say(f"dask worker {address} {runs}, and this is hil {ours}: it is left out")

    def _no_worker(self) -> TargetUnavailable:
        address = self._scheduler.address
        left_out = f", and {len(self._others)} of another program" if self._others else ""
        return TargetUnavailable(
            f"the dask scheduler at {address} has no worker that runs hil {self._identity()}{left_out}",
            code="no_dask_worker",
            remedy=f"start workers with the same lstm-hil installed: `dask worker {address} --nthreads 1 --no-nanny`",
        )
