"""Boards: which port, when to flash, and what a person is told. The ports and the probe are played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import (
    FlashError,
    HilError,
    LinkClosed,
    LinkTimeout,
    MismatchError,
    TargetBusy,
    TargetUnavailable,
    UsageError,
)
from harness.fake import FakeDevice, FakeTransport
from harness.targets.board import BoardTarget
from harness.targets.boards import board, board_names
from harness.targets.lock import BoardLock
from harness.targets.program import Running
from harness.transport.base import Transport
from harness.transport.ports import PortInfo, volume_of
from patience import PATIENCE_S

NUCLEO = board("nucleo_f446re")
OURS, THEIRS = b"\x11" * 20, b"\x22" * 20
STLINK = PortInfo("/dev/ttyACM0", 0x0483, 0x374B, "0669FF01", "STM32 STLink")
OTHER_STLINK = PortInfo("/dev/ttyACM1", 0x0483, 0x3752, "0669FF02", "STM32 STLink")
ARDUINO = PortInfo("/dev/ttyUSB0", 0x1A86, 0x7523, None, "USB Serial")


class PlayedProgram:
    """Our firmware, and a board that holds one or another.

    Args:
        running: what the board says when it is asked, in turn: what runs there, or an error; the last one for ever.
        ours: our own build id; None: it is not built.
    """

    def __init__(self, *running: bytes | Running | HilError, ours: bytes | None = OURS) -> None:
        self.running = list(running)
        self.ours = ours
        self.uploaded_to: list[str | None] = []
        self.bauds: list[int] = []
        self.got_baud: int | HilError = 0
        self.builds = 0
        self.after_upload: list[bytes | Running | HilError] = [OURS]

    def build_id(self, *, may_build: bool) -> bytes | None:
        self.builds += may_build
        return self.ours

    def set_baud(self, line: Transport, baud: int) -> int:
        self.bauds.append(baud)
        if isinstance(self.got_baud, HilError):
            raise self.got_baud
        return self.got_baud or baud

    def running_on(self, line: Transport, timeout_s: float) -> Running:
        said = self.running.pop(0) if len(self.running) > 1 else self.running[0]
        if isinstance(said, HilError):
            raise said
        return Running(said) if isinstance(said, bytes) else said

    def upload(self, serial_number: str | None) -> None:
        self.uploaded_to.append(serial_number)
        self.running = self.after_upload


class Bench:
    """A board target with played surroundings."""

    def __init__(self, program: PlayedProgram, ports: Sequence[PortInfo] = (STLINK,), **options: Any) -> None:
        self.ports = list(ports)
        self.opened: list[tuple[str, int]] = []
        self.said: list[str] = []
        self.gone_for = 0  # so many looks at the ports find none
        self.target = BoardTarget(
            NUCLEO, program, list_ports=self.list_ports, open_line=self.open, say=self.said.append, **options
        )

    def list_ports(self) -> list[PortInfo]:
        self.gone_for -= 1
        return self.ports if self.gone_for < 0 else []

    def open(self, url: str, baud: int) -> Transport:
        self.opened.append((url, baud))
        return FakeTransport(FakeDevice())


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> None:
    monkeypatch.setattr("harness.targets.board._RETRY_S", 0.0)
    monkeypatch.setattr("harness.targets.board._RETURN_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what does not come back."""
    monkeypatch.setattr("harness.targets.board._RETURN_TIMEOUT_S", 0.05)


def test_a_board_is_found_among_other_ports_by_its_usb_ids() -> None:
    bench = Bench(PlayedProgram(OURS), [ARDUINO, OTHER_STLINK])
    bench.target.start()
    assert bench.opened == [("/dev/ttyACM1", 115200)]
    assert bench.target.description() == {
        "name": "nucleo_f446re",
        "port": "/dev/ttyACM1",
        "serial_number": "0669FF02",
        "flashed": False,
        "notes": [],
    }


def test_several_boards_are_listed_and_none_is_taken() -> None:
    bench = Bench(PlayedProgram(OURS), [STLINK, OTHER_STLINK])
    with pytest.raises(UsageError) as error:
        bench.target.start()
    for port in (STLINK, OTHER_STLINK):
        assert port.device in error.value.message
        assert str(port.serial_number) in error.value.message
    assert "--sn 0669FF01" in error.value.remedy
    assert bench.opened == []


