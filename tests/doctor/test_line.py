"""Who is at the other end: pseudo-terminals with what people find there at night."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from baud_line import BaudLine
from harness.device import Device, Timing
from harness.doctor.line import PATIENT_S, examine, line_quality
from harness.errors import HilError
from harness.fake import FakeDevice, FakeTransport, Faults
from harness.findings import found
from harness.protocol.messages import HelloReply
from harness.protocol.wire import PROTOCOL_MAJOR
from harness.transport.serial_port import SerialPort
from patience import PATIENCE_S
from pty_line import PtyDevice

Answer = Callable[[bytes], bytes]


class PlayedPort:
    """A port on which no real time passes; at another baud than its own, what comes through is garbled both ways."""

    def __init__(self, answer: Answer, baud: int | None = None) -> None:
        self._answer = answer
        self._baud = baud
        self._now_s = 0.0
        self.open = 0

    def clock(self) -> float:
        return self._now_s

    def open_line(self, _: str, baud: int) -> PlayedPort:
        self.open += 1
        self._is_garbled = self._baud not in (None, baud)
        self._waiting = b""
        return self

    def write(self, data: bytes) -> None:
        self._waiting += self._through(self._answer(self._through(data)))

    def read(self, timeout_s: float) -> bytes:
        data, self._waiting = self._waiting, b""
        self._now_s += 0.0 if data else timeout_s
        return data

    def close(self) -> None:
        self.open -= 1

    def _through(self, data: bytes) -> bytes:
        return bytes(byte ^ 0x9D | 0x80 for byte in data) if self._is_garbled else data


def played_finding(answer: Answer, baud: int | None = None, asked: int = 115200) -> HilError:
    """What is found at a played port, in a time that a person waits for; the port is given back."""
    port = PlayedPort(answer, baud)
    with pytest.raises(HilError) as error:
        examine("/dev/ttyACM0", asked, port.open_line, port.clock)
    assert port.clock() < 6
    assert port.open == 0
    return error.value


class PromptPort:
    """A serial port with a device behind it on which no real time passes: the answer is there when a write ends."""

    def __init__(self, desk: Desk, url: str, baud: int) -> None:
        self._port = SerialPort(url, baud)
        self._desk = desk
        self._url = url
        self._waiting = b""
        self.close = self._port.close

    def write(self, data: bytes) -> None:
        before_bytes = self._desk.said_bytes[self._url]
        self._port.write(data)  # see PtyDevice: it is answered
        answer = b""
        while len(answer) < self._desk.said_bytes[self._url] - before_bytes:
            piece = self._port.read(PATIENCE_S)
            assert piece
            answer += piece
        self._waiting += answer

    def read(self, timeout_s: float) -> bytes:
        data, self._waiting = self._waiting, b""
        self._desk.now_s += 0.0 if data else timeout_s
        return data


class Desk:
    """Pseudo-terminals with something behind them."""

    def __init__(self) -> None:
        self.devices: list[PtyDevice] = []
        self.said_bytes: dict[str, int] = {}
        self.now_s = 0.0

    def put(self, answer: Answer, baud: int | None = None) -> str:
        """Put something behind a port; the port's name."""

        def say(data: bytes) -> bytes:
            said = answer(data)
            self.said_bytes[device.url] += len(said)
            return said

        device = PtyDevice(say, baud=baud)
        self.said_bytes[device.url] = 0
        self.devices.append(device)
        return device.url

    def examine(self, url: str) -> HelloReply:
        if url not in self.said_bytes:
            return examine(url, 115200, SerialPort)
        return examine(url, 115200, lambda url, baud: PromptPort(self, url, baud), lambda: self.now_s)

    def finding_at(self, url: str) -> HilError:
        """What is found there. Times that a person waits for are looked at on a played port."""
        with pytest.raises(HilError) as error:
            self.examine(url)
        return error.value


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    for device in desk.devices:
        device.hang_up()


def test_our_firmware_answers(desk: Desk) -> None:
    assert desk.examine(desk.put(FakeDevice().receive)).version == "fake"


def test_our_firmware_boots_late(desk: Desk) -> None:
    assert desk.examine(desk.put(FakeDevice(faults=Faults(mute_for=5)).receive)).version == "fake"


