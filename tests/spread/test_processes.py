"""Jobs over processes: all are done, in spite of lost workers, and no process outlives the iteration."""

from __future__ import annotations

import _thread
import multiprocessing
import multiprocessing.util
import os
import signal
import subprocess
import sys
import time
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

from harness.spread import processes
from harness.spread.events import Event, Finished, Lost, Progressed, Started
from harness.spread.here import run_here
from harness.spread.processes import LOSSES, run_over_processes
from marked_processes import descendants
from patience import PATIENCE_S, wait_until
from sessions import Folder, Job


def results(events: list[Event[tuple[int, int]]]) -> dict[int, tuple[int, int]]:
    return {event.place: event.result for event in events if isinstance(event, Finished)}


def test_every_job_is_done_once_in_as_many_sessions_as_asked_for(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    jobs = [Job(10 * number, tmp_path, sleep_s=0.1) for number in range(8)]
    events = list(run_over_processes(folder.session, jobs, 2))
    done = results(events)
    assert {place: number for place, (number, _) in done.items()} == {place: 10 * place for place in range(8)}
    assert len({process for _, process in done.values()}) == 2
    assert os.getpid() not in {process for _, process in done.values()}
    assert sorted(event.place for event in events if isinstance(event, Started)) == list(range(8))
    assert folder.opened() == folder.closed()
    assert len(folder.opened()) == 2


def test_no_more_processes_than_jobs(tmp_path: Path) -> None:
    assert len(results(list(run_over_processes(Folder(tmp_path).session, [Job(0, tmp_path)], 4)))) == 1
    assert len(Folder(tmp_path).opened()) == 1


def test_a_job_whose_worker_is_killed_is_done_by_another_one(tmp_path: Path) -> None:
    jobs = [Job(0, tmp_path), Job(1, tmp_path, kills=LOSSES - 1), Job(2, tmp_path)]
    for count in (1, 2):
        for mark in tmp_path.glob("try-*"):
            mark.unlink()
        events = list(run_over_processes(Folder(tmp_path).session, jobs, count))
        assert sorted(results(events)) == [0, 1, 2]
        assert [event.place for event in events if isinstance(event, Started)].count(1) == LOSSES


def test_a_job_that_always_kills_its_worker_is_given_up_and_no_other(tmp_path: Path) -> None:
    jobs = [Job(0, tmp_path), Job(1, tmp_path, kills=99), Job(2, tmp_path)]
    events = list(run_over_processes(Folder(tmp_path).session, jobs, 2))
    assert sorted(results(events)) == [0, 2]
    assert [event for event in events if isinstance(event, Lost)] == [Lost(1, "signal SIGKILL")]


def test_progress_is_told_meanwhile(tmp_path: Path) -> None:
    start_s = time.monotonic()
    events = list(run_over_processes(Folder(tmp_path).session, [Job(0, tmp_path, sleep_s=1.0)], 1))
    took_s = time.monotonic() - start_s  # the start of the process too: told at all times there were a hundred of them
    shares = [event.share for event in events if isinstance(event, Progressed)]
    assert 1 <= len(shares) <= 1 + took_s / 0.2
    assert shares == sorted(shares)
    assert isinstance(events[-1], Finished)


def test_processes_end_in_order_when_the_iteration_is_given_up(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    events = run_over_processes(folder.session, [Job(number, tmp_path, sleep_s=60) for number in range(4)], 2)
    next(events)
    next(events)
    assert wait_until(lambda: len(list(tmp_path.glob("try-*"))) == 2)
    events.close()  # type: ignore[attr-defined]
    assert folder.closed() == folder.opened()
    assert len(folder.closed()) == 2


def test_a_worker_that_has_told_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may import libraries for seconds, deaf to signals, and has nothing to close yet."""
    monkeypatch.setattr(processes, "_COLD_STOP_TIMEOUT_S", 0.0)
    monkeypatch.setattr(processes, "_STOP_TIMEOUT_S", PATIENCE_S)
    folder = Folder(tmp_path)
    events = run_over_processes(folder.session, [Job(0, tmp_path, sleep_s=2 * PATIENCE_S, deaf=True)], 1)
    assert next(events) == Started(0)
    assert wait_until(lambda: bool(list(tmp_path.glob("try-*"))))
    start_s = time.monotonic()
    events.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start_s < PATIENCE_S
    (worker,) = folder.opened()
    assert not Path(f"/proc/{worker}").exists()


def test_a_worker_ends_without_a_word_when_nobody_reads_what_it_sends() -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    with pytest.raises(SystemExit) as end:
        processes._teller(theirs)(0.5)
    assert end.value.code is None


def test_what_a_terminal_sends_to_all_ends_no_worker(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    events = run_over_processes(folder.session, [Job(0, tmp_path, sleep_s=1)], 1)
    assert next(events) == Started(0)
    assert wait_until(lambda: bool(list(tmp_path.glob("try-*"))))
    (worker,) = folder.opened()
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(int(worker), number)
    assert results(list(events)) == {0: (0, int(worker))}


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    script = tmp_path / "parent.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from sessions import Folder, Job\n"
        "from harness.spread.processes import run_over_processes\n"
        f"folder = Path({str(tmp_path)!r})\n"
        'if __name__ == "__main__":\n'
        "    jobs = [Job(number, folder, sleep_s=60) for number in range(2)]\n"
        "    list(run_over_processes(Folder(folder).session, jobs, 2))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    assert wait_until(lambda: len(list(tmp_path.glob("try-*"))) == 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert wait_until(lambda: folder.closed() == folder.opened())


def test_a_signal_while_a_worker_starts_ends_it_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    resource_tracker.ensure_running()  # it stays
    before = set(descendants(os.getpid()))
    spawn = multiprocessing.util.spawnv_passfds

    def interrupted(*arguments: Any) -> int:
        pid: int = spawn(*arguments)
        _thread.interrupt_main()  # as when a thread that blocks no signal is told of Ctrl-C
        return pid

    monkeypatch.setattr(multiprocessing.util, "spawnv_passfds", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run_over_processes(Folder(tmp_path).session, [Job(0, tmp_path)], 1))
    assert not set(descendants(os.getpid())) - before
    assert capfd.readouterr().err == ""


def test_in_this_process_one_session_does_all(tmp_path: Path) -> None:
    folder, shares = Folder(tmp_path), []
    events = list(
        run_here(folder.session, [Job(7, tmp_path, sleep_s=0.05), Job(8, tmp_path)], lambda *told: shares.append(told))
    )
    assert events == [Started(0), Finished(0, (7, os.getpid())), Started(1), Finished(1, (8, os.getpid()))]
    assert {place for place, _ in shares} == {0}
    assert folder.closed() == {str(os.getpid())}
