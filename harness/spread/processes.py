"""Jobs over processes of this machine.

Processes and no threads: the oracle's libraries hold Python's lock and keep global state, and a crash in one of them
costs one job and not all.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic

from harness.endings import end_in_order, signals_wait
from harness.spread.events import Event, Finished, Job, Lost, MakeSession, Progressed, Result, Started

LOSSES = 2
"""Workers that a job may cost. One may have been killed by chance; two say that it is the job."""

_STOP_TIMEOUT_S = 15.0
"""A worker closes its session first, and an emulator that does not answer takes up to 13 s (`ChildProcess.stop`)."""

_COLD_STOP_TIMEOUT_S = 1.0
"""A worker that has told nothing yet holds nothing to close, and may import libraries for seconds, deaf to signals."""

_TELL_S = 0.2
"""Between two messages of one job's progress: as often as a person can read."""


def run_over_processes(
    make_session: MakeSession[Job, Result], jobs: Sequence[Job], count: int
) -> Iterator[Event[Result]]:
    """Do jobs in sessions of `count` processes; each takes the next job when it has done one.

    However the iteration ends, so do the processes: close the iterator. Must be called from the main thread.

    Args:
        make_session: opens a worker's session; pickled, like jobs and results.
        jobs: what is to be done.
        count: how many processes.
    """
    crew = _Crew(make_session, jobs)
    try:
        for _ in range(min(count, len(jobs))):
            yield crew.start_one()
        while crew.workers:
            yield from crew.events()
    finally:
        crew.stop()


@dataclass(frozen=True)
class _Done:
    """What a worker sends at the end of a job; a float is the share of it that is done."""

    result: Any


class _Worker(Generic[Job, Result]):
    """A process that does jobs."""

    def __init__(self, make_session: MakeSession[Job, Result]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads (TensorFlow's) may hang
        self.line, theirs = context.Pipe()
        self.place = -1
        self.has_told = False
        self.process = context.Process(target=_serve, args=(theirs, make_session))
        with _interrupts_blocked():
            self.process.start()
        theirs.close()

    def give(self, place: int, job: Job) -> None:
        self.place = place
        try:
            self.line.send(job)
        except OSError:
            pass  # it has died, which is seen when its end of the line is read

    def stop(self, timeout_s: float) -> None:
        """See that it has ended, in order if it does so within this time."""
        self.process.join(timeout_s)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.line.close()

    def how_it_ended(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"


class _Crew(Generic[Job, Result]):
    """The processes, and which jobs are to be done."""

    def __init__(self, make_session: MakeSession[Job, Result], jobs: Sequence[Job]) -> None:
        self._make_session = make_session
        self._jobs = jobs
        self._waiting = deque(range(len(jobs)))
        self._losses: Counter[int] = Counter()
        self._leaving: list[_Worker[Job, Result]] = []
        self.workers: list[_Worker[Job, Result]] = []

    def start_one(self) -> Started:
        """A process, with the next job."""
        with signals_wait():  # one in the middle of its start would leave it there, with a traceback
            worker: _Worker[Job, Result] = _Worker(self._make_session)
            self.workers.append(worker)
        return self._give(worker)

    def events(self) -> Iterator[Event[Result]]:
        """Wait until something has happened."""
        ready = wait([worker.line for worker in self.workers])
        for worker in [worker for worker in self.workers if worker.line in ready]:
            try:
                message = worker.line.recv()
            except (EOFError, OSError):
                yield from self._lost(worker)
                continue
            worker.has_told = True
            if isinstance(message, float):
                yield Progressed(worker.place, message)
                continue
            yield Finished(worker.place, message.result)
            if self._waiting:
                yield self._give(worker)
            else:
                worker.line.close()  # which ends its loop; nobody waits here until its session is closed
                self.workers.remove(worker)
                self._leaving.append(worker)

    def stop(self) -> None:
        """End all, in order if they can, within a time all the same."""
        for worker in self.workers:
            worker.process.terminate()
        start_s = time.monotonic()
        # Also what has been sent and not read counts. The cold ones first: they do not wait for the others.
        cold = [worker for worker in self.workers if not worker.has_told and not worker.line.poll()]
        warm = [worker for worker in self.workers if worker not in cold]
        for timeout_s, workers in ((_COLD_STOP_TIMEOUT_S, cold), (_STOP_TIMEOUT_S, [*warm, *self._leaving])):
            for worker in workers:
                worker.stop(max(0.0, start_s + timeout_s - time.monotonic()))

    def _give(self, worker: _Worker[Job, Result]) -> Started:
        place = self._waiting.popleft()
        worker.give(place, self._jobs[place])
        return Started(place)

    def _lost(self, worker: _Worker[Job, Result]) -> Iterator[Event[Result]]:
        self.workers.remove(worker)
        worker.line.close()
        how = worker.how_it_ended()
        self._losses[worker.place] += 1
        if self._losses[worker.place] < LOSSES:
            self._waiting.appendleft(worker.place)
        else:
            yield Lost(worker.place, how)
        if self._waiting:
            yield self.start_one()


def _serve(line: Connection, make_session: MakeSession[Any, Any]) -> None:
    """The process's whole life."""
    end_in_order(signal.SIGTERM, once=True)
    # Ctrl-C and the end of a terminal reach every process of it: the first one ends the others, under nohup nobody.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with make_session() as session:
        while True:
            try:
                job = line.recv()
            except (EOFError, OSError):
                return
            _send(line, _Done(session(job, _teller(line))))


def _send(line: Connection, message: Any) -> None:
    try:
        line.send(message)
    except OSError:
        sys.exit()  # nobody is there any more who would want it


def _teller(line: Connection) -> Callable[[float], None]:
    told_s = -math.inf  # the first one goes at once: see `Share`

    def tell(share: float) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= _TELL_S:
            told_s = time.monotonic()
            _send(line, share)

    return tell


def _end_with_parent() -> None:
    """Also where it was killed and could not tell us."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that starts here is not told of Ctrl-C: in the middle of its start it would answer with a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
