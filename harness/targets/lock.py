"""One lock per board, across the processes of one user: held while a board is flashed and while it is talked to.

The kernel gives the lock of a process back when that ends, however it ends, so no lock outlives its holder. Beside the
lock lies a note that says who holds it; it counts only while the lock is held. Locks are in the user's runtime folder:
against another user a serial port is guarded by being open for one program only.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import shlex
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.errors import HilError, TargetBusy
from harness.findings import found

if TYPE_CHECKING:
    from filelock import FileLock

Got = TypeVar("Got")

_POLL_S = 0.1
"""Nobody notices it after a wait, and a look costs some microseconds."""

_SHOWN_COMMAND = 120
"""Characters of a command that a message quotes."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        pid: of the process.
        user: who runs it.
        command: its command line.
        since: local time with its offset, ISO 8601.
    """

    pid: int
    user: str
    command: str
    since: str

    def __str__(self) -> str:
        """``pid 42 (ada, `hil validate m.keras`) since 2026-11-21T15:02:11+01:00``."""
        command = self.command if len(self.command) <= _SHOWN_COMMAND else f"{self.command[:_SHOWN_COMMAND]}..."
        return f"pid {self.pid} ({self.user}, `{command}`) since {self.since}"


class BoardLock:
    """The lock of one board. Not held when made.

    Args:
        key: the serial number of its probe, else its port.
        what: the board as a message names it.
    """

    def __init__(self, key: str, what: str) -> None:
        self._key = key
        self._what = what
        self._lock: FileLock | None = None

    def take(self) -> None:
        """Hold it; nothing if it is held by this very object. Never waits.

        Raises:
            TargetBusy: somebody else holds it.
            TargetUnavailable: there is no place for the lock.
        """
        if self._lock is not None:
            return
        from filelock import FileLock, Timeout

        path = self._path()
        # Not one of filelock's for each thread: a board that one thread took is given back by whoever ends the run.
        lock = FileLock(path, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            raise self._busy(path) from None
        except OSError as error:
            raise _no_place(path.parent, error) from error
        self._lock = lock
        with suppress(OSError):  # a full disk costs others the name, and nobody the lock
            _note_path(path).write_text(json.dumps(asdict(_ourselves())), encoding="utf-8")

    def give_back(self) -> None:
        """Let others have it. May be called twice, and without `take`."""
        if self._lock is not None:
            with suppress(OSError):
                _note_path(self._path()).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def _path(self) -> Path:
        # Keys may differ only in letters that no file's name may hold.
        name = re.sub(r"[^\w.-]+", "_", self._key).strip("_")[-60:]
        return lock_folder() / f"{name}-{hashlib.sha256(self._key.encode()).hexdigest()[:8]}.lock"

    def _busy(self, path: Path) -> TargetBusy:
        return TargetBusy(
            f"{self._what} is in use by {_holder(path) or 'another process, which has not said its name yet'}",
            code="port_busy",
            remedy="end that process, or wait for it with --wait SECONDS (pytest: --hil-wait)",
        )


def retry_while_busy(
    attempt: Callable[[], Got], wait_s: float, say: Callable[[str], None], *, poll_s: float = _POLL_S
) -> Got:
    """What `attempt` gives, tried again for up to `wait_s` while it raises TargetBusy.

    Args:
        attempt: takes what somebody else may have.
        wait_s: 0 tries once.
        say: told who is waited for, once each.
        poll_s: between two tries.

    Raises:
        TargetBusy: the last one, when the time is up.
    """
    deadline_s: float | None = None
    said = ""
    while True:
        try:
            return attempt()
        except TargetBusy as busy:
            now_s = time.monotonic()
            if deadline_s is None:  # the first try is no wait, and takes a lab's client a second
                deadline_s = now_s + wait_s
            if now_s >= deadline_s:
                raise
            if busy.message != said:
                said = busy.message
                say(f"waiting up to {wait_s:g} s: {said}")
        time.sleep(poll_s)


def lock_folder() -> Path:
    """Where the locks are: in the user's runtime folder.

    Raises:
        TargetUnavailable: it cannot be made.
    """
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that XDG_RUNTIME_DIR is not set, as in many a container
        folder = Path(platformdirs.user_runtime_dir("lstm-hil"))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _no_place(folder, error) from error
    return folder


def _note_path(lock: Path) -> Path:
    return lock.with_suffix(".json")


def _holder(lock: Path) -> Holder | None:
    """Who holds a lock that is held; None where its note is not there yet, or is an earlier holder's."""
    try:
        holder = Holder(**json.loads(_note_path(lock).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return holder if _is_alive(holder.pid) else None


def _is_alive(pid: int) -> bool:
    if os.name != "posix":  # where signal 0 is not a question but an end
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _ourselves() -> Holder:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # by Python's version: a user without a name, as in a container
        user = "unknown user"
    program, *arguments = sys.argv or ["python"]
    script = Path(program)
    name = script.parent.name if script.name == "__main__.py" else script.name  # python -m pytest
    command = shlex.join([name, *arguments])
    return Holder(os.getpid(), user, command, datetime.now().astimezone().isoformat(timespec="seconds"))


def _no_place(folder: Path, error: OSError) -> HilError:
    return found("no_lock_folder", folder=folder, reason=error)
