"""The connection to a dask scheduler: whatever dies or freezes there, no call waits for ever, and one error says so."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from harness.errors import TargetUnavailable, UsageError

_CONNECT_TIMEOUT_S = 10.0
"""For the first connection, and for another one when it is lost."""

_ANSWER_TIMEOUT_S = 30.0
"""A scheduler that serves others, and a worker that imports our program, answer late; frozen ones never do."""

_CLOSE_TIMEOUT_S = 5.0
"""For a farewell that nothing depends on."""

_START_TIMEOUT_S = _CONNECT_TIMEOUT_S + _CLOSE_TIMEOUT_S
"""For the whole start of a client, behind dask's own limit for a connection."""

Answer = TypeVar("Answer")


class Unanswered(Exception):
    """dask could not answer, or not in time."""


class Scheduler:
    """A connection to a dask scheduler.

    dask's calls without a time limit wait in the main thread for its own thread, and that one may have ended. So each
    goes over `ask`: it runs in dask's thread, where no race with a client that closes itself is, and has a limit.

    Args:
        address: of the scheduler.

    Raises:
        UsageError: dask is not installed here, or the address is none.
        TargetUnavailable: no scheduler answers there.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._answered_s = time.monotonic()
        self._client = _connected(address)

    def ask(self, question: Callable[[], Awaitable[Answer]], timeout_s: float | None = None) -> Answer:
        """Run a coroutine in dask's thread, where its methods are coroutines too.

        Raises:
            Unanswered: it failed in any way, or was not done in time.
        """
        limit_s = _ANSWER_TIMEOUT_S if timeout_s is None else timeout_s
        try:
            answer: Answer = self._client.sync(question, callback_timeout=limit_s)
        except Exception as error:
            # Not only OSError: of a client that closes itself also RuntimeError, AttributeError and dask's own.
            raise Unanswered(f"{type(error).__name__}: {error}") from error
        return answer

    def workers(self) -> dict[str, int]:
        """Threads of each worker, by its address.

        Raises:
            Unanswered: the scheduler did not say.
        """

        async def identity() -> dict[str, Any]:
            answer: dict[str, Any] = await self._client.scheduler.identity(n_workers=-1)
            return answer

        workers = self.ask(identity)["workers"]
        self._answered_s = time.monotonic()
        return {address: worker["nthreads"] for address, worker in workers.items()}

    def run_on(self, workers: Sequence[str], call: Callable[[], Any]) -> dict[str, Any]:
        """What a call gives on each worker, by its address: a result, or an exception.

        Raises:
            Unanswered: the scheduler is gone.
        """

        async def run(worker: str) -> Any:
            try:
                answers = self._client.run(call, workers=[worker], on_error="return")
                return (await asyncio.wait_for(answers, _ANSWER_TIMEOUT_S)).get(worker)
            except asyncio.TimeoutError:
                return TimeoutError(f"no answer within {_ANSWER_TIMEOUT_S:g} s")
            except OSError as error:
                return error

        async def run_all() -> dict[str, Any]:
            return dict(zip(workers, await asyncio.gather(*map(run, workers)), strict=True))

        answers = self.ask(run_all, _ANSWER_TIMEOUT_S * 2)
        if any(isinstance(answer, OSError) for answer in answers.values()):
            self.workers()  # was it the scheduler that did not answer?
        return answers

    def tell(self, workers: Sequence[str], call: Callable[[], Any]) -> None:
        """Have workers do something whose result is of no interest.

        Raises:
            Unanswered: the scheduler is gone, or a worker does not answer soon; the others have done it.
        """
        self.ask(lambda: self._client.run(call, workers=list(workers), on_error="ignore"), _CLOSE_TIMEOUT_S)

    def submit(self, do: Callable[[Any], Any], argument: object, *, workers: Sequence[str], key: str) -> Any:
        """Give a job to one of some workers.

        Raises:
            Unanswered: the connection is closed.
        """

        async def submit() -> tuple[Any]:  # in a tuple, since the future itself could be waited for
            return (self._client.submit(do, argument, workers=workers, pure=False, key=key),)

        return self.ask(submit)[0]

    def cancel(self, futures: Sequence[Any]) -> None:
        """What is not begun will not be.

        Raises:
            Unanswered: the connection is closed.
        """
        self.ask(lambda: self._client.cancel(futures))

    @property
    def gone(self) -> bool:
        """Whether there is no more hope: dask connects anew by itself where a connection is lost, for some time."""
        given_up = self._client.status not in {"running", "connecting"}
        return given_up or time.monotonic() - self._answered_s > _ANSWER_TIMEOUT_S

    def lost(self, error: Exception) -> TargetUnavailable:
        """The error that says so."""
        return TargetUnavailable(
            f"the dask scheduler at {self.address} went away: {error}",
            code="no_dask_scheduler",
            remedy="look at its messages, and run again",
        )

    def close(self) -> None:
        """Leave. What was given and not begun is cancelled, by the scheduler."""
        _close(self._client)


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            f"--dask needs dask, which is not installed here: {error}",
            code="no_dask",
            remedy="pip install 'lstm-hil[dask]'",
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its loss is told by us, once
    try:
        return _started(Client, address)
    except ValueError as error:
        raise UsageError(f"--dask {address}: {error}", remedy="write tcp://HOST:PORT of a dask scheduler") from error
    except (OSError, EOFError, MemoryError) as error:  # the time is up, or it is something else: an HTTP server
        raise TargetUnavailable(
            f"no dask scheduler answers at {address}: {error}",
            code="no_dask_scheduler",
            remedy="start one (`dask scheduler`), and workers with lstm-hil installed (`dask worker`)",
        ) from error


def _started(make: Any, address: str) -> Any:
    """A client; one that cannot start is closed here.

    The garbage collector would do it otherwise, and block for ever where it comes by in the middle of the start of
    another client: both hold the same lock.
    """
    client = make.__new__(make)
    failures: list[BaseException] = []

    def start() -> None:
        try:
            client.__init__(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
            failures.append(error)

    # In a thread, since its own limit is none for a scheduler that takes connections and does not speak.
    thread = threading.Thread(target=start, name="dask client", daemon=True)
    try:
        thread.start()
        thread.join(_START_TIMEOUT_S)
        if thread.is_alive():
            raise TimeoutError(f"it takes connections and says nothing for {_START_TIMEOUT_S:g} s")
        if failures:
            raise failures[0]
    except BaseException:
        _close(client)
        thread.join(_CLOSE_TIMEOUT_S)
        raise
    return client


def _close(client: Any) -> None:
    with suppress(Exception):  # the scheduler may be gone; nothing of ours is left there either way
        client.close(timeout=_CLOSE_TIMEOUT_S)
    with suppress(Exception):  # one that has closed itself leaves its thread running, and has no public way to end it
        client._loop_runner.stop(timeout=_CLOSE_TIMEOUT_S)  # noqa: SLF001
    client.status = "closed"  # not once more by the garbage collector