def test_a_serial_number_chooses_port_and_probe() -> None:
    program = PlayedProgram(THEIRS)
    bench = Bench(program, [STLINK, OTHER_STLINK], serial_number="0669ff02")
    bench.target.start()
    assert {url for url, _ in bench.opened} == {"/dev/ttyACM1"}
    assert program.uploaded_to == ["0669FF02"]


@pytest.mark.parametrize(("ports", "found"), [([ARDUINO], "/dev/ttyUSB0 (1A86:7523"), ([], "no serial port at all")])
def test_no_board_says_what_was_looked_for_and_what_was_found(ports: list[PortInfo], found: str) -> None:
    bench = Bench(PlayedProgram(OURS), ports)
    reason = bench.target.unavailable()
    assert isinstance(reason, TargetUnavailable)
    assert "0483:374B" in reason.message
    assert found in reason.message
    with pytest.raises(TargetUnavailable, match="0483:374B"):
        bench.target.start()


def test_a_serial_number_that_is_not_there() -> None:
    reason = Bench(PlayedProgram(OURS), serial_number="123").target.unavailable()
    assert isinstance(reason, TargetUnavailable)
    assert "serial number 123" in reason.message
    assert "0669FF01" in reason.message


def test_a_serial_number_that_is_not_the_ports() -> None:
    bench = Bench(PlayedProgram(OURS), port="/dev/ttyACM0", serial_number="123")
    with pytest.raises(UsageError, match="0669FF01"):
        bench.target.start()


@pytest.mark.parametrize(
    ("flash", "running", "is_flashed"),
    [
        ("if-changed", OURS, False),
        ("if-changed", THEIRS, True),
        ("if-changed", LinkTimeout("an empty board"), True),
        ("if-changed", MismatchError("an old one"), True),
        ("always", OURS, True),
        ("never", OURS, False),
        ("never", THEIRS, False),
    ],
)
def test_when_a_board_is_flashed(flash: str, running: bytes | HilError, is_flashed: bool) -> None:
    program = PlayedProgram(running)
    bench = Bench(program, flash=flash)
    bench.target.start()
    assert program.uploaded_to == (["0669FF01"] if is_flashed else [])
    assert bench.target.description()["flashed"] is is_flashed
    assert any("flashing" in text and "0669FF01" in text for text in bench.said) == is_flashed
    is_noted = flash == "never" and running == THEIRS
    assert bool(bench.target.notes()) == is_noted
    if is_noted:
        assert THEIRS.hex()[:12] in bench.target.notes()[0]
    if flash == "never":
        assert program.builds == 0


def test_always_is_once() -> None:
    program = PlayedProgram(OURS)
    bench = Bench(program, flash="always")
    bench.target.start()
    bench.target.start()
    assert program.uploaded_to == ["0669FF01"]
    assert bench.target.description()["flashed"] is True


def test_never_leaves_a_silent_board_an_error() -> None:
    program = PlayedProgram(LinkTimeout("silence"))
    with pytest.raises(LinkTimeout, match="silence"):
        Bench(program, flash="never").target.start()
    assert program.uploaded_to == []


def test_a_board_that_vanishes_is_not_flashed() -> None:
    program = PlayedProgram(LinkClosed("gone"))
    with pytest.raises(LinkClosed):
        Bench(program).target.start()
    assert program.uploaded_to == []


