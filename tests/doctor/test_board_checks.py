"""A board that answers: which chip, which build, a fault in its memory; and its probe, by a sysfs of the test's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from baud_line import BaudLine
from harness.device import Device
from harness.doctor.board import BoardRig, check_board, check_build, check_chip, check_faults, check_probe
from harness.doctor.outcomes import Examination, NotChecked
from harness.errors import HilError
from harness.fake import FakeDevice, FakeTransport, Faults
from harness.protocol.faults import address_only
from harness.protocol.messages import Echo, HelloReply
from harness.protocol.wire import RunsOn
from harness.targets import identity
from harness.targets.boards import board
from harness.transport.usb import UsbDevice, probes, usb_devices

HELLO = HelloReply(
    max_payload_bytes=1040, runs_on=RunsOn.CHIP, idcode=0x10006421, build_id=b"\x11" * 20, unique_id=bytes(range(12))
)


def check_identity(hello: HelloReply) -> None:
    nucleo = board("nucleo_f446re")
    identity.check_chip(nucleo, hello.idcode & 0xFFF, "/dev/ttyACM0")
    identity.check_program(nucleo, hello.board, "/dev/ttyACM0")


def rig_of(device: FakeDevice | None = None, **changes: object) -> BoardRig:
    line = FakeTransport(device or FakeDevice(hello=HELLO))
    rig = BoardRig(
        url="/dev/ttyACM0",
        baud=115200,
        wanted_baud=115200,
        has_probe=True,
        serial_number="0669FF01",
        check_identity=check_identity,
        usb=lambda: (),
        our_build=lambda: b"\x11" * 20,
        locate=address_only,
        open_line=lambda _url, _baud: line,
        clock=line.clock,
    )
    return replace(rig, **changes)  # type: ignore[arg-type]


def test_all_is_well() -> None:
    examination = Examination("board nucleo_f446re")
    check_board(examination, rig_of())
    assert [outcome.state for outcome in examination.outcomes] == ["not checked", *["ok"] * 6]
    assert examination.verdict_line == "HEALTHY board nucleo_f446re: 0 findings, 6 ok, 1 not checked (exit 0)"
    assert examination.exit_code == 0


def test_what_rests_on_a_silent_link_is_not_checked() -> None:
    examination = Examination("board nucleo_f446re")
    check_board(examination, rig_of(FakeDevice(faults=Faults(silent=True))))
    states = {outcome.check: outcome.state for outcome in examination.outcomes}
    assert states["link"] == "finding"
    assert {states[name] for name in ("chip", "firmware", "faults", "line")} == {"not checked"}
    assert examination.verdict_line.startswith("FINDING device_silent board nucleo_f446re: 1 finding, ")
    assert examination.verdict_line.endswith("(exit 5)")


def test_the_chip_of_another_board() -> None:
    with pytest.raises(HilError) as error:
        check_chip(rig_of(), replace(HELLO, idcode=0x10006431))
    assert (error.value.code, error.value.exit_code) == ("wrong_board", 6)
    assert "0x431 (STM32F411RE)" in error.value.message
    assert "0x421 (STM32F446RE)" in error.value.message
    assert "--board nucleo_f411re" in error.value.remedy


def test_a_chip_of_no_board_that_we_know() -> None:
    with pytest.raises(HilError) as error:
        check_chip(rig_of(), replace(HELLO, idcode=0x20036413))
    assert "0x413 (STM32F405/407/415/417)" in error.value.message
    assert "--board" not in error.value.remedy


def test_firmware_of_another_board() -> None:
    with pytest.raises(HilError) as error:
        check_chip(rig_of(), replace(HELLO, board="nucleo_f401re"))
    assert (error.value.code, error.value.exit_code) == ("wrong_firmware", 6)
    assert "--board nucleo_f401re" in error.value.remedy


@pytest.mark.parametrize(("change", "why"), [({"runs_on": RunsOn.QEMU}, "qemu"), ({"idcode": 0}, "reads 0")])
def test_no_chip_to_ask(change: dict[str, object], why: str) -> None:
    with pytest.raises(NotChecked, match=why):
        check_chip(rig_of(), replace(HELLO, **change))  # type: ignore[arg-type]


def test_which_build() -> None:
    assert "the same as ours" in check_build(rig_of(), HELLO)
    assert "hil flash" in check_build(rig_of(our_build=lambda: b"\x22" * 20), HELLO)
    assert "not known" in check_build(rig_of(our_build=lambda: None), HELLO)


def test_a_fault_that_happened_earlier() -> None:
    fake = FakeDevice(hello=HELLO, faults=Faults(fault_at=2))
    line = FakeTransport(fake)
    with Device(line, line.clock) as device:
        device.connect()
        with pytest.raises(HilError):
            device.request(Echo())
    fake.faults = Faults()
    examination = Examination("board nucleo_f446re")
    check_board(examination, rig_of(fake))
    (error,) = examination.findings
    assert (error.code, error.exit_code) == ("fault_record", 7)
    assert "fault" in error.message
    assert "0x" in error.message
    line = FakeTransport(fake)
    with Device(line, line.clock) as device:  # it is still there: looking clears nothing
        device.connect()
        with pytest.raises(HilError, match="the device stopped on"):
            check_faults(device, address_only)


def line_of(line: BaudLine, wanted_baud: int) -> str:
    examination = Examination("board nucleo_f446re")
    check_board(
        examination,
        rig_of(wanted_baud=wanted_baud, open_line=lambda _url, _baud: line, clock=line.clock, has_probe=False),
    )
    return next(outcome.text for outcome in examination.outcomes if outcome.check == "line")


def test_the_line_is_looked_at_with_the_baud_of_a_run() -> None:
    line = BaudLine(FakeDevice())
    assert line_of(line, 1_000_000).endswith("none damaged, at 1000000 baud")
    assert line.device.baud == 115200, "and brought back"
    assert "at 115200 baud, since 2000000 baud cannot be had" in line_of(BaudLine(FakeDevice()), 2_000_000)


def test_a_baud_at_which_nothing_comes_back_is_told() -> None:
    line = BaudLine(FakeDevice())
    line.spoil = lambda data: data if line.baud == 115200 else bytes(len(data))
    assert line_of(line, 1_000_000).endswith("at 115200 baud: nothing came back at 1000000")


@pytest.fixture
def plug(tmp_path: Path) -> Callable[..., UsbDevice]:
    """Plug something into the test's own sysfs, which has a hub to begin with."""

    def in_sysfs(vendor: str, product: str, name: str = "", serial: str = "", device_class: str = "00") -> UsbDevice:
        number = len(list(tmp_path.glob("sys/*"))) + 1
        folder = tmp_path / "sys" / f"1-{number}"
        folder.mkdir(parents=True)
        (folder / "1-1:1.0").mkdir()
        content = {"idVendor": vendor, "idProduct": product, "product": name, "serial": serial, "busnum": "1"}
        for file, text in {**content, "devnum": str(number), "bDeviceClass": device_class}.items():
            if text:
                (folder / file).write_text(f"{text}\n")
        node = tmp_path / "dev" / "001" / f"{number:03d}"
        node.parent.mkdir(parents=True, exist_ok=True)
        node.touch()
        return UsbDevice(vendor, product, serial, name, node)

    in_sysfs("1d6b", "0002", "xHCI Host Controller", device_class="09")
    return in_sysfs


