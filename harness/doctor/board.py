"""Checks of a board: its port, its probe, who answers there, and whether that is the board that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.device import Device
from harness.doctor.line import Clock, OpenLine, examine, line_quality
from harness.doctor.outcomes import Examination, NotChecked
from harness.errors import DeviceError, UsageError
from harness.findings import found
from harness.protocol.faults import Locate, fault_text
from harness.protocol.messages import HelloReply
from harness.protocol.wire import RunsOn
from harness.transport.rights import may_use, owner_of, user_name
from harness.transport.usb import UsbDevice


@dataclass(frozen=True)
class BoardRig:
    """What the checks of a board look at.

    Attributes:
        url: its port.
        baud: to open it with.
        wanted_baud: with which a run goes on.
        has_probe: whether the port is that of a probe.
        serial_number: of its probe; None where there is no probe, or it has no number.
        check_identity: raises a finding where chip or firmware are another board's.
        usb: the USB devices of this machine.
        our_build: the build id of our firmware; None if it is not built.
        locate: where in the sources an address of a program is.
        open_line: opens a port at a baud.
        clock: seconds that only go forward.
    """

    url: str
    baud: int
    wanted_baud: int
    has_probe: bool
    serial_number: str | None
    check_identity: Callable[[HelloReply], None]
    usb: Callable[[], Sequence[UsbDevice]]
    our_build: Callable[[], bytes | None]
    locate: Locate
    open_line: OpenLine
    clock: Clock


def check_board(examination: Examination, rig: BoardRig) -> None:
    """Make all checks of a board whose port is known."""
    examination.check("probe", lambda: check_probe(rig))
    is_open = examination.check("open", lambda: _opens(rig))
    answers: list[HelloReply] = []

    def link() -> str:
        if not is_open:
            raise NotChecked(f"{rig.url} cannot be opened")
        answers.append(examine(rig.url, rig.baud, rig.open_line, rig.clock))
        hello = answers[0]
        return f"our firmware answers at {rig.baud} baud, protocol {hello.protocol_major}.{hello.protocol_minor}"

    examination.check("link", link)

    def of_the_answer(look: Callable[[HelloReply], str]) -> Callable[[], str]:
        def checked() -> str:
            if not answers:
                raise NotChecked("our firmware does not answer")
            return look(answers[0])

        return checked

    examination.check("chip", of_the_answer(lambda hello: check_chip(rig, hello)))
    examination.check("firmware", of_the_answer(lambda hello: check_build(rig, hello)))
    examination.check("faults", of_the_answer(lambda _: _faults(rig)))
    examination.check("line", of_the_answer(lambda _: _line(rig)))


def check_probe(rig: BoardRig) -> str:
    """Whether this user may use the board's probe.

    Raises:
        HilError: the finding that they may not.
        NotChecked: there is no probe, or nothing is known of it.
    """
    if not rig.has_probe:
        raise NotChecked(f"{rig.url} belongs to no probe, so nothing can be flashed there")
    numbers = [device for device in rig.usb() if device.serial_number.upper() == (rig.serial_number or "").upper()]
    probes = [device for device in numbers if device.kind]
    if not probes or not probes[0].node.exists():
        raise NotChecked("this system does not say whose the probe is")
    probe = probes[0]
    if not may_use(str(probe.node)):
        owner = f" ({probe.node} belongs to {owner_of(str(probe.node))})"
        raise found("probe_permission", probe=f"the probe {probe}", user=user_name(), owner=owner)
    return f"{probe} may be used"


def check_chip(rig: BoardRig, hello: HelloReply) -> str:
    """Whether chip and firmware are those of the board that was asked for.

    Raises:
        HilError: the finding that they are another's.
        NotChecked: an emulator is behind the port, or the chip does not say what it is.
    """
    rig.check_identity(hello)
    if hello.runs_on != RunsOn.CHIP:
        raise NotChecked(f"what answers says that it runs on {hello.runs_on.name.lower()}, no chip")
    if not hello.idcode:
        raise NotChecked("the chip does not say what it is: DBGMCU_IDCODE reads 0")
    return f"device id 0x{hello.idcode & 0xFFF:03x}, unique id {hello.unique_id.hex()}"


def check_build(rig: BoardRig, hello: HelloReply) -> str:
    """Which build runs there. Another one than ours is no finding: a run flashes the board, or says so in a note."""
    ours, theirs = rig.our_build(), hello.build_id.hex()[:12]
    if ours is None:
        return f"build {theirs}; ours is not built here, so it is not known whether they are the same"
    if ours == hello.build_id:
        return f"build {theirs}, the same as ours"
    return f"build {theirs}, and ours is {ours.hex()[:12]}: `hil flash` puts it there"


def _opens(rig: BoardRig) -> str:
    rig.open_line(rig.url, rig.baud).close()
    return f"{rig.url} opens, for us alone"


def _faults(rig: BoardRig) -> str:
    with _greeted(rig) as device:
        return check_faults(device, rig.locate)


def check_faults(device: Device, locate: Locate) -> str:
    """Whether a device keeps the record of a fault. It stays as it is.

    Raises:
        HilError: the finding that it does.
    """
    fault = device.read_fault()
    if fault is None:
        return "no record of a fault"
    raise found("fault_record", text=fault_text(fault, locate))


def _line(rig: BoardRig) -> str:
    with _greeted(rig) as device:
        at = _at_wanted_baud(device, rig)
        return f"{line_quality(device, rig.url)}, {at}"


def _at_wanted_baud(device: Device, rig: BoardRig) -> str:
    """Go to the baud with which a run goes on; which one it is, and why if it is another."""
    if rig.wanted_baud == rig.baud:
        return f"at {rig.baud} baud"
    try:
        baud = device.set_baud(rig.wanted_baud)
    except (UsageError, DeviceError) as error:
        return f"at {rig.baud} baud, since {error.message}"
    return f"at {baud} baud" + ("" if baud == rig.wanted_baud else f": nothing came back at {rig.wanted_baud}")


def _greeted(rig: BoardRig) -> Device:
    device = Device(rig.open_line(rig.url, rig.baud), rig.clock)
    try:
        device.connect()
    except BaseException:
        device.close()
        raise
    return device
