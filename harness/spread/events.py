"""What is told while jobs are done, in the order in which it happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

Share = Callable[[float], None]
"""Told the share of a job that is done, 0 to 1; 0 before the job takes hold of anything that must be closed.

A worker that has told nothing may be killed when all is to end.
"""

Session: TypeAlias = Callable[[Job, Share], Result]
"""Does one job. Must not raise: what goes wrong is in its result."""

MakeSession: TypeAlias = Callable[[], AbstractContextManager[Session[Job, Result]]]
"""Opens what a worker keeps from job to job, and closes it however the worker ends."""


@dataclass(frozen=True)
class Started:
    """A worker has taken a job. Of one whose worker was lost it is told again."""

    place: int


@dataclass(frozen=True)
class Progressed:
    """A share of a job is done, 0 to 1."""

    place: int
    share: float


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """A job is done."""

    place: int
    result: Result


@dataclass(frozen=True)
class Lost:
    """A job has cost so many workers that no other one is tried: each was lost in the middle of it.

    Attributes:
        place: which job.
        how: how the last worker ended.
    """

    place: int
    how: str


Event: TypeAlias = Started | Progressed | Finished[Result] | Lost
"""`place` is a job's index in the order in which they were given."""
