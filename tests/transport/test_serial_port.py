"""Serial ports as transports: what opens, and who is at fault when it does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from harness.device import Device, Timing
from harness.errors import LinkClosed, TargetUnavailable, UsageError
from harness.fake import FakeDevice
from harness.protocol.messages import Echo
from harness.transport.base import baud_of, set_baud
from harness.transport.ports import holders
from harness.transport.serial_port import Address, SerialPort, parse_address
from patience import PATIENCE_S
from pty_line import PtyDevice


@pytest.fixture
def fake_on_pty() -> Iterator[PtyDevice]:
    device = PtyDevice(FakeDevice().receive)
    yield device
    device.hang_up()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (None, Address(None)),
        ("serial", Address(None)),
        ("serial:", Address(None)),
        ("serial::921600", Address(None, 921600)),
        ("serial:COM4", Address("COM4")),
        ("serial:COM4:921600", Address("COM4", 921600)),
        ("serial:/dev/ttyACM0:115200", Address("/dev/ttyACM0", 115200)),
        ("serial:/dev/serial/by-path/pci-0:14.0-usb-0:1:1.0", Address("/dev/serial/by-path/pci-0:14.0-usb-0:1:1.0")),
        ("COM4", Address("COM4")),
        ("rfc2217://host:4000?ign_set_control", Address("rfc2217://host:4000?ign_set_control")),
    ],
)
def test_pyserials_urls_and_sts_descriptors(text: str | None, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "serial:COM4:0"])
def test_no_port_at_all(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_a_device_over_a_pseudo_terminal(fake_on_pty: PtyDevice) -> None:
    patient = Timing(first_timeout_s=PATIENCE_S, greeting_interval_s=PATIENCE_S)  # or a slow machine repeats
    with Device(SerialPort(fake_on_pty.url), timing=patient) as device:
        device.connect(timeout_s=PATIENCE_S)
        data = bytes(range(256)) * 4  # every byte that a terminal might want to change
        for _ in range(20):
            assert device.request(Echo(data=data)).data == data
        assert device.link_counters.bad_frames == device.link_counters.repeats == 0


def test_loop_is_a_port_too() -> None:
    port = SerialPort("loop://")
    port.write(b"\x00hello\x00")
    assert port.read(1) == b"\x00hello\x00"
    start_s = time.monotonic()
    assert port.read(0.1) == b""
    assert 0.09 < time.monotonic() - start_s < PATIENCE_S
    port.close()
    port.close()


def test_a_device_over_a_socket() -> None:
    fake = FakeDevice()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(4096):
                connection.sendall(fake.receive(data))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        with Device(SerialPort(f"socket://127.0.0.1:{listener.getsockname()[1]}")) as device:
            device.connect(timeout_s=PATIENCE_S)
            assert device.request(Echo(data=b"x" * 1000)).data == b"x" * 1000
        thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("/dev/there_is_no_such_port", "port_absent"),
        ("socket://127.0.0.1:1", "port_absent"),
        ("rfc2217://127.0.0.1:1", "port_absent"),
        ("/dev/null", "port_unusable"),
    ],
)
def test_what_cannot_be_opened_is_the_rigs_fault(url: str, code: str) -> None:
    with pytest.raises(TargetUnavailable) as error:
        SerialPort(url)
    assert error.value.code == code
    assert url in error.value.message
    assert error.value.remedy


def test_an_unknown_kind_of_url_is_the_users_fault() -> None:
    with pytest.raises(UsageError, match="carrier"):
        SerialPort("carrier://pigeon")


def test_a_busy_port_names_who_has_it(fake_on_pty: PtyDevice) -> None:
    code = (
        "import sys; from harness.transport.serial_port import SerialPort;"
        f"port = SerialPort({fake_on_pty.url!r}); print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdin is not None
    assert other.stdout is not None
    with other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(TargetUnavailable, match=rf"pid {other.pid}\b") as error:
            SerialPort(fake_on_pty.url)
        assert error.value.code == "port_busy"
        other.stdin.close()
    SerialPort(fake_on_pty.url).close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
def test_who_has_a_file_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert holders(str(path)) == ()
    with path.open() as file:
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[file.fileno()])
        with other:
            assert holders(str(path)) == (f"{Path(f'/proc/{other.pid}/comm').read_text().strip()} (pid {other.pid})",)
            assert other.stdin is not None
            other.stdin.write(b"\n")


def test_a_port_that_may_not_be_opened_names_the_group(fake_on_pty: PtyDevice) -> None:
    os.chmod(fake_on_pty.url, 0o600)
    if os.getuid() != 0:
        os.chmod(fake_on_pty.url, 0o000)
        with pytest.raises(TargetUnavailable, match="may not open") as error:
            SerialPort(fake_on_pty.url)
        assert "dialout" in error.value.remedy
        return
    # root may open anything: a child that gives its rights away after the imports.
    code = (
        "import grp, os, serial, harness.transport.serial_port as s, harness.errors as e\n"
        "import serial.serialposix\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        f"    s.SerialPort({fake_on_pty.url!r})\n"
        "except e.TargetUnavailable as error:\n"
        "    print(error.code, error.remedy)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("port_permission"), done.stderr
    assert "dialout" in done.stdout


def test_a_port_that_vanishes(fake_on_pty: PtyDevice) -> None:
    port = SerialPort(fake_on_pty.url)
    with Device(port) as device:
        device.connect(timeout_s=PATIENCE_S)
        fake_on_pty.hang_up()
        with pytest.raises(LinkClosed, match="gone away") as error:
            device.request(Echo())
        assert "cable" in error.value.remedy


def test_a_closed_port_is_a_closed_link(fake_on_pty: PtyDevice) -> None:
    port = SerialPort(fake_on_pty.url)
    port.close()
    for use in (lambda: port.write(b"x"), lambda: port.read(0.1)):
        with pytest.raises(LinkClosed):
            use()


def test_only_a_port_has_a_baud() -> None:
    ours, theirs = os.openpty()
    try:
        with closing(SerialPort(os.ttyname(theirs))) as port:
            assert baud_of(port) == 115200
            set_baud(port, 921600)
            assert baud_of(port) == 921600
            assert termios.tcgetattr(theirs)[5] == termios.B921600
            with pytest.raises(UsageError, match="has no"):
                set_baud(port, -1)
            assert baud_of(port) == 921600
    finally:
        os.close(ours)
        os.close(theirs)
    with closing(SerialPort("loop://")) as loop:
        assert baud_of(loop) is None
