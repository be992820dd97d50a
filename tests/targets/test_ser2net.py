"""A board behind another machine: RFC 2217 by a real ser2net, whose port is a pseudo-terminal with a fake device."""

from __future__ import annotations

import os
import shutil
import socket
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.app import run
from harness.device import Device
from harness.errors import TargetUnavailable
from harness.fake import FakeDevice
from harness.protocol.messages import Echo
from harness.targets.process import ChildProcess
from harness.transport.serial_port import SerialPort
from marked_processes import listening_port
from patience import PATIENCE_S
from pty_line import PtyDevice

SER2NET = shutil.which("ser2net", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
pytestmark = pytest.mark.skipif(SER2NET is None, reason="ser2net is not installed (Debian: ser2net)")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The host and port of an RFC 2217 server."""
    assert SER2NET is not None
    device = PtyDevice(FakeDevice().receive)
    config = tmp_path / "ser2net.yaml"
    config.write_text(
        "connection: &board\n"
        "  accepter: telnet(rfc2217),tcp,127.0.0.1,0\n"
        f"  connector: serialdev,{device.url},115200n81,local\n"
    )
    process = ChildProcess([SER2NET, "-n", "-c", str(config), "-P", str(tmp_path / "pid")], tmp_path / "log")
    yield f"127.0.0.1:{listening_port(process._process.pid)}"
    process.stop()
    device.hang_up()


def test_a_device_over_rfc2217(server: str) -> None:
    # A pseudo-terminal has no modem lines, and so the server cannot confirm that it sets them.
    with Device(SerialPort(f"rfc2217://{server}?ign_set_control")) as device:
        device.connect(timeout_s=PATIENCE_S)
        data = bytes(range(256)) * 4  # 0xFF is what Telnet escapes
        for _ in range(10):
            assert device.request(Echo(data=data)).data == data
        assert device.link_counters.bad_frames == 0


def test_the_baud_of_the_port_behind_it_is_changed(server: str, tmp_path: Path) -> None:
    port = (tmp_path / "ser2net.yaml").read_text().rpartition("serialdev,")[2].split(",")[0]
    with Device(SerialPort(f"rfc2217://{server}?ign_set_control")) as device:
        device.connect(timeout_s=PATIENCE_S)
        assert device.set_baud(921600) == 921600
        assert device.request(Echo(data=b"there")).data == b"there"
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
        assert termios.tcgetattr(descriptor)[5] == termios.B921600
        os.close(descriptor)


def test_the_command_line_takes_such_a_port(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"rfc2217://{server}?ign_set_control"
    assert run(["info", "--board", "nucleo_f446re", "--port", url, "--no-flash"]) == 0
    assert url in capsys.readouterr().out


def test_a_server_that_does_not_speak_it_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rfc2217://127.0.0.1:{silent.getsockname()[1]}?timeout=1"
        with pytest.raises(TargetUnavailable, match="RFC 2217") as error:
            SerialPort(url)
    assert "ign_set_control" in error.value.remedy