def test_a_board_that_a_host_left_at_another_baud_is_called_back() -> None:
    """It goes back by itself once it hears enough that is no frame; nothing is wrong with it."""

    line = BaudLine(FakeDevice())
    line.device.baud = 1_000_000
    assert examine("/dev/ttyACM0", 115200, lambda _url, _baud: line, line.clock).version == "fake"
    assert line.clock() < PATIENT_S
    assert line.device.baud == 115200


def test_silence(desk: Desk) -> None:
    url = desk.put(lambda _: b"")
    error = desk.finding_at(url)
    assert (error.code, error.exit_code) == ("device_silent", 5)
    assert url in error.message
    assert "115200, 9600" in error.message
    assert "921600" in error.message
    assert "LD3" in error.remedy
    SerialPort(url).close()


def test_our_firmware_at_another_baud(desk: Desk) -> None:
    url = desk.put(FakeDevice().receive, baud=9600)
    error = desk.finding_at(url)
    assert error.code == "wrong_baud"
    assert url in error.message
    assert "9600" in error.message
    assert "reset" in error.remedy


@pytest.mark.parametrize(("actual", "asked"), [(9600, 115200), (921600, 115200), (115200, 921600)])
def test_each_baud(actual: int, asked: int) -> None:
    error = played_finding(FakeDevice().receive, actual, asked)
    assert (error.code, error.exit_code) == ("wrong_baud", 5)
    assert str(actual) in error.message
    assert str(asked) in error.message


class StalledPort(PlayedPort):
    """The port of a host that does not run for a while whenever it has sent something."""

    def write(self, data: bytes) -> None:
        super().write(data)
        self._now_s += 10.0


def test_a_host_that_stalls_still_sees_what_has_come() -> None:
    port = StalledPort(FakeDevice().receive)
    assert examine("/dev/ttyACM0", 115200, port.open_line, port.clock).version == "fake"
    port = StalledPort(modem(echo=False))
    with pytest.raises(HilError, match="modem"):
        examine("/dev/ttyACM0", 115200, port.open_line, port.clock)


class RefusingPort(PlayedPort):
    """A port whose adapter refuses some rates, or that goes away in the middle."""

    def __init__(self, answer: Answer, baud: int, refuses: tuple[int, ...], finding: str) -> None:
        super().__init__(answer, baud)
        self._refuses = refuses
        self._finding = finding

    def open_line(self, url: str, baud: int) -> PlayedPort:
        if baud in self._refuses:
            raise found(self._finding, port=url, reason="")
        return super().open_line(url, baud)


def test_a_rate_that_the_port_has_not_is_left_out() -> None:
    port = RefusingPort(FakeDevice().receive, 57600, (9600, 19200), "port_unusable")
    with pytest.raises(HilError) as error:
        examine("/dev/ttyACM0", 115200, port.open_line, port.clock)
    assert error.value.code == "wrong_baud"


def test_a_port_that_goes_away_meanwhile() -> None:
    port = RefusingPort(FakeDevice().receive, 57600, (9600,), "port_absent")
    with pytest.raises(HilError) as error:
        examine("/dev/ttyACM0", 115200, port.open_line, port.clock)
    assert error.value.code == "port_absent"


def test_text(desk: Desk) -> None:
    error = desk.finding_at(desk.put(lambda _: b"T=21.5 H=40\r\n"))
    assert (error.code, error.exit_code) == ("not_our_firmware", 6)
    assert "T=21.5 H=40" in error.message
    assert "hil flash" in error.remedy


def test_text_at_another_baud() -> None:
    error = played_finding(lambda _: b"temperature 21.5\r\n", 9600)
    assert error.code == "not_our_firmware"
    assert "9600 baud" in error.message
    assert "temperature 21.5" in error.message


def modem(echo: bool) -> Answer:
    return lambda data: (data if echo else b"") + (b"\r\nOK\r\n" if b"AT\r" in data else b"")


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("baud", [115200, 9600])
def test_a_modem(echo: bool, baud: int) -> None:
    error = played_finding(modem(echo), baud)
    assert (error.code, error.exit_code) == ("not_our_firmware", 6)
    assert "modem" in error.message
    assert "OK" in error.message
    assert f"{baud} baud" in error.message


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (b"\r\n>>> ", "Python prompt"),
        (b"\r\nbench7 login: ", "login prompt"),
        (b"\r\nuart:~$ ", "Zephyr"),
        (b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n", "GPS"),
        (b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET)\r\n", "Espressif"),
        (b"HardFault at 0x08001234\r\n", "failure of its own"),
    ],
)
def test_what_text_looks_like(says: bytes, kind: str) -> None:
    error = played_finding(lambda _: says)
    assert error.code == "not_our_firmware"
    assert kind in error.message


