"""Signals that end a program, also where Python drops the exception."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from patience import PATIENCE_S

IN_DEL = """
import os, signal, time
from harness.endings import end_in_order
end_in_order(signal.SIGTERM, once={once})
class Kills:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        for _ in range(1000):
            pass  # where the interpreter looks for signals
try:
    kills = Kills()
    del kills
    time.sleep(30)
finally:
    print("in order", flush=True)
"""


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", -signal.SIGINT)])
def test_a_signal_in_the_middle_of_del_ends_us_all_the_same(name: str, code: int, once: bool) -> None:
    program = [sys.executable, "-c", IN_DEL.format(name=name, once=once)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == code
    assert done.stdout == "in order\n"
    assert "ignored" not in done.stderr


def test_other_errors_are_told_as_before() -> None:
    text = IN_DEL.format(name="SIGTERM", once=False).replace("os.kill(os.getpid(), signal.SIGTERM)", "1 / 0")
    program = [sys.executable, "-c", text.replace("sleep(30)", "sleep(0)")]
    done = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", -signal.SIGINT)])
def test_a_second_signal_breaks_off_no_end(name: str, code: int) -> None:
    text = f"""
import os, signal
from harness.endings import end_in_order
end_in_order(signal.{name}, once=True)
try:
    os.kill(os.getpid(), signal.{name})
finally:
    os.kill(os.getpid(), signal.{name})
    print("in order", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == code
    assert done.stdout == "in order\n"
