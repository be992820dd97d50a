"""Child processes that end with us, however we end, and whose logs are kept; targets that are such a process."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HilError, TargetUnavailable
from harness.processes import end_with_us, kill_all_of
from harness.transport.pipes import Pipes

_STOP_TIMEOUT_S = 3.0
"""An emulator ends within milliseconds of SIGTERM; after this it is killed."""

_INPUT_END_TIMEOUT_S = 10.0
"""Renode takes 1 s to end in order, on a machine that is busy several."""

_LOG_TAIL_LINES = 15
_NOT_RUNNING = "SZX"
"""States in proc(5): asleep until something happens, a zombie, dead. D, a wait for a disk, ends by itself."""


class ChildProcess:
    """A running child.

    Args:
        argv: the command.
        log_path: where its standard error goes (and its standard output, unless `line` is given).
        line: descriptors that become its standard input and output.
        env: its whole environment; None: ours.
        ends_with_input: it ends in order when its standard input ends, which is held open until then.
        pass_fds: descriptors that it inherits, under the same numbers.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log_path: Path,
        line: tuple[int, int] | None = None,
        env: dict[str, str] | None = None,
        *,
        ends_with_input: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._log_path = log_path
        closed = subprocess.PIPE if ends_with_input else subprocess.DEVNULL
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=closed if line is None else line[0],
                    stdout=log if line is None else line[1],
                    stderr=log,
                    env=env,
                    pass_fds=pass_fds,
                    # Its own session: Ctrl-C reaches us alone, and we end it in order.
                    start_new_session=True,
                    preexec_fn=end_with_us(),  # noqa: PLW1509 - two system calls, safe after fork
                )
            except OSError as error:
                raise TargetUnavailable(f"{argv[0]} could not be started: {error}") from error

    def exit_status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def is_asleep(self) -> bool:
        """Whether it waits for something to happen, or has ended. Linux only.

        Raises:
            TargetUnavailable: this system does not tell.
        """
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError as error:
            if self.exit_status() is not None:
                return True
            raise TargetUnavailable(f"/proc does not tell what a process does: {error}") from error
        return stat.rpartition(")")[2].split()[0] in _NOT_RUNNING  # behind the name, which may hold anything

    def wait(self, timeout_s: float) -> int | None:
        """Its exit status, waiting up to `timeout_s` for it."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End it, and what it has started: by the end of its input if that is its way, then SIGTERM, then SIGKILL."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            self.wait(_INPUT_END_TIMEOUT_S)
        if self._process.poll() is None:
            kill_all_of(self._process, signal.SIGTERM)  # a launcher may be a script, with the program as its child
            self.wait(_STOP_TIMEOUT_S)
            kill_all_of(self._process)
            self._process.wait()

    def log_tail(self) -> str:
        """The last lines of its log."""
        if not self._log_path.is_file():  # somebody has tidied up
            return ""
        lines = self._log_path.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def post_mortem(self) -> str | None:
        """How it ended, if it did: status and the end of the log."""
        status = self.exit_status()
        if status is None:
            return None
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        tail = self.log_tail()
        return f"it ended with {how}; log {self._log_path}" + (f":\n{tail}" if tail else " is empty")


def start_on_pipes(
    argv: Sequence[str],
    log_path: Path,
    peer: str,
    *,
    env: dict[str, str] | None = None,
    gather_s: float = 0.0,
    pass_fds: Sequence[int] = (),
) -> tuple[ChildProcess, Pipes]:
    """A child and the line to its standard input and output. See `ChildProcess` and `Pipes`."""
    its_input, writer = os.pipe()
    reader, its_output = os.pipe()
    line = Pipes(reader, writer, peer, gather_s=gather_s)
    try:
        return ChildProcess(argv, log_path, (its_input, its_output), env, pass_fds=pass_fds), line
    except BaseException:
        line.close()
        raise
    finally:
        os.close(its_input)
        os.close(its_output)


class ProcessTarget:
    """What targets have in common that are a process of this machine. They start it and keep it in `_process`.

    Args:
        needs: files without which it cannot be started.
        log_path: where the process's own messages go.
    """

    kind: str

    exit_wait_s = 1.0
    """What it may take to end after its line was closed because it is dying."""

    def __init__(self, needs: Sequence[Path], log_path: Path) -> None:
        self._needs = needs
        self._log_path = log_path
        self._process: ChildProcess | None = None

    def unavailable(self) -> HilError | None:
        """Why it cannot be started here, or None."""
        for path in self._needs:
            if not path.is_file():
                return self.not_available(f"{path} is not there")
        return None

    def not_available(self, reason: str) -> TargetUnavailable:
        """The error for something that it needs and that is missing."""
        return TargetUnavailable(f"{self.kind} is not available: {reason}", remedy="run `hil setup`")

    def reserve(self, wait_s: float | None = None) -> None:
        """Nobody else can have it."""

    def release(self) -> None:
        """Nothing to give back."""

    def preload(self, data: bytes, address: int) -> bool:  # noqa: ARG002 - as the others have it
        """Nothing can be put into its memory from outside."""
        return False

    def stop(self) -> None:
        """End the process. May be called twice, and without `start`."""
        if self._process is not None:
            self._process.stop()

    def reopen(self) -> None:
        """A process whose line is closed has ended."""
        return

    def notes(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def post_mortem(self) -> str | None:
        """How the process died, if it did."""
        if self._process is None:
            return None
        self._process.wait(self.exit_wait_s)
        return self._process.post_mortem()

    def log_path(self) -> Path | None:
        """Where its messages are kept, once there are any."""
        return self._log_path if self._log_path.is_file() and self._log_path.stat().st_size else None
