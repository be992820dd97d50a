"""The device's clock and retries, against a line whose other end is played by the test. No real time passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.device import FIRST_TIMEOUT_S, MAX_ATTEMPTS, Device
from harness.errors import LinkTimeout
from harness.protocol.framing import Frame, FrameDecoder, encode_frame
from harness.protocol.messages import Echo, EchoReply, Header, HelloReply, Message, Working
from harness.protocol.wire import MessageType


class PlayedLine:
    """A transport: `answer` decides what comes back for each frame; waiting moves the clock."""

    def __init__(self, answer: Callable[[Frame], list[Message | bytes]]) -> None:
        self.now_s = 0.0
        self.sent: list[Frame] = []
        self._answer = answer
        self._decoder = FrameDecoder()
        self._pending = b""

    def clock(self) -> float:
        return self.now_s

    def write(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            assert isinstance(frame, Frame)
            self.sent.append(frame)
            for item in self._answer(frame):
                self._pending += item if isinstance(item, bytes) else reply_frame(frame, item)

    def read(self, timeout_s: float) -> bytes:
        data, self._pending = self._pending, b""
        self.now_s += 0.001 if data else timeout_s
        return data

    def close(self) -> None:
        pass


def reply_frame(request: Frame, message: Message) -> bytes:
    header = request.header
    reply = Header(type=message.TYPE | 0x80, sequence=header.sequence, session=header.session)
    return encode_frame(reply, message.pack())


def hello() -> HelloReply:
    return HelloReply(protocol_major=1, max_payload_bytes=1040, arena_bytes=118000, baud=115200)


def connected(answer: Callable[[Frame, int], list[Message | bytes]]) -> tuple[Device, PlayedLine]:
    """A greeted device; `answer` gets each later frame and how often a frame came since the greeting."""
    count = 0

    def play(frame: Frame) -> list[Message | bytes]:
        nonlocal count
        if frame.header.type == MessageType.HELLO:
            return [hello()]
        count += 1
        return answer(frame, count)

    line = PlayedLine(play)
    device = Device(line, line.clock)
    device.connect()
    return device, line


def test_a_lost_reply_is_asked_for_again_with_the_same_bytes() -> None:
    device, line = connected(lambda frame, count: [] if count < 3 else [EchoReply(data=b"x")])
    assert device.request(Echo(data=b"x")).data == b"x"
    assert line.sent[1] == line.sent[2] == line.sent[3]
    assert device.link_counters.repeats == 2


def test_waits_are_doubled_and_bounded() -> None:
    device, line = connected(lambda frame, count: [])
    start_s = line.now_s
    with pytest.raises(LinkTimeout, match="no answer to Echo") as timeout:
        device.request(Echo())
    assert len(line.sent) == 1 + MAX_ATTEMPTS
    assert line.now_s - start_s == pytest.approx(FIRST_TIMEOUT_S * (2**MAX_ATTEMPTS - 1), rel=0.05)
    assert "loose cable" in timeout.value.remedy


def test_working_means_wait_on() -> None:
    device, line = connected(lambda frame, count: [EchoReply()] if count > 40 else [Working()] if count > 1 else [])
    device.request(Echo())
    assert len(line.sent) > MAX_ATTEMPTS


def test_noise_is_survived_and_told() -> None:
    device, _ = connected(lambda frame, count: [b"\x11\x22noise\x00"] if count < 2 else [EchoReply()])
    device.request(Echo())
    assert device.link_counters.bad_frames == 1


def test_a_silent_line_and_a_babbling_one_read_differently() -> None:
    silent = PlayedLine(lambda frame: [])
    with pytest.raises(LinkTimeout) as timeout:
        Device(silent, silent.clock).connect(timeout_s=3)
    assert "power" in timeout.value.remedy
    babbling = PlayedLine(lambda frame: [b"\x55\xaa\x55\x00"])
    with pytest.raises(LinkTimeout, match="55 aa 55") as timeout:
        Device(babbling, babbling.clock).connect(timeout_s=3)
    assert "baud" in timeout.value.remedy


def test_a_device_that_boots_late_is_greeted_in_the_end() -> None:
    count = 0

    def late(frame: Frame) -> list[Message | bytes]:
        nonlocal count
        count += 1
        return [hello()] if count > 20 else []

    line = PlayedLine(late)
    assert Device(line, line.clock).connect().arena_bytes == 118000
