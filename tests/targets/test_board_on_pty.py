"""A board behind a real serial device: pseudo-terminals with QEMU, with a fake device, with other people's firmware."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.build.elf import build_id
from harness.build.platformio import firmware_elf
from harness.cli.app import run
from harness.device import Device, Timing
from harness.errors import FlashError, TargetUnavailable
from harness.fake import FakeDevice, Faults
from harness.protocol.messages import Echo, HelloReply
from harness.protocol.wire import PROTOCOL_MAJOR
from harness.targets.board import BoardTarget
from harness.targets.boards import board
from harness.transport.ports import PortInfo
from harness.transport.serial_port import SerialPort
from harness.workbench import ChipProgram, Workbench
from keras_models import save_spec
from patience import PATIENCE_S
from pty_line import PtyDevice, QemuOnPty


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_spec(seeds.random_lstm(3, 5), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def elf() -> Path:
    try:
        return firmware_elf()
    except TargetUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture(scope="module")
def qemu_port(elf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        qemu = QemuOnPty(elf, tmp_path_factory.mktemp("qemu") / "log")
    except TargetUnavailable as error:
        pytest.skip(error.message)
    yield qemu.url
    qemu.stop()


@pytest.fixture
def on_pty() -> Iterator[Callable[[FakeDevice], str]]:
    ports = []

    def put(device: FakeDevice) -> str:
        ports.append(PtyDevice(device.receive))
        return ports[-1].url

    yield put
    for port in ports:
        port.hang_up()


def test_a_whole_validation_over_a_serial_device_is_bit_equal_with_native(
    model: Path, qemu_port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["validate", str(model), "--batch", "3", "--steps", "20"]
    record_path = tmp_path / "r.json"
    board_options = ["--board", "nucleo_f446re", "--port", qemu_port]
    assert run([*arguments, *board_options, "--save", str(tmp_path / "b.npz"), "--json", str(record_path)]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"target  board nucleo_f446re, port {qemu_port}\n")
    assert run([*arguments, "--native", "--save", str(tmp_path / "n.npz")]) == 0
    with np.load(tmp_path / "b.npz") as got, np.load(tmp_path / "n.npz") as expected:
        assert set(got) == set(expected)
        for name in got:
            assert got[name].tobytes() == expected[name].tobytes(), name
    target = json.loads(record_path.read_text())["target"]
    assert (target["kind"], target["name"], target["port"]) == ("board", "nucleo_f446re", qemu_port)
    assert (target["serial_number"], target["flashed"], target["notes"]) == (None, False, [])


def test_info_by_port_alone_and_by_sts_descriptor(qemu_port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--port", qemu_port, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["name"] == "nucleo_f446re"
    assert run(["info", "--port", f"serial:{qemu_port}:1000000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["baud"] == 1_000_000
    assert run(["info", "--port", qemu_port, "--baud", "230400", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["baud"] == 230_400
    assert run(["info", "--port", f"serial:{qemu_port}:921600"]) == 2, "16 MHz give nothing near it"
    assert run(["info", "--port", qemu_port, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"]["baud"] == 115_200


def test_the_doctor_finds_the_chips_own_program_healthy(qemu_port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--port", qemu_port, "--flash", "never"]) == 0
    output = capsys.readouterr().out
    assert "runs on qemu, no chip" in output
    assert "the same as ours" in output
    assert "16 frames of 1000 bytes there and back: none lost" in output
    assert output.splitlines()[-1].startswith("HEALTHY board nucleo_f446re")


def test_nothing_is_lost_or_held_back_on_the_way(qemu_port: str) -> None:
    with Device(
        SerialPort(qemu_port), timing=Timing(first_timeout_s=PATIENCE_S)
    ) as device:  # or a busy machine repeats
        device.connect()
        before = replace(device.link_counters)  # an answer to the host before may have been cut
        for size in range(0, 1040, 13):
            assert device.request(Echo(data=bytes([size % 256]) * size)).data == bytes([size % 256]) * size
        lost = device.link_counters.since(before)
        assert (lost.repeats, lost.bad_frames) == (0, 0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.targets.board._GREETING_TIMEOUT_S", 0.5)


@pytest.mark.usefixtures("impatient")
def test_a_silent_port(on_pty: Callable[[FakeDevice], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--port", on_pty(FakeDevice(faults=Faults(silent=True)))]) == 5
    assert "power" in capsys.readouterr().err


@pytest.mark.usefixtures("impatient")
def test_another_firmware(on_pty: Callable[[FakeDevice], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--port", on_pty(FakeDevice(faults=Faults(babble=b"Hello World!\r\n")))]) == 6
    captured = capsys.readouterr().err
    assert "Hello World!" in captured
    assert "something else than our firmware" in captured


@pytest.mark.parametrize("major", [PROTOCOL_MAJOR - 1, PROTOCOL_MAJOR + 1])
def test_another_protocol(on_pty: Callable[[FakeDevice], str], major: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--port", on_pty(FakeDevice(protocol=(major, 0)))]) == 6
    assert f"protocol {major}.0" in capsys.readouterr().err


def test_another_build_of_the_same_protocol_is_noted(
    on_pty: Callable[[FakeDevice], str], elf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", "--port", on_pty(FakeDevice()), "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["target"]["notes"]
    assert build_id(elf).hex()[:12] in note


def test_flashing_puts_our_build_on_the_board(on_pty: Callable[[FakeDevice], str], elf: Path) -> None:
    """A fake board whose probe is played: its port is real, and so are the handshakes before and after."""
    fake = FakeDevice(hello=HelloReply(max_payload_bytes=1040, build_id=b"\x42" * 20))
    url = on_pty(fake)
    uploads: list[str | None] = []

    class Uploading(ChipProgram):
        def upload(self, serial_number: str | None) -> None:
            uploads.append(serial_number)
            fake.hello = replace(fake.hello, build_id=build_id(elf))

    def target() -> BoardTarget:
        ports = [PortInfo(url, 0x0483, 0x374B, "0669FF01", "STM32 STLink")]
        return BoardTarget(board("nucleo_f446re"), Uploading(lambda _: None, "nucleo_f446re"), list_ports=lambda: ports)

    for flashed in (True, False):
        with Workbench(target()) as bench:
            assert bench.device().info.build_id == build_id(elf)
            assert bench.target.description()["flashed"] is flashed
    assert uploads == ["0669FF01"]


def test_a_flash_that_fails_is_4(elf: Path, on_pty: Callable[[FakeDevice], str]) -> None:
    url = on_pty(FakeDevice())

    class Failing(ChipProgram):
        def upload(self, serial_number: str | None) -> None:
            raise FlashError("no probe")

    ports = [PortInfo(url, 0x0483, 0x374B, "0669FF01", "STM32 STLink")]
    target = BoardTarget(board("nucleo_f446re"), Failing(lambda _: None, "nucleo_f446re"), list_ports=lambda: ports)
    with Workbench(target) as bench, pytest.raises(FlashError) as error:
        bench.device()
    assert error.value.exit_code == 4
    SerialPort(url).close()  # and the port was given back


def test_a_soak_of_a_board(qemu_port: str, tmp_path: Path) -> None:
    path = tmp_path / "soak.json"
    arguments = ["--faults", "bits=1e-5,reset=0.3", "--exchanges", "10", "--seed", "2", "--json", str(path)]
    assert run(["soak", "--port", qemu_port, *arguments]) == 0
    record = json.loads(path.read_text())
    assert record["target"]["port"] == qemu_port
    assert record["wrong_numbers"] == record["hangs"] == 0
    assert record["right"] + sum(record["typed_errors"].values()) == record["exchanges"] == 10
    assert record["injected"]["reset"] > 0
