"""Nothing is left behind, however a run ends, and nothing of ours can be reached from another machine meanwhile."""

from __future__ import annotations

import ipaddress
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import seeds
from harness.build.native import native_executable
from harness.build.platformio import firmware_elf
from harness.cli.app import run
from harness.errors import BuildFailed, TargetUnavailable
from harness.renode.find import find_renode
from harness.targets.lock import BoardLock
from keras_models import save_spec
from marked_processes import Mark, is_running, listeners, listening_on
from patience import PATIENCE_S, wait_until
from pty_line import QemuOnPty

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes in /proc")

HIL = [sys.executable, "-m", "harness"]
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@dataclass(frozen=True)
class Kind:
    """A way to run the firmware.

    Attributes:
        options: of the command line.
        program: in the command line of the process that runs it; empty where none of ours does.
    """

    options: list[str]
    program: str


@pytest.fixture(scope="module", params=["native", "workers", "qemu", "board", "renode"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kind]:
    try:
        if request.param == "board":
            qemu = QemuOnPty(firmware_elf(), tmp_path_factory.mktemp("qemu") / "log")
            yield Kind(["--port", qemu.url], "")
            qemu.stop()
        elif request.param == "renode":
            find_renode()
            firmware_elf()
            yield Kind(["--renode"], "renode")
        elif request.param == "qemu":
            firmware_elf()
            yield Kind(["--qemu"], "qemu-system-arm")
        else:
            native_executable()
            yield Kind(["--native", *(["-j", "2"] if request.param == "workers" else [])], "firmware")
    except BuildFailed:
        raise
    except TargetUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose answers the oracle knows already: the run is at its target at once."""
    path = save_spec(seeds.random_lstm(3, 5), tmp_path_factory.mktemp("model"))
    assert run(["validate", str(path), "--native"]) == 0
    return path


@contextmanager
def validating(kind: Kind, model: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], Mark]]:
    """A real `hil validate` of very many models, in the middle."""
    mark = Mark()
    command = [*HIL, "validate", *[str(model)] * 3000, *kind.options]
    with log.open("wb") as output:
        hil = subprocess.Popen(command, env=mark.env, stdout=output, stderr=subprocess.STDOUT)
    try:
        assert wait_until(lambda: b"PASS" in log.read_bytes() or hil.poll() is not None), log.read_text()
        assert hil.poll() is None, log.read_text()
        yield hil, mark
    finally:
        hil.kill()
        hil.wait()


@pytest.mark.parametrize("number", ENDS)
def test_all_processes_end_with_us_and_none_listens_but_on_loopback(
    kind: Kind, model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    if number in (signal.SIGINT, signal.SIGHUP) and kind.options != ["--native"]:
        return  # they come by the same way as SIGTERM, and each of these takes seconds
    with validating(kind, model, tmp_path / "log") as (hil, mark):
        assert any(kind.program in name for name in mark.processes().values())
        for address in listening_on(mark.processes()):
            assert ipaddress.ip_address(address).is_loopback, f"{address}: {mark.processes()}"
        hil.send_signal(number)
        ended = hil.wait(PATIENCE_S)
        assert ended == (130 if number == signal.SIGINT else -9 if number == signal.SIGKILL else 128 + number)
        # Python's own resource tracker, and a Renode whose launcher was killed, end when they see that we have.
        assert wait_until(lambda: not mark.processes()), mark.processes()
    if number != signal.SIGKILL:
        assert "Traceback" not in (tmp_path / "log").read_text()
    if "--port" in kind.options:
        lock = BoardLock(kind.options[1], "the board")
        lock.take()
        lock.give_back()


def test_listeners_would_be_seen() -> None:
    table = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
       0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0 100 0 0 10 0
       1: 0100007F:0016 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 18 1 0 100 0 0 10 0
"""
    assert listeners(table) == {"17": "0.0.0.0"}
    with socket.create_server(("127.0.0.1", 0)):
        mark = Mark()
        code = "import socket; s = socket.create_server(('::1', 0), family=socket.AF_INET6); print(flush=True); input()"
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, env=mark.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            if not process.stdout.readline():
                pytest.skip("this machine has no IPv6")
            assert list(mark.processes()) == [process.pid]
            assert listening_on(mark.processes()) == {"::1"}
            process.communicate(b"\n")
        assert not is_running(process.pid)


@pytest.mark.parametrize("number", ENDS)
def test_a_build_ends_with_us(tmp_path: Path, number: signal.Signals) -> None:
    """PlatformIO, SCons and the compilers."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not on the PATH")
    mark = Mark()
    code = (
        "import signal; from harness.cli import _end_in_order; _end_in_order()\n"
        "from pathlib import Path; from harness.build.platformio import run_command, run_environment\n"
        "from harness.build.paths import project_root; from harness.build.tools import run_tool\n"
        "from harness.build import pio_local\n"
        "variables = run_environment(from_registry=not pio_local.is_installed())\n"
        f"variables['PLATFORMIO_BUILD_DIR'] = {str(tmp_path / 'build')!r}\n"
        "try:\n"
        "    run_tool(run_command(), what='build', cwd=project_root(), extra_env=variables)\n"
        "except KeyboardInterrupt:\n"
        "    pass\n"
    )
    builder = subprocess.Popen([sys.executable, "-c", code], env=mark.env)
    try:
        compiling = wait_until(lambda: any("cc1" in name for name in mark.processes().values()))
        assert compiling
        builder.send_signal(number)
        builder.wait(PATIENCE_S)
        assert wait_until(lambda: not mark.processes()), mark.processes()
        assert not list((tmp_path / "build").rglob("firmware.elf")), "it was not built to its end"
    finally:
        builder.kill()
        builder.wait()