def test_a_flashed_board_may_come_back_at_another_port() -> None:
    program = PlayedProgram(THEIRS)
    program.after_upload = [LinkTimeout("it boots"), OURS]
    bench = Bench(program)
    moved = PortInfo("/dev/ttyACM7", 0x0483, 0x374B, "0669FF01", "STM32 STLink")

    def upload(serial_number: str | None) -> None:
        PlayedProgram.upload(program, serial_number)
        bench.gone_for = 2
        bench.ports = [moved, PortInfo("/dev/ttyACM0", 0x0483, 0x374B, "SOMEBODY", "STM32 STLink")]

    program.upload = upload  # type: ignore[method-assign]
    bench.target.start()
    assert [url for url, _ in bench.opened] == ["/dev/ttyACM0", "/dev/ttyACM7", "/dev/ttyACM7"]
    assert bench.target.description()["port"] == "/dev/ttyACM7"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("after", "said"), [(THEIRS, "announces build 2222"), (LinkTimeout("nothing came"), "nothing came")]
)
def test_flashing_is_believed_only_after_a_greeting(after: bytes | HilError, said: str) -> None:
    program = PlayedProgram(THEIRS)
    program.after_upload = [after]
    bench = Bench(program)
    with pytest.raises(FlashError, match=said) as error:
        bench.target.start()
    assert error.value.exit_code == 4
    assert bench.target.description()["flashed"] is None


def test_nobody_else_gets_the_board_while_it_is_asked_flashed_and_used() -> None:
    seen = []

    def look(when: str) -> None:
        with pytest.raises(TargetBusy):
            BoardLock("0669FF01", "the board").take()
        seen.append(when)

    class Program(PlayedProgram):
        def upload(self, serial_number: str | None) -> None:
            look("flashed")
            super().upload(serial_number)

    class Watched(Bench):
        def open(self, url: str, baud: int) -> Transport:
            look("opened")
            return super().open(url, baud)

    target = Watched(Program(THEIRS)).target
    target.start()
    look("in use")
    target.stop()
    look("between two starts")
    assert seen == ["opened", "flashed", "opened", "in use", "between two starts"]
    target.release()
    BoardLock("0669FF01", "the board").take()


@pytest.mark.parametrize("port", ["/dev/pts/7", "socket://host:1", "/dev/ttyUSB0"])
def test_a_port_without_a_probe_is_checked_and_never_flashed(port: str) -> None:
    program = PlayedProgram(THEIRS)
    bench = Bench(program, [STLINK, ARDUINO], port=port)
    bench.target.start()
    assert bench.opened == [(port, 115200)]
    assert program.uploaded_to == []
    (note,) = bench.target.notes()
    assert "another build" in note
    assert "belongs to no probe" in note
    bench.target.release()
    bench = Bench(program, [STLINK, ARDUINO], port=port, flash="always")
    with pytest.raises(UsageError, match="no probe"):
        bench.target.start()