@pytest.mark.parametrize("answer", [b"\x79", b"\x1f"])
def test_the_chips_boot_loader(desk: Desk, answer: bytes) -> None:
    error = desk.finding_at(desk.put(lambda data: answer if data.endswith(b"\x7f") else b""))
    assert (error.code, error.exit_code) == ("boot_loader", 6)
    assert "BOOT0" in error.remedy


def test_a_loop_back_plug(desk: Desk) -> None:
    for url in (desk.put(lambda data: data), "loop://"):
        error = desk.finding_at(url)
        assert (error.code, error.exit_code) == ("line_echoes", 5)


def test_bytes_that_mean_nothing() -> None:
    error = played_finding(lambda _: bytes.fromhex("80 fe 00 e6 80 f8 81"))
    assert (error.code, error.exit_code) == ("unreadable_bytes", 5)
    assert "80 f8" in error.message


@pytest.mark.parametrize("major", [PROTOCOL_MAJOR - 1, PROTOCOL_MAJOR + 1])
@pytest.mark.parametrize("baud", [115200, 57600])
def test_another_protocol(major: int, baud: int) -> None:
    error = played_finding(FakeDevice(protocol=(major, 0)).receive, baud)
    assert (error.code, error.exit_code) == ("protocol_version", 6)
    assert ("at 57600 baud" in error.message) == (baud != 115200)


def test_a_port_that_is_not_there(desk: Desk) -> None:
    error = desk.finding_at("/dev/there_is_no_such_port")
    assert (error.code, error.exit_code) == ("port_absent", 3)


def test_a_port_that_another_program_has(desk: Desk) -> None:
    url = desk.put(FakeDevice().receive)
    code = f"import serial; port = serial.Serial({url!r}, exclusive=True); print('open', flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdin is not None
    assert other.stdout is not None
    with other:
        assert other.stdout.readline() == b"open\n"
        error = desk.finding_at(url)
        other.stdin.write(b"\n")
        other.stdin.close()
    assert (error.code, error.exit_code) == ("port_busy", 3)
    assert f"(pid {other.pid})" in error.message


def test_a_socket_has_no_other_baud() -> None:
    asked: list[int] = []
    line = FakeTransport(FakeDevice(faults=Faults(silent=True)))

    def open_line(_: str, baud: int) -> FakeTransport:
        asked.append(baud)
        return line

    with pytest.raises(HilError) as error:
        examine("socket://bench7:3000", 115200, open_line, line.clock)
    assert error.value.code == "device_silent"
    assert asked == [115200]


class LateLine(FakeTransport):
    """A line of a machine that now and then reads an answer only when it has asked again."""

    late_every = 0
    _reads = 0

    def read(self, timeout_s: float) -> bytes:
        self._reads += 1
        if self.late_every and self._reads % self.late_every == 0:
            self.sleep(timeout_s)
            return b""
        return super().read(timeout_s)


def quality(device: FakeDevice, late_every: int = 0) -> str:
    line = LateLine(device)
    line.late_every = late_every
    with Device(line, line.clock, timing=Timing(first_timeout_s=0.05)) as greeted:
        greeted.connect()
        return line_quality(greeted, "/dev/ttyACM0")


def test_a_clean_line() -> None:
    assert "none lost" in quality(FakeDevice())


def test_a_busy_machine_is_no_noisy_line() -> None:
    assert "none lost" in quality(FakeDevice(), late_every=4)


@pytest.mark.parametrize("faults", [Faults(drop_every=5), Faults(corrupt_every=4)])
def test_a_noisy_line(faults: Faults) -> None:
    with pytest.raises(HilError) as error:
        quality(FakeDevice(faults=faults))
    assert (error.value.code, error.value.exit_code) == ("line_noisy", 5)
    assert "had to be repeated" in error.value.message


def test_what_the_device_says_comes_back(desk: Desk) -> None:
    hello = replace(HelloReply(max_payload_bytes=1040), idcode=0x10006431)
    assert desk.examine(desk.put(FakeDevice(hello=hello).receive)).idcode == 0x10006431
