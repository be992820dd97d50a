"""Signals that end a program, also where Python drops the exception."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", -signal.SIGINT)])
def test_a_module_that_drops_it_while_it_is_imported_ends_us_all_the_same(name: str, code: int, tmp_path: Path) -> None:
    tmp_path.joinpath("drops.py").write_text(
        f"""
import os, signal
try:
    os.kill(os.getpid(), signal.{name})
    for _ in range(1000):
        pass  # where the interpreter looks for signals
except BaseException:
    pass  # as what Cython compiles does
"""
    )
    text = f"""
import signal, sys, time
from harness.endings import end_in_order
end_in_order(signal.{name}, once=True)
sys.path.insert(0, {str(tmp_path)!r})
try:
    import drops
    time.sleep({PATIENCE_S})
finally:
    print("in order", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == code
    assert done.stdout == "in order\n"


def test_an_import_that_hangs_is_broken_off(tmp_path: Path) -> None:
    tmp_path.joinpath("hangs.py").write_text(f"import time\ntime.sleep({PATIENCE_S})\n")
    text = f"""
import os, signal, sys, threading
from harness import endings
endings._IMPORT_LIMIT_S = 0.2
endings.end_in_order(signal.SIGTERM)
sys.path.insert(0, {str(tmp_path)!r})
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
import hangs
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 143


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
