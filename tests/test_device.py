"""The device's clock and retries, against a device that misbehaves. No real time passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.device import FIRST_TIMEOUT_S, MAX_ATTEMPTS, MOST_BUSY_S, Call, Device, Timing
from harness.errors import DeviceFault, DeviceReset, LinkClosed, LinkTimeout, MismatchError
from harness.fake import FakeDevice, FakeTransport, Faults
from harness.protocol.framing import encode_frame
from harness.protocol.messages import Busy, Echo, Log, Run
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import PROTOCOL_MAJOR, REPLY_BIT, MessageType


def greeted(**options: Any) -> tuple[Device, FakeTransport]:
    """A greeted device; faults begin after the greeting."""
    faults = options.pop("faults", Faults())
    line = FakeTransport(FakeDevice(**options))
    device = Device(line, line.clock)
    device.connect()
    line.device.faults = faults
    return device, line


def test_a_lost_reply_is_asked_for_again_with_the_same_bytes() -> None:
    device, line = greeted(faults=Faults(drop_every=2))
    assert device.request(Echo(data=b"x")).data == b"x"
    assert line.device.heard[1] == line.device.heard[2]
    assert len(line.device.heard) == 3
    assert device.link_counters.repeats == 1


def test_nothing_is_worked_on_twice_however_much_is_lost() -> None:
    device, line = greeted(faults=Faults(drop_every=2, corrupt_every=3))
    for number in range(50):
        assert device.request(Echo(data=bytes([number]))).data == bytes([number])
    assert line.device.worked_on == 51
    assert len(line.device.heard) > 100
    assert device.link_counters.bad_frames > 10


def test_waits_are_doubled_and_bounded() -> None:
    device, line = greeted(faults=Faults(silent=True))
    start_s = line.now_s
    with pytest.raises(LinkTimeout, match="no answer to Echo") as timeout:
        device.request(Echo())
    assert len(line.device.heard) == 1 + MAX_ATTEMPTS
    assert line.now_s - start_s == pytest.approx(FIRST_TIMEOUT_S * (1 + 2 + 4 + 7 * 8), rel=0.07)
    assert "loose cable" in timeout.value.remedy


def test_whoever_brings_his_own_waits_gives_up_sooner() -> None:
    line = FakeTransport(FakeDevice(faults=Faults(mute_for=2)))
    timing = Timing(first_timeout_s=0.01, greeting_interval_s=0.003, is_paced=False)
    ids = iter((7, 8))
    device = Device(line, line.clock, timing=timing, session_id=lambda: next(ids))
    device.connect()
    assert line.now_s == pytest.approx(2 * 0.003, abs=0.002)
    assert line.device.heard[-1].header.session == 8
    line.device.faults = Faults(silent=True)
    start_s = line.now_s
    with pytest.raises(LinkTimeout):
        device.request(Echo())
    assert line.now_s - start_s == pytest.approx(timing.given_up_s)


def test_working_means_wait_on() -> None:
    device, line = greeted(run=lambda request, image: b"1234", image=b"an image", faults=Faults(working=40))
    assert device.request(Run(steps=1)).data == b"1234"
    assert device.link_counters.repeats == 40
    assert line.device.worked_on == 2


class ErasingTransport(FakeTransport):
    """A line to a device that erases flash before it answers: it says so, and then is deaf for `busy_s`."""

    busy_s = 7.1
    deaf_until_s = 0.0
    _held = b""

    def write(self, data: bytes) -> None:
        assert self.deaf_until_s <= self.now_s, "sent while the device is deaf"
        heard = len(self.device.heard)
        self._held += self.device.receive(data)
        if len(self.device.heard) > heard and self.device.heard[-1].header.type == MessageType.HELLO:
            self._pending, self._held = self._held, b""
            return
        self.deaf_until_s = self.now_s + self.busy_s
        header = replace(self.device.heard[-1].header, type=MessageType.BUSY | REPLY_BIT)
        self._pending = encode_frame(header, Busy(busy_ms=int(self.busy_s * 1000)).pack())

    def read(self, timeout_s: float) -> bytes:
        if not self._pending and self.now_s < self.deaf_until_s <= self.now_s + timeout_s:
            self.now_s, self._pending, self._held = self.deaf_until_s, self._held, b""
        return super().read(timeout_s)


def test_nothing_is_sent_while_the_device_is_busy() -> None:
    line = ErasingTransport(FakeDevice())
    device = Device(line, line.clock)
    device.connect()
    assert device.request(Echo(data=b"x")).data == b"x"
    assert device.link_counters.repeats == 0
    assert line.now_s == pytest.approx(7.1, abs=0.1)


def test_a_device_that_is_busy_for_ever_is_given_up() -> None:
    line = ErasingTransport(FakeDevice())
    line.busy_s = 4e6
    device = Device(line, line.clock)
    device.connect()
    with pytest.raises(AssertionError, match="sent while"):
        device.request(Echo())
    assert line.now_s == pytest.approx(MOST_BUSY_S, abs=1)


def test_noise_is_survived_and_told() -> None:
    device, line = greeted()
    line.read(0)
    line._pending = b"\x11\x22noise\x00"
    device.request(Echo())
    assert device.link_counters.bad_frames == 1


def test_a_silent_line_and_a_babbling_one_read_differently() -> None:
    silent = FakeTransport(FakeDevice(faults=Faults(silent=True)))
    with pytest.raises(LinkTimeout) as timeout:
        Device(silent, silent.clock).connect(timeout_s=3)
    assert timeout.value.code == "device_silent"
    assert "power" in timeout.value.remedy
    babbling = FakeTransport(FakeDevice(faults=Faults(babble=b"\x55\xaa\x55\x00")))
    with pytest.raises(LinkTimeout, match="55 aa 55") as timeout:
        Device(babbling, babbling.clock).connect(timeout_s=3)
    assert timeout.value.code == "no_frames"
    assert "baud" in timeout.value.remedy


def test_another_firmware_is_shown_by_what_it_says() -> None:
    line = FakeTransport(FakeDevice(faults=Faults(babble=b"Hello World!\r\n")))  # no zero, so not even a bad frame
    with pytest.raises(LinkTimeout, match="Hello World"):
        Device(line, line.clock).connect(timeout_s=3)


def test_a_greeting_that_took_all_the_time_to_write_is_listened_to() -> None:
    class SlowWrites(FakeTransport):
        def write(self, data: bytes) -> None:
            super().write(data)
            self.now_s += 3

    line = SlowWrites(FakeDevice())
    Device(line, line.clock).connect(timeout_s=2)
    assert len(line.device.heard) == 1


def test_a_device_that_boots_late_is_greeted_in_the_end() -> None:
    line = FakeTransport(FakeDevice(faults=Faults(mute_for=20)))
    assert Device(line, line.clock).connect().arena_bytes == 118000


@pytest.mark.parametrize("major", [PROTOCOL_MAJOR - 1, PROTOCOL_MAJOR + 1])
def test_another_protocol_is_named_with_both_versions(major: int) -> None:
    line = FakeTransport(FakeDevice(protocol=(major, 7)))
    with pytest.raises(MismatchError, match=rf"protocol {major}\.7, this hil {PROTOCOL_MAJOR}\."):
        Device(line, line.clock).connect()


def test_a_device_that_answers_any_version_is_not_believed() -> None:
    class Agreeable(FakeDevice):
        def _greet(self, frame: Any) -> bytes:
            self._session = frame.header.session
            return self._take_on(frame)

    line = FakeTransport(Agreeable(protocol=(PROTOCOL_MAJOR + 1, 0)))
    with pytest.raises(MismatchError, match="protocol"):
        Device(line, line.clock).connect()


def test_a_later_minor_version_is_fine() -> None:
    line = FakeTransport(FakeDevice(protocol=(PROTOCOL_MAJOR, 99)))
    assert Device(line, line.clock).connect().protocol_minor == 99


def test_a_restart_in_the_middle_is_noticed() -> None:
    device, _ = greeted(faults=Faults(reset_at=3))
    device.request(Echo())
    with pytest.raises(DeviceReset):
        device.request(Echo())


def test_a_wrong_reply_is_the_firmwares_fault() -> None:
    device, _ = greeted(faults=Faults(wrong_type=0x91))
    with pytest.raises(MismatchError, match="0x91"):
        device.request(Echo())


def test_a_fault_in_the_middle_of_a_session_is_told_at_once() -> None:
    device, line = greeted(faults=Faults(fault_at=2))
    start_s = line.now_s
    with pytest.raises(DeviceFault, match="division by zero"):
        device.request(Echo())
    assert line.now_s - start_s < 0.1, "long before the request is repeated"


def test_a_fault_is_told_with_its_place_in_the_source() -> None:
    line = FakeTransport(FakeDevice(faults=Faults(fault_at=2)))
    device = Device(line, line.clock, locate=lambda build_id, address: f"<{address:x}>")
    device.connect()
    with pytest.raises(DeviceFault, match="at <8001234>, called from <8000fff>"):
        device.request(Echo())


@pytest.mark.parametrize("lost", [2, 3])
def test_a_lost_fault_frame_is_told_again_at_the_next_request(lost: int) -> None:
    """What tells of the fault is lost, and what answers the first repeats too."""
    device, _ = greeted(faults=Faults(fault_at=2, mute_for=lost))
    with pytest.raises(DeviceFault):
        device.request(Echo())


def test_the_record_stays_until_it_is_cleared() -> None:
    device, line = greeted(faults=Faults(fault_at=2))
    with pytest.raises(DeviceFault):
        device.request(Echo())
    device.connect()
    assert device.read_fault() is not None
    device.connect()
    fault = device.read_fault()
    assert fault is not None
    line.device.faults = Faults(fault_at=len(line.device.heard) + 1)
    with pytest.raises(DeviceFault):
        device.clear_fault(fault)
    line.device.faults = Faults()
    device.connect()
    device.clear_fault(fault)
    newer = device.read_fault()
    assert newer is not None
    assert newer.count == 2, "what was not read is not cleared"
    device.clear_fault(newer)
    device.connect()
    assert device.read_fault() is None


def test_a_device_that_only_faults_says_so() -> None:
    class FaultingAgain(FakeDevice):
        def receive(self, data: bytes) -> bytes:
            self.faults = Faults(fault_at=len(self.heard) + 1)
            return super().receive(data)

    line = FakeTransport(FaultingAgain())
    with pytest.raises(DeviceFault, match="faults since a record was last cleared"):
        Device(line, line.clock).connect()


def test_logs_are_handed_on_as_they_come() -> None:
    line = FakeTransport(FakeDevice(to_log=[Log(number=1), Log(number=2)]))
    heard: list[Log] = []
    device = Device(line, line.clock, on_log=heard.append)
    device.connect()
    line.device.to_log = [Log(number=3)]
    assert device.request(Echo(data=b"x")).data == b"x"
    device.request(Echo())
    assert [log.number for log in heard] == [1, 2, 3]


def test_an_older_firmware_of_this_protocol_can_be_asked_what_it_is() -> None:
    class Older(FakeDevice):
        def _frame(self, request: Any, message: Any) -> bytes:
            payload = message.pack()[: message.LEAST_BYTES or None]
            return encode_frame(replace(request.header, type=message.TYPE | REPLY_BIT), payload)

    line = FakeTransport(Older())
    device = Device(line, line.clock)
    info = device.connect()
    assert (info.version, info.reset_cause, info.fault_crc32) == ("fake", 0, 0)
    assert device.read_fault() is None
    assert device.counters().logs_dropped == 0


class Unplugged(FakeTransport):
    """A line that is gone from some byte on."""

    is_gone = False

    def write(self, data: bytes) -> None:
        if self.is_gone:
            raise LinkClosed("unplugged")
        super().write(data)


def test_a_line_that_is_back_leads_to_the_same_device() -> None:
    line = Unplugged(FakeDevice())
    device = Device(line, line.clock, reopen=lambda: FakeTransport(line.device))
    device.connect()
    line.is_gone = True
    with pytest.raises(LinkClosed) as closed:
        device.request(Echo())
    device.recover(closed.value)
    assert device.request(Echo(data=b"x")).data == b"x"
    assert device.link_counters.recoveries == 1
    assert device.link_counters.bytes_sent > 0


@pytest.mark.parametrize("other", [{"unique_id": b"\1" * 12}, {"build_id": b"\1" * 20}])
def test_another_device_where_the_line_was_lost_is_a_mismatch(other: dict[str, bytes]) -> None:
    line = Unplugged(FakeDevice())
    hello = replace(line.device.hello, **other)  # type: ignore[arg-type]
    device = Device(line, line.clock, reopen=lambda: FakeTransport(FakeDevice(hello=hello)))
    device.connect()
    with pytest.raises(MismatchError) as mismatch:
        device.recover(LinkClosed("unplugged"))
    assert mismatch.value.code == "another_device"


def test_there_is_no_way_back_from_the_end_of_a_process_nor_from_a_fault() -> None:
    device, _ = greeted()
    for error in (LinkClosed("gone"), DeviceFault("a division by zero")):
        with pytest.raises(type(error)) as same:
            device.recover(error)
        assert same.value is error


def test_several_requests_are_under_way_and_their_replies_come_in_order() -> None:
    device, line = greeted(faults=Faults(drop_every=3, corrupt_every=5))
    replies: list[bytes] = []
    device.exchange((Echo(data=bytes([number])), lambda reply: replies.append(reply.data)) for number in range(100))
    assert replies == [bytes([number]) for number in range(100)]
    assert line.device.worked_on == 101


def test_what_is_lost_is_asked_for_before_any_time_is_up() -> None:
    device, line = greeted(faults=Faults(drop_every=10))
    replies: list[bytes] = []
    device.exchange((Echo(data=bytes([number])), lambda reply: replies.append(reply.data)) for number in range(95))
    assert len(replies) == 95
    assert device.link_counters.repeats >= 9
    assert line.now_s < FIRST_TIMEOUT_S


def test_a_refusal_ends_an_exchange_and_leaves_the_session_usable() -> None:
    device, line = greeted()
    replies: list[bytes] = []
    calls: list[Call] = [(Echo(data=b"a"), lambda reply: replies.append(reply.data)), (Run(steps=1), replies.append)]
    calls += [(Echo(data=b"b"), lambda reply: replies.append(reply.data)) for _ in range(5)]
    with pytest.raises(DeviceRefused):
        device.exchange(calls)
    assert replies == [b"a"], "nothing behind the refusal"
    assert device.request(Echo(data=b"c")).data == b"c"
    assert line.device.worked_on < 6, "what had not been sent is not sent any more"


def test_one_by_one_leaves_the_line_alone_until_the_answer() -> None:
    device, line = greeted(run=lambda request, image: b"", image=b"an image", faults=Faults(working=3))
    heard_before: list[int] = []
    device.exchange([(Run(steps=1), lambda _: heard_before.append(len(line.device.heard)))] * 2, one_by_one=True)
    assert [frame.header.sequence for frame in line.device.heard[1:]] == [2] * 4 + [3] * 4


def test_a_restart_behind_which_there_is_a_fault_is_no_way_back() -> None:
    device, _ = greeted(faults=Faults(fault_at=2))
    with pytest.raises(DeviceFault):
        device.request(Echo())
    with pytest.raises(DeviceFault, match="division by zero"):
        device.recover(DeviceReset("the frame that told of the fault was lost"))
    device.clear_fault(device.read_fault() or pytest.fail("it stays until somebody has told of it"))
    device.connect()
    device.recover(DeviceReset("a power dip"))
    assert device.link_counters.recoveries == 1
