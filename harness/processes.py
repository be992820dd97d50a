"""Processes that we start end with us, however we end. Standard library only: PlatformIO's Python runs it too.

In order (the end of a run, an error, Ctrl-C, SIGTERM, SIGHUP) whoever started a process ends it, with all that it has
started. Where we are killed and can do nothing any more the kernel ends it, on Linux: `end_with_us`. That reaches a
process and not its children. So a tool that has some, as PlatformIO its compilers, is watched by a shell at the other
end of a pipe (`run_to_its_end`); Renode ends with its input.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.endings import signals_wait

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_us(number: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """A `preexec_fn` for subprocess: the kernel sends the child this signal when we die. None: not Linux.

    We, that is the thread that starts it: start no long-lived process in a thread that ends earlier.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)  # before the fork: loading a library after it is not safe
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # we died in between
            os.kill(os.getpid(), number)

    return ask_kernel


def kill_all_of(process: subprocess.Popen[Any], number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process that leads a session of its own, and what it has started."""
    if not hasattr(os, "killpg"):
        process.kill()
        return
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass  # they have ended


def run_to_its_end(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> tuple[int, str]:
    """Run a program with its input closed; whatever ends us first ends it and all that it has started.

    Args:
        argv: the program and its arguments.
        cwd: where it runs.
        env: its whole environment; None: ours.
        timeout_s: how long it may take; None: as long as it likes.

    Returns:
        Its exit status, and what it wrote to stdout and stderr, in the order of writing.

    Raises:
        OSError: it could not be started.
        subprocess.TimeoutExpired: it took too long, with what it wrote in `output`.
    """
    process = None
    try:
        with signals_wait():  # or one that comes while it starts would leave it alone
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                preexec_fn=end_with_us(),  # noqa: PLW1509 - two system calls, safe after fork
            )
        with _watched(process):
            output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as late:
        assert process is not None
        kill_all_of(process)
        late.output = process.communicate()[0]
        raise
    except BaseException:
        if process is not None:
            kill_all_of(process)
            process.wait()
        raise
    return process.returncode, output


@contextmanager
def _watched(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Meanwhile a shell waits for our end, to kill a session that the process leads."""
    if os.name != "posix":
        yield
        return
    reader, writer = os.pipe()  # only we have the writing end, which the kernel closes with us
    watch = ["/bin/sh", "-c", 'read -r line; kill -9 "-$0"', str(process.pid)]
    with os.fdopen(writer, "wb"), os.fdopen(reader, "rb") as its_input:
        guard = subprocess.Popen(watch, stdin=its_input, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            yield
        finally:
            guard.kill()
            guard.wait()
