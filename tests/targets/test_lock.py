"""One lock per board: who holds it is told, and no lock outlives its holder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import TargetBusy, TargetUnavailable
from harness.targets.lock import BoardLock, lock_folder, retry_while_busy

HOLD = """
import sys
from harness.targets.lock import BoardLock
sys.argv = ["/usr/bin/hil", "validate", "my model.keras"]
lock = BoardLock("0669FF01", "a board")
lock.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def locks(runtime_folder: Path) -> None:
    """Locks of our own."""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a board."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def test_a_second_process_is_told_who_holds_it(holder: subprocess.Popen[str]) -> None:
    with pytest.raises(TargetBusy) as busy:
        BoardLock("0669FF01", "the board").take()
    assert busy.value.code == "port_busy"
    assert busy.value.exit_code == 3
    assert f"the board is in use by pid {holder.pid} (" in busy.value.message
    assert "`hil validate 'my model.keras'`" in busy.value.message
    assert " since 20" in busy.value.message
    BoardLock("0669FF02", "another board").take()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_lock_outlives_its_process(holder: subprocess.Popen[str], number: int) -> None:
    holder.send_signal(number)
    holder.wait()
    lock = BoardLock("0669FF01", "the board")
    lock.take()
    with pytest.raises(TargetBusy, match=f"pid {os.getpid()} "):
        BoardLock("0669FF01", "the board").take()
    lock.give_back()


def test_a_wait_ends_when_the_board_is_given_back(holder: subprocess.Popen[str]) -> None:
    said = []

    def say(text: str) -> None:
        said.append(text)
        assert holder.stdin is not None
        holder.stdin.close()

    lock = BoardLock("0669FF01", "the board")
    retry_while_busy(lock.take, 60.0, say)
    assert len(said) == 1
    assert said[0].startswith("waiting up to 60 s: the board is in use by pid ")


def test_a_wait_ends_with_its_time(holder: subprocess.Popen[str]) -> None:
    with pytest.raises(TargetBusy):
        retry_while_busy(BoardLock("0669FF01", "the board").take, 0.05, lambda _: None)


def test_who_is_waited_for_is_told_also_where_the_first_try_takes_long() -> None:
    said: list[str] = []

    def attempt() -> None:
        time.sleep(0.02)
        raise TargetBusy("it is in use")

    with pytest.raises(TargetBusy):
        retry_while_busy(attempt, 0.01, said.append, poll_s=0.0)
    assert said == ["waiting up to 0.01 s: it is in use"]


def test_two_in_one_process_are_two() -> None:
    first, second = BoardLock("A", "the board"), BoardLock("A", "the board")
    first.take()
    first.take()
    with pytest.raises(TargetBusy):
        second.take()
    first.give_back()
    first.give_back()
    second.take()
    second.give_back()


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": 1}', None])
def test_a_holder_without_a_note_is_still_one(note: str | None) -> None:
    lock = BoardLock("A", "the board")
    lock.take()
    (path,) = lock_folder().glob("*.json")
    path.write_text(note) if note is not None else path.unlink()
    with pytest.raises(TargetBusy, match="another process"):
        BoardLock("A", "the board").take()
    lock.give_back()


def test_the_note_of_a_process_that_is_gone_names_nobody() -> None:
    lock = BoardLock("A", "the board")
    lock.take()
    (path,) = lock_folder().glob("*.json")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": gone.pid}))
    with pytest.raises(TargetBusy, match="another process"):
        BoardLock("A", "the board").take()
    lock.give_back()


def test_keys_that_no_file_could_be_called_are_told_apart() -> None:
    held = [BoardLock(key, key) for key in ("rfc2217://a:1", "rfc2217://a/1", "/dev/ttyACM0", "dev_ttyACM0", "x" * 300)]
    for lock in held:
        lock.take()
    for lock in held:
        lock.give_back()


def test_no_place_for_locks_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("platformdirs.user_runtime_dir", lambda name: str(tmp_path / "file" / name))
    with pytest.raises(TargetUnavailable) as refused:
        BoardLock("A", "the board").take()
    assert refused.value.code == "no_lock_folder"
