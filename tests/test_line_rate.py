"""Changes of the baud on a line that fails: whatever is lost, both ends meet again. No real time passes."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from baud_line import BaudLine, Dies, MortalHost
from harness.device import Device
from harness.errors import DeviceReset, LinkTimeout, UsageError
from harness.fake import FakeDevice, FakeTransport, Faults
from harness.protocol.messages import Echo, HelloReply
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import BAUD_FALLBACK_BYTES, BOOT_BAUD, MAX_PAYLOAD_BYTES, ErrorCode

BAUDS = (230_400, 921_600, 1_000_000, 1_500_000)
GIVEN_UP_S = 31.5 + 6.0
"""When a request is given up, with up to four calls of 0.7 s and the time on the line."""


def greeted(line: BaudLine) -> Device:
    device = Device(line, line.clock)
    device.connect()
    return device


@pytest.mark.parametrize("baud", BAUDS)
def test_both_go_and_come_back(baud: int) -> None:
    line = BaudLine(FakeDevice())
    device = greeted(line)
    assert device.set_baud(baud) == device.baud == line.baud == line.device.baud == baud
    assert device.request(Echo(data=b"there")).data == b"there"
    assert device.link_counters.repeats == 0
    assert device.link_counters.bad_frames == 0
    assert device.set_baud(BOOT_BAUD) == BOOT_BAUD
    assert device.request(Echo(data=b"back")).data == b"back"


def test_what_the_clock_cannot_give_is_not_asked_for() -> None:
    line = BaudLine(FakeDevice())
    device = greeted(line)
    heard = len(line.device.heard)
    with pytest.raises(UsageError, match=r"2000000 baud cannot be had: .* -2.17% off") as refused:
        device.set_baud(2_000_000)
    assert refused.value.code == "baud_impossible"
    assert "1500000" in refused.value.remedy
    assert len(line.device.heard) == heard
    assert (line.baud, line.device.baud) == (BOOT_BAUD, BOOT_BAUD)


def test_a_line_without_baud_says_so() -> None:
    line = FakeTransport(FakeDevice())
    device = Device(line, line.clock)
    device.connect()
    with pytest.raises(UsageError, match="this line has no baud"):
        device.set_baud(921_600)


def test_a_device_that_refuses_stays() -> None:
    announced = HelloReply(max_payload_bytes=MAX_PAYLOAD_BYTES, uart_clock_hz=45_000_000, baud=BOOT_BAUD)
    line = BaudLine(FakeDevice(hello=announced))
    device = greeted(line)
    line.device.hello = HelloReply(uart_clock_hz=16_000_000)
    with pytest.raises(DeviceRefused, match="can at best do 941176 baud") as refused:
        device.set_baud(921_600)
    assert refused.value.reply.code == ErrorCode.BAD_BAUD
    assert line.baud == line.device.baud == BOOT_BAUD
    assert device.request(Echo(data=b"on")).data == b"on"


def test_a_port_that_has_not_this_baud_ends_where_both_began() -> None:
    class OldPort(BaudLine):
        def set_baud(self, baud: int) -> None:
            if baud > 230_400:
                raise UsageError("this port has no such baud")
            super().set_baud(baud)

    line = OldPort(FakeDevice())
    device = greeted(line)
    with pytest.raises(UsageError, match="no such baud"):
        device.set_baud(921_600)
    assert line.device.baud == BOOT_BAUD
    assert device.request(Echo(data=b"on")).data == b"on"


@pytest.mark.parametrize("to_device", [True, False], ids=["to the device", "to the host"])
def test_a_baud_at_which_a_direction_is_dead_is_given_up(to_device: bool) -> None:
    device = FakeDevice()
    line = BaudLine(device)
    is_dead = False

    def spoil(data: bytes) -> bytes:
        return b"\x55" * len(data) if is_dead and device.baud == line.baud == 1_500_000 else data

    greeted_device = greeted(line)
    line.spoil = spoil
    if not to_device:
        heard = device.receive
        device.receive = lambda data: spoil(heard(data)) if device.baud == 1_500_000 else heard(data)  # type: ignore[method-assign]
    is_dead = True
    start_s = line.now_s
    assert greeted_device.set_baud(1_500_000) == BOOT_BAUD
    assert line.baud == device.baud == BOOT_BAUD
    assert line.now_s - start_s < 5
    assert greeted_device.request(Echo(data=b"on")).data == b"on", "the session goes on"
    assert len({frame.header.session for frame in device.heard}) == 1


@pytest.mark.parametrize("seed", range(200))
def test_however_much_is_lost_they_meet_again(seed: int) -> None:
    random = Random(seed)
    loss = random.choice((0.02, 0.1, 0.3, 0.6))
    is_lossy = True

    def spoil(data: bytes) -> bytes:
        if not is_lossy or random.random() >= loss:
            return data
        at = random.randrange(len(data)) if data else 0
        return random.choice((b"", data[:at], data[:at] + b"\xff" + data[at + 1 :]))

    line = BaudLine(FakeDevice(), seed=seed)
    device = greeted(line)
    line.spoil = spoil
    start_s = line.now_s
    requests = 0
    with suppress(LinkTimeout):
        for _ in range(4):
            requests += 2  # SET_BAUD and ECHO
            baud = device.set_baud(random.choice(BAUDS))
            assert baud == line.baud == device.baud
            requests += 1
            device.request(Echo(data=bytes(random.randrange(200))))
    assert line.now_s - start_s < requests * GIVEN_UP_S
    is_lossy = False
    new = Device(line, line.clock)
    line.baud = BOOT_BAUD  # as a new host opens it
    start_s = line.now_s
    new.connect(timeout_s=5)
    assert new.request(Echo(data=b"x")).data == b"x"
    assert new.set_baud(921_600) == 921_600


@pytest.mark.parametrize("uses", range(30))
def test_a_new_host_finds_the_device_wherever_the_last_one_died(uses: int) -> None:
    line = BaudLine(FakeDevice())
    greeted(line)
    host = Device(MortalHost(line, uses), line.clock)
    with suppress(Dies):
        host.connect()
        for baud in BAUDS:
            host.set_baud(baud)
            host.request(Echo())
        raise AssertionError("it did not die: use more")
    line.baud = BOOT_BAUD
    start_s = line.now_s
    new = Device(line, line.clock)
    new.connect(timeout_s=5)
    assert line.now_s - start_s < 3
    assert line.device.baud == BOOT_BAUD
    assert new.request(Echo(data=b"x")).data == b"x"


@pytest.mark.parametrize("reset_at", range(1, 8))
def test_a_restart_in_the_middle_is_seen_and_survived(reset_at: int) -> None:
    line = BaudLine(FakeDevice())
    device = greeted(line)
    line.device.faults = Faults(reset_at=reset_at + 1)

    def talk() -> None:
        for baud in BAUDS:
            device.set_baud(baud)
            device.request(Echo())

    with pytest.raises(DeviceReset):
        talk()
    device.connect(timeout_s=5)
    assert device.set_baud(1_000_000) == 1_000_000


def test_a_host_that_calls_in_vain_changes_nothing() -> None:
    """A device that is merely late gets zeros, which are borders of frames."""
    line = BaudLine(FakeDevice(faults=Faults(mute_for=40)))
    device = greeted(line)
    assert line.device.baud == BOOT_BAUD
    assert device.counters().framing_errors == 0


def test_a_host_without_our_call_is_heard_as_well() -> None:
    line = BaudLine(FakeDevice())
    device = greeted(line)
    device.set_baud(1_000_000)
    line.baud = BOOT_BAUD
    line.write(b"AT\r\n" * (BAUD_FALLBACK_BYTES // 4))
    assert line.device.baud == BOOT_BAUD


def test_a_device_that_talks_stays_where_it_is() -> None:
    line = BaudLine(FakeDevice())
    device = greeted(line)
    device.set_baud(1_000_000)
    for _ in range(40):
        device.request(Echo(data=bytes(1000)))
        line.device.receive(bytes([1]) * (BAUD_FALLBACK_BYTES - 1100))
    assert line.device.baud == 1_000_000


@pytest.mark.parametrize("lost", range(24))
def test_whatever_single_piece_is_lost_the_baud_is_changed_or_given_up(lost: int) -> None:
    """Pieces in the order of the line: SET_BAUD, its reply, then those of the echo there and back."""
    count = 0

    def spoil(data: bytes) -> bytes:
        nonlocal count
        count += 1
        return b"" if count == lost + 1 else data

    line = BaudLine(FakeDevice())
    device = greeted(line)
    line.spoil = spoil
    baud = device.set_baud(921_600)
    assert baud == line.baud == line.device.baud
    assert baud == 921_600, "one loss is no reason to give it up"
    assert device.request(Echo(data=b"on")).data == b"on"


def test_a_lost_answer_is_looked_for_at_the_new_baud() -> None:
    """The device has gone there already; its repeated answer is heard there, and nobody is called back."""
    count = 0

    def spoil(data: bytes) -> bytes:
        nonlocal count
        count += 1
        return b"" if count == 2 else data

    line = BaudLine(FakeDevice())
    device = greeted(line)
    line.spoil = spoil
    start_s = line.now_s
    assert device.set_baud(921_600) == 921_600
    assert line.now_s - start_s < 2


def test_a_call_that_is_not_heard_whole_is_repeated() -> None:
    to_lose = 3000

    def spoil(data: bytes) -> bytes:
        nonlocal to_lose
        if data.strip(b"\0"):
            return data
        to_lose -= len(data)
        return b"" if to_lose > 0 else data

    line = BaudLine(FakeDevice())
    device = greeted(line)
    device.set_baud(921_600)
    line.baud = 230_400
    line.spoil = spoil
    assert device.request(Echo()).data == b""
    assert device.baud == line.device.baud == BOOT_BAUD
