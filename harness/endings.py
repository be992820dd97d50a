"""Signals that end a program in order: an exception where it stands, so that whoever has started something ends it.

Python drops an exception that comes in the middle of `__del__`, of a weak reference's callback or of a fork, and prints
a traceback instead. Then the signal comes once more, a moment later. What Cython has compiled drops one that comes
while it is imported, and prints nothing. So in the middle of an import a signal raises nothing yet.
"""

from __future__ import annotations

import _thread
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # every start imports this file
    import subprocess

_ONCE_MORE_S = 0.05
"""What drops exceptions is over within microseconds; an import of many modules takes a second or two."""

_IMPORT_LIMIT_S = 10.0
"""An import that hangs is broken off all the same."""

_SIGNAL_STATUS = 128
"""A shell's: a program that a signal ended has this and the signal's number as its status."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_drop = sys.unraisablehook
_once: dict[int, bool] = {}
_put_off_s: dict[int, float] = {}
"""Since when a signal waits for the end of an import."""


def end_in_order(number: signal.Signals, *, once: bool = False) -> None:
    """From now on the signal raises SystemExit in the main thread, with the status that a shell gives it.

    SIGINT raises KeyboardInterrupt, as it does anyway: what `once` says holds for it too.

    Args:
        number: of the signal.
        once: a second one does not break off the end.
    """
    global _drop
    _once[number] = once
    signal.signal(number, _end)
    if sys.unraisablehook is not _on_dropped:
        _drop, sys.unraisablehook = sys.unraisablehook, _on_dropped


@contextmanager
def signals_wait() -> Iterator[None]:
    """Signals that end a program take effect at the end."""
    if threading.current_thread() is not threading.main_thread():  # which alone is told of signals
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda caught, _: came.append(caught)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def wait_for(process: subprocess.Popen[Any]) -> int:
    """Wait for a process to end, however long it takes; a signal breaks that off within 50 ms.

    One that comes when Python has just looked for signals, and is about to wait without a limit, would wait as well.
    With a limit it looks again and again.

    Returns:
        The exit status of the process.
    """
    return process.wait(timeout=math.inf)


def _end(number: int, frame: FrameType | None) -> None:
    if _in_import(frame):
        since_s = _put_off_s.setdefault(number, time.monotonic())
        if time.monotonic() - since_s < _IMPORT_LIMIT_S:
            _send_again(number)
            return
    _put_off_s.pop(number, None)
    if _once[number]:
        signal.signal(number, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(_SIGNAL_STATUS + number)


def _in_import(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    def send() -> None:
        time.sleep(_ONCE_MORE_S)
        os.kill(os.getpid(), number)

    # Not by `threading`: whoever was interrupted may be starting a thread, and hold the lock that this would wait for.
    _thread.start_new_thread(send, ())


def _on_dropped(dropped: Any) -> None:
    number = _number_of(dropped.exc_value)
    if number is None:
        _drop(dropped)
        return
    if number in _once:
        signal.signal(number, _end)
    _send_again(number)


def _number_of(error: BaseException | None) -> int | None:
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    if not isinstance(error, SystemExit):
        return None
    return next((number for number in _once if error.code == _SIGNAL_STATUS + number), None)
