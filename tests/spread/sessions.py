"""Sessions for tests of workers: importable, so that processes can be given them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.spread.giving_up import GivenUp, check


@dataclass(frozen=True)
class Job:
    """What to answer, and what to do before that.

    Attributes:
        number: answered with the worker's process id.
        kills: so often the worker that takes it is killed.
        sleep_s: how long it takes.
        marks: where each try leaves a file.
        deaf: it takes this long with SIGTERM ignored, and tells nothing.
    """

    number: int
    marks: Path
    kills: int = 0
    sleep_s: float = 0.0
    deaf: bool = False


@dataclass(frozen=True)
class Folder:
    """Makes sessions that leave a file when they are opened and another one when they are closed."""

    path: Path

    @contextmanager
    def session(self) -> Iterator[Callable[[Job, Callable[[float], None]], tuple[int, int]]]:
        (self.path / f"opened-{os.getpid()}").touch()
        try:
            yield do
        finally:
            (self.path / f"closed-{os.getpid()}").touch()

    def opened(self) -> set[str]:
        return {path.name.removeprefix("opened-") for path in self.path.glob("opened-*")}

    def closed(self) -> set[str]:
        return {path.name.removeprefix("closed-") for path in self.path.glob("closed-*")}


def do(job: Job, share: Callable[[float], None]) -> tuple[int, int]:
    """The session's work."""
    tries = len(list(job.marks.glob(f"try-{job.number}-*")))
    if job.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif job.sleep_s:
        share(0.0)
    (job.marks / f"try-{job.number}-{tries}").touch()
    if tries < job.kills:
        os.kill(os.getpid(), signal.SIGKILL)
    deadline_s = time.monotonic() + job.sleep_s
    while job.deaf and time.monotonic() < deadline_s:
        time.sleep(0.01)
    while (left_s := deadline_s - time.monotonic()) > 0:
        share(1 - left_s / job.sleep_s)
        time.sleep(0.01)
    return job.number, os.getpid()


def run_job(job: Job) -> tuple[int, int]:
    """A job without a session, which leaves a file where it is ended before its time."""
    try:
        return do(job, lambda _: check())
    except GivenUp:
        (job.marks / f"given-up-{job.number}").touch()
        raise


def ours() -> str:
    """Which program this is; a worker may say another one."""
    return os.environ.get("PROGRAM", "this one")
