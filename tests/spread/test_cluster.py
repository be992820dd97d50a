"""Jobs over a real dask on loopback: a lost worker's are done again, and other programs' workers get none."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_on_loopback import Dask
from harness.errors import TargetUnavailable, UsageError
from harness.spread import scheduler
from harness.spread.cluster import run_on_cluster
from harness.spread.events import Finished, Started
from patience import wait_until
from sessions import Job, ours, run_job

pytest.importorskip("distributed", reason="dask is not installed: pip install 'lstm-hil[dask]'")
HERE = {"PYTHONPATH": str(Path(__file__).parent)}


@pytest.fixture(scope="module")
def one_scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    dask = Dask(tmp_path_factory.mktemp("dask"))
    yield dask
    dask.stop()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No client that the garbage collector would close, in the middle of whatever runs, and no thread of one."""
    yield
    from distributed import Client

    assert not [each for each in gc.get_objects() if isinstance(each, Client) and each.status != "closed"]
    assert wait_until(lambda: "IO loop" not in {thread.name for thread in threading.enumerate()})


@pytest.fixture
def dask(one_scheduler: Dask) -> Iterator[Dask]:
    """A scheduler that serves other tests too, without workers yet."""
    yield one_scheduler
    one_scheduler.stop_workers()


def test_jobs_of_a_worker_that_is_killed_are_done_by_another(dask: Dask, tmp_path: Path) -> None:
    dask.add_worker("one", HERE)
    dask.add_worker("two", HERE)
    dask.wait_for_workers(2)
    jobs = [Job(number, tmp_path, sleep_s=0.2, kills=1 if number == 2 else 0) for number in range(6)]
    events = list(run_on_cluster(dask.address, run_job, jobs, identity=ours))
    done = {event.place: event.result for event in events if isinstance(event, Finished)}
    assert {place: number for place, (number, _) in done.items()} == {place: place for place in range(6)}
    assert len(list(tmp_path.glob("try-2-*"))) == 2, "killed in the middle of the first try"
    assert sorted({event.place for event in events if isinstance(event, Started)}) == list(range(6))


def test_a_worker_of_another_program_is_named_and_left_out(dask: Dask, tmp_path: Path) -> None:
    dask.add_worker("other", {**HERE, "PROGRAM": "0.0.9"})
    dask.wait_for_workers(1)
    said: list[str] = []
    with pytest.raises(TargetUnavailable, match="no worker that runs hil this one, and 1 of another program"):
        list(run_on_cluster(dask.address, run_job, [Job(0, tmp_path)], identity=ours, say=said.append))
    assert "runs hil 0.0.9, and this is hil this one: it is left out" in said[0]
    assert "tcp://127.0.0.1:" in said[0]
    dask.add_worker("ours", HERE)
    dask.wait_for_workers(2)
    events = list(run_on_cluster(dask.address, run_job, [Job(n, tmp_path) for n in range(4)], identity=ours))
    assert len({event.result[1] for event in events if isinstance(event, Finished)}) == 1


def test_a_worker_that_does_not_know_the_program_is_named(dask: Dask, tmp_path: Path) -> None:
    dask.add_worker("bare")
    dask.wait_for_workers(1)
    said: list[str] = []
    with pytest.raises(TargetUnavailable, match="no worker"):
        list(run_on_cluster(dask.address, run_job, [Job(0, tmp_path)], identity=ours, say=said.append))
    assert "cannot say which hil it runs" in said[0]


def test_when_all_workers_are_lost_others_that_come_take_over(dask: Dask, tmp_path: Path) -> None:
    dask.add_worker("one", HERE)
    dask.wait_for_workers(1)
    events = run_on_cluster(dask.address, run_job, [Job(0, tmp_path, kills=1), Job(1, tmp_path)], identity=ours)
    assert next(events) == Started(0)
    assert wait_until(lambda: bool(list(tmp_path.glob("try-0-*"))))
    dask.add_worker("two", HERE)
    assert sorted(event.place for event in events if isinstance(event, Finished)) == [0, 1]


def test_giving_up_cancels_what_is_not_begun_and_ends_what_is(dask: Dask, tmp_path: Path) -> None:
    dask.add_worker("one", HERE)
    dask.wait_for_workers(1)
    events = run_on_cluster(dask.address, run_job, [Job(n, tmp_path, sleep_s=60) for n in range(2)], identity=ours)
    next(events)
    next(events)
    assert wait_until(lambda: bool(list(tmp_path.glob("try-*"))))
    events.close()  # type: ignore[attr-defined]
    assert wait_until((tmp_path / "given-up-0").exists)
    others = list(run_on_cluster(dask.address, run_job, [Job(2, tmp_path)], identity=ours))
    assert isinstance(others[-1], Finished), "another run's jobs go on"
    assert {path.name for path in tmp_path.glob("try-*")} == {"try-0-0", "try-2-0"}


def test_no_scheduler_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(TargetUnavailable, match="no dask scheduler answers at tcp://127"):
        list(run_on_cluster("tcp://127.0.0.1:9", run_job, [Job(0, tmp_path)], identity=ours))
    with pytest.raises(UsageError, match="tcp://"):
        list(run_on_cluster("nonsense://1", run_job, [Job(0, tmp_path)], identity=ours))


def test_something_else_than_a_scheduler(tmp_path: Path) -> None:
    """A web server, say: what it answers is read as the length of what follows."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(TargetUnavailable, match="no dask scheduler answers") as error:
            list(
                run_on_cluster(f"tcp://127.0.0.1:{server.getsockname()[1]}", run_job, [Job(0, tmp_path)], identity=ours)
            )
    assert error.value.code == "no_dask_scheduler"


def test_a_scheduler_that_is_frozen_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes its connections, and dask's own time limit does not end the wait for what it says."""
    monkeypatch.setattr(scheduler, "_START_TIMEOUT_S", 1.0)
    monkeypatch.setattr(scheduler, "_CLOSE_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TargetUnavailable, match="takes connections and says nothing for 1 s"):
            list(run_on_cluster(address, run_job, [Job(0, tmp_path)], identity=ours))


def test_a_scheduler_that_goes_away_is_named(tmp_path: Path) -> None:
    dask = Dask(tmp_path)
    try:
        dask.add_worker("one", HERE)
        dask.wait_for_workers(1)
        for ended_by in (signal.SIGSTOP, signal.SIGKILL):
            events = run_on_cluster(dask.address, run_job, [Job(0, tmp_path, sleep_s=60)], identity=ours)
            next(events)
            os.kill(dask.scheduler_id, ended_by)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(scheduler, "_ANSWER_TIMEOUT_S", 0.3)
                patch.setattr(scheduler, "_CLOSE_TIMEOUT_S", 0.3)
                with pytest.raises(TargetUnavailable, match="went away"):
                    list(events)
            os.kill(dask.scheduler_id, signal.SIGCONT)
    finally:
        for process in (dask.scheduler_id, dask.worker_id("one")):  # which would wait for its job
            os.kill(process, signal.SIGKILL)
        dask.stop()


def test_a_frozen_worker_is_named_and_left_out(dask: Dask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_ANSWER_TIMEOUT_S", 2.0)
    dask.add_worker("one", HERE)
    dask.wait_for_workers(1)
    os.kill(dask.worker_id("one"), signal.SIGSTOP)
    said: list[str] = []
    with pytest.raises(TargetUnavailable, match="no worker that runs hil"):
        list(run_on_cluster(dask.address, run_job, [Job(0, tmp_path)], identity=ours, say=said.append))
    assert "no answer within 2 s" in said[0]
