"""SET_BAUD on the firmware itself. Whether bytes really come at a baud, only the simulated line of native tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from harness.build.native import native_executable
from harness.build.paths import work_dir
from harness.device import Device
from harness.errors import BuildFailed, DeviceReset, LinkTimeout, UsageError
from harness.protocol.baud import is_possible, real_baud
from harness.protocol.messages import Echo, Reset, SetBaud
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import BOOT_BAUD, ErrorCode
from harness.targets.native import NativeTarget
from harness.transport.base import Transport
from harness.transport.fault_rates import parse_faults
from harness.transport.faulty import FaultyTransport
from harness.transport.paced import NOT_SENT_YET, PacedTransport, VirtualTime
from harness.workbench import Workbench

WANTED = (
    *(0, 1, 243, 245, 686, 688, 9600, 115_200, 230_400, 460_800, 921_600, 999_999, 1_000_000),
    *(1_500_000, 1_500_001, 2_000_000, 2**32 - 1),
)


def test_the_firmware_has_the_host_s_arithmetic(hil_kind: str, hil_workbench: Workbench) -> None:
    if hil_kind == "board":
        pytest.skip("the line would be lost: Device.set_baud is for that")
    device = hil_workbench.device()
    clock_hz = device.info.uart_clock_hz
    for baud in WANTED:
        real = int((real_baud(clock_hz, baud) or 0) + 0.5)
        if is_possible(clock_hz, baud):
            assert device.request(SetBaud(baud=baud)).baud == real
        else:
            with pytest.raises(DeviceRefused) as refused:
                device.request(SetBaud(baud=baud))
            reply = refused.value.reply
            assert (reply.code, reply.detail, reply.detail2) == (ErrorCode.BAD_BAUD, real, clock_hz)
    assert device.request(Echo(data=b"on")).data == b"on"
    if clock_hz:
        device.request(SetBaud(baud=BOOT_BAUD))


def test_a_line_without_baud_is_not_asked(hil_kind: str, hil_workbench: Workbench) -> None:
    if hil_kind in ("board", "renode"):
        pytest.skip("its line is a serial port")
    with pytest.raises(UsageError, match="this line has no baud"):
        hil_workbench.device().set_baud(921600)


class Rig:
    """The native firmware on a line where both ends have a baud, in virtual time."""

    def __init__(self) -> None:
        self.target = NativeTarget(native_executable(), work_dir() / "logs" / "native-baud.log")
        self.target.give_baud()
        self.time = VirtualTime(self.target.is_settled)
        self.line = PacedTransport(self.target.start(), BOOT_BAUD, self.time, device_baud=self.target.baud_of)

    @property
    def device_baud(self) -> int:
        return self.target.baud_of(NOT_SENT_YET)

    def device(self, line: Transport | None = None) -> Device:
        device = Device(self.line if line is None else line, self.time.now_s)
        device.connect()
        return device

    def new_host(self) -> Device:
        """As one that opens the port anew, and knows nothing."""
        self.line.set_baud(BOOT_BAUD)
        start_s = self.time.now_s()
        device = self.device()
        assert self.time.now_s() - start_s < 3
        assert self.device_baud == BOOT_BAUD
        return device

    def close(self) -> None:
        self.line.close()
        self.target.stop()


@pytest.fixture
def rig() -> Iterator[Rig]:
    try:
        rig = Rig()
    except BuildFailed as error:
        pytest.skip(f"needs the native firmware: {error.message}")
    yield rig
    rig.close()


@pytest.mark.parametrize("baud", [230_400, 921_600, 1_000_000, 1_500_000])
def test_the_firmware_goes_along(rig: Rig, baud: int) -> None:
    device = rig.device()
    assert device.set_baud(baud) == baud
    assert rig.device_baud == rig.line.baud == baud
    start_s = rig.time.now_s()
    assert device.request(Echo(data=bytes(1000))).data == bytes(1000)
    assert rig.time.now_s() - start_s == pytest.approx(2 * 10_200 / baud + 0.002, rel=0.1)
    assert device.link_counters.bad_frames == 0
    assert device.link_counters.repeats == 0


def test_a_new_host_finds_it(rig: Rig) -> None:
    rig.device().set_baud(1_500_000)
    device = rig.new_host()
    assert device.request(Echo(data=b"x")).data == b"x"
    assert device.set_baud(921_600) == 921_600


def test_a_restart_is_seen_at_another_baud(rig: Rig) -> None:
    device = rig.device()
    device.set_baud(1_000_000)
    other = rig.device()  # takes the session over, at the same baud, and restarts the device
    other.request(Reset())
    assert rig.device_baud == BOOT_BAUD
    with pytest.raises(DeviceReset):
        other.request(Echo())
    assert other.baud == BOOT_BAUD
    other.connect()
    assert other.reset().baud == BOOT_BAUD


def test_a_reset_ends_at_the_baud_of_the_boot(rig: Rig) -> None:
    device = rig.device()
    device.set_baud(1_500_000)
    start_s = rig.time.now_s()
    assert device.reset().baud == device.baud == BOOT_BAUD
    assert rig.time.now_s() - start_s < 0.2


def test_the_session_goes_on_when_the_device_has_fallen_back(rig: Rig) -> None:
    device = rig.device()
    device.set_baud(921_600)
    rig.line.set_baud(230_400)  # a line that turned bad
    start_s = rig.time.now_s()
    assert device.request(Echo(data=b"on")).data == b"on"
    assert device.baud == rig.device_baud == BOOT_BAUD
    assert rig.time.now_s() - start_s < 5


@pytest.mark.parametrize("seed", range(4))
def test_they_meet_again_over_a_line_that_errs(rig: Rig, seed: int) -> None:
    def unused(line: Transport) -> None:
        raise AssertionError("no resets here")

    rates = parse_faults("bits=3e-4,drop=1e-3,duplicate=1e-3,truncate=0.1")
    line = FaultyTransport(rig.line, rates, seed, reset=unused, clock=rig.time.now_s, sleep=lambda _: None)
    device = rig.device(line)
    line.begin(0, 1)
    with suppress(LinkTimeout):
        for baud in (921_600, 1_500_000, 230_400):
            assert device.set_baud(baud) == line_baud(rig)
    line.end()
    assert sum(line.injected.values()) > 0
    device = rig.new_host()
    assert device.request(Echo(data=b"x")).data == b"x"


def line_baud(rig: Rig) -> int:
    """The baud of both ends, which is one."""
    assert rig.line.baud == rig.device_baud
    return rig.line.baud