def test_the_port_of_a_probe_can_be_named(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to("/dev/ttyACM1")
    program = PlayedProgram(THEIRS)
    bench = Bench(program, [STLINK, OTHER_STLINK], port=str(link))
    bench.target.start()
    assert program.uploaded_to == ["0669FF02"]


@pytest.mark.parametrize(
    ("options", "baud"),
    [
        ({}, 1_000_000),
        ({"port": "serial::921600"}, 921_600),
        ({"baud": 1_500_000}, 1_500_000),
        ({"baud": 115_200}, None),
    ],
    ids=["by its probe", "in the port", "by --baud", "as it boots"],
)
def test_the_line_is_opened_as_it_boots_and_goes_on_faster(options: dict[str, Any], baud: int | None) -> None:
    program = PlayedProgram(OURS)
    bench = Bench(program, **options)
    bench.target.start()
    assert bench.opened == [("/dev/ttyACM0", 115200)]
    assert program.bauds == ([] if baud is None else [baud])
    assert bench.target.notes() == ()


def test_a_port_without_a_probe_stays_as_it_boots() -> None:
    program = PlayedProgram(OURS)
    Bench(program, port="socket://localhost:1").target.start()
    assert program.bauds == []


@pytest.mark.parametrize("got", [115_200, UsageError("its clock gives nothing near it")])
def test_a_baud_that_nobody_asked_for_may_fail(got: int | HilError) -> None:
    program = PlayedProgram(OURS)
    program.got_baud = got
    bench = Bench(program)
    bench.target.start()
    assert "the line stays at 115200 baud" in bench.target.notes()[0]


def test_a_baud_that_was_asked_for_may_not() -> None:
    program = PlayedProgram(OURS)
    program.got_baud = UsageError("its clock gives nothing near it")
    with pytest.raises(UsageError, match="nothing near"):
        Bench(program, baud=2_000_000).target.start()


F411 = Running(OURS, "nucleo_f411re", 0x431)


@pytest.mark.parametrize("flash", ["if-changed", "always", "never"])
def test_a_board_with_another_chip_is_never_flashed(flash: str) -> None:
    program = PlayedProgram(F411)
    with pytest.raises(MismatchError) as refused:
        Bench(program, flash=flash).target.start()
    assert refused.value.code == "wrong_board"
    assert "0x431 (STM32F411RE), a nucleo_f446re has 0x421" in refused.value.message
    assert "--board nucleo_f411re" in refused.value.remedy
    assert program.uploaded_to == []


def test_another_chip_may_show_itself_only_once_it_is_flashed() -> None:
    program = PlayedProgram(LinkTimeout("an empty board"))
    program.after_upload = [Running(OURS, "nucleo_f446re", 0x433)]
    with pytest.raises(MismatchError, match="STM32F401RE"):
        Bench(program).target.start()


def test_a_chip_that_nobody_knows() -> None:
    with pytest.raises(MismatchError, match=r"0x463 \(STM32F413/423\)"):
        Bench(PlayedProgram(Running(OURS, "", 0x463))).target.start()


def test_the_program_of_another_board_is_replaced_where_the_chip_is_right() -> None:
    program = PlayedProgram(Running(THEIRS, "nucleo_f411re", 0x421))
    Bench(program).target.start()
    assert program.uploaded_to == ["0669FF01"]


@pytest.mark.parametrize("options", [{"flash": "never"}, {"port": "/dev/pts/7"}], ids=["never", "no probe"])
def test_the_program_of_another_board_is_refused_where_it_stays(options: dict[str, Any]) -> None:
    with pytest.raises(MismatchError) as refused:
        Bench(PlayedProgram(Running(THEIRS, "nucleo_f411re")), **options).target.start()
    assert refused.value.code == "wrong_firmware"
    assert "--board nucleo_f411re" in refused.value.remedy


def test_the_volume_of_a_probe_tells_boards_with_the_same_ids_apart() -> None:
    f411 = replace(OTHER_STLINK, volume="NODE_F411RE")
    bench = Bench(PlayedProgram(OURS), [STLINK, f411])
    bench.target.start()
    assert bench.opened == [("/dev/ttyACM0", 115200)]
    assert board("nucleo_f411re").may_be_at(f411)
    assert not board("nucleo_f401re").may_be_at(f411)
    for name in board_names():
        assert board(name).may_be_at(replace(STLINK, volume="NUCLEO")), "it says nothing"


def test_volumes_are_found_by_serial_number(tmp_path: Path) -> None:
    (tmp_path / "sda").touch()
    (tmp_path / "sdb").touch()
    for folder, name, disk in (
        ("by-id", "usb-MBED_microcontroller_0669FF01-0:0", "sda"),
        ("by-id", "usb-MBED_microcontroller_0669FF02-0:0", "sdb"),
        ("by-label", "NODE_F446RE", "sda"),
        ("by-label", "BACKUP", "sdb"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).symlink_to(tmp_path / disk)
    assert volume_of("0669FF01", str(tmp_path)) == "NODE_F446RE"
    assert volume_of("0669FF02", str(tmp_path)) == "BACKUP"
    assert volume_of("0669FF0", str(tmp_path)) is None
    assert volume_of("*", str(tmp_path)) is None


def test_a_board_whose_cable_was_pulled_comes_back_at_whatever_port_it_gets() -> None:
    bench = Bench(PlayedProgram(OURS))
    bench.target.start()
    bench.ports = [replace(STLINK, device="/dev/ttyACM7")]
    bench.gone_for = 3
    bench.target.reopen()
    assert bench.opened[-1] == ("/dev/ttyACM7", 115200)
    assert bench.target.description()["port"] == "/dev/ttyACM7"


@pytest.mark.usefixtures("impatient")
def test_a_board_that_does_not_come_back_is_told_as_what_it_is() -> None:
    bench = Bench(PlayedProgram(OURS))
    bench.target.start()
    bench.ports = [ARDUINO]
    with pytest.raises(TargetUnavailable, match="not on USB any more"):
        bench.target.reopen()