def test_usb_devices_and_which_of_them_may_be_probes(plug: Callable[..., UsbDevice], tmp_path: Path) -> None:
    plug("046d", "c077", "Mouse")
    dongle = plug("0483", "3748", "STM32 STLink", "0669FF03")
    jlink = plug("1366", "0101", "J-Link", "000123")
    dfu = plug("0483", "df11", "STM32 BOOTLOADER")
    assert usb_devices(tmp_path / "sys", tmp_path / "dev")[1:] == (dongle, jlink, dfu)
    assert [probe.product for probe in probes(tmp_path / "sys")] == ["3748", "0101", "df11"]
    assert str(dongle) == "0483:3748 ST-LINK/V2, which has no serial port, serial number 0669FF03"
    assert str(jlink) == "1366:0101 SEGGER J-Link, serial number 000123"
    assert "BOOT0" in str(dfu)
    assert usb_devices(tmp_path / "nothing") == ()


def test_a_probe_that_may_be_used(plug: Callable[..., UsbDevice]) -> None:
    probe = plug("0483", "374b", "STM32 STLink", "0669FF01")
    assert "may be used" in check_probe(rig_of(usb=lambda: (probe,)))


def test_a_probe_that_may_not_be_used(plug: Callable[..., UsbDevice], monkeypatch: pytest.MonkeyPatch) -> None:
    probe = plug("0483", "374b", "STM32 STLink", "0669ff01")
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(probe.node))  # root may use any
    with pytest.raises(HilError) as error:
        check_probe(rig_of(usb=lambda: (probe,)))
    assert (error.value.code, error.value.exit_code) == ("probe_permission", 4)
    assert "0669ff01" in error.value.message
    assert 'ATTR{idVendor}=="0483"' in error.value.remedy


def test_a_port_without_a_probe() -> None:
    with pytest.raises(NotChecked, match="no probe"):
        check_probe(rig_of(has_probe=False))
