"""A paced line, played without waiting: when bytes arrive, in both directions at once, and how long they took."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest

from harness.transport.paced import USB_FRAME_S, PacedTransport, RealTime, VirtualTime


class Peer:
    """A device that answers what it has read at once, and is busy for some looks after it."""

    def __init__(self, answer: Callable[[bytes], bytes] = lambda data: data, busy_looks: int = 0) -> None:
        self.heard = b""
        self.is_closed = False
        self._answer = answer
        self._busy_looks = busy_looks
        self._looks = 0
        self._thinks_of = b""

    def write(self, data: bytes) -> None:
        self.heard += data
        self._thinks_of += data
        self._looks = self._busy_looks

    def read(self, timeout_s: float) -> bytes:
        if self._looks:
            return b""
        answer, self._thinks_of = self._answer(self._thinks_of) if self._thinks_of else b"", b""
        return answer

    def close(self) -> None:
        self.is_closed = True

    def is_settled(self) -> bool:
        if self._looks:
            self._looks -= 1
            return False
        return True


def paced(peer: Peer, baud: int, usb_frame_s: float = 0.0) -> tuple[PacedTransport, VirtualTime]:
    line_time = VirtualTime(peer.is_settled)
    return PacedTransport(peer, baud, line_time, usb_frame_s=usb_frame_s), line_time


def read_all(line: PacedTransport, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = line.read(60)
        assert piece, "nothing came"
        data += piece
    return data


@pytest.mark.parametrize("baud", [9600, 115200, 1_500_000])
def test_bytes_come_at_the_rate_of_the_line(baud: int) -> None:
    line, line_time = paced(Peer(answer=lambda _: b""), baud)
    line.write(bytes(10_000))
    assert line.read(1e6) == b""
    peer = Peer()
    line, line_time = paced(peer, baud)
    line.write(bytes(10_000))
    assert read_all(line, 10_000) == bytes(10_000)
    # There and back at once: behind the last byte's way there only the last piece has to come back.
    assert line_time.now_s() == pytest.approx(10_000 * 10 / baud, abs=0.0003 + 90 / baud)


def test_nothing_arrives_early() -> None:
    peer = Peer(answer=lambda _: b"")
    line, line_time = paced(peer, 100_000)  # 0.1 ms a byte
    line.write(b"0123456789")
    for _ in range(10):
        line.read(0.0001)
        assert len(peer.heard) <= line_time.now_s() * 10_000 + 1e-6
    line.read(0.0001)
    assert peer.heard == b"0123456789"


def test_a_write_waits_for_the_one_before_it_and_not_for_time_gone_by() -> None:
    peer = Peer(answer=lambda _: b"")
    line, line_time = paced(peer, 10_000)  # 1 ms a byte
    line.read(5.0)  # an idle line saves nothing up
    line.write(b"ab")
    line.write(b"c")
    line.read(0.0025)
    assert peer.heard == b"ab"
    line.read(0.0006)
    assert peer.heard == b"abc"
    assert line_time.now_s() == pytest.approx(5.0031)


def test_both_directions_go_at_once() -> None:
    peer = Peer(answer=len_of_zeros)
    line, line_time = paced(peer, 100_000)
    for _ in range(10):
        line.write(bytes(1000))
    read_all(line, 10_000)
    assert line_time.now_s() == pytest.approx(1.0, rel=0.01)


def len_of_zeros(data: bytes) -> bytes:
    return bytes(len(data))


def test_usb_shows_bytes_in_its_frames() -> None:
    line, line_time = paced(Peer(), 1_500_000, USB_FRAME_S)
    line.read(0.0104)
    line.write(b"x")
    assert line.read(1) == b"x"
    # It leaves with the frame at 11 ms, is back 13 us later, and shows with the one at 12 ms.
    assert line_time.now_s() == pytest.approx(0.012)
    line.write(b"y")  # who wakes with a frame is too late for it
    assert line.read(1) == b"y"
    assert line_time.now_s() == pytest.approx(0.014)


def test_a_wait_ends_in_time() -> None:
    line, line_time = paced(Peer(), 115200, USB_FRAME_S)
    line.write(b"x")
    assert line.read(0.0001) == b""
    assert line_time.now_s() == pytest.approx(0.0001)
    assert line.read(0.0) == b""
    assert line_time.now_s() == pytest.approx(0.0001)


@pytest.mark.parametrize("busy_looks", [1, 50])
def test_a_slow_machine_changes_no_time(busy_looks: int) -> None:
    def took_s(peer: Peer) -> float:
        line, line_time = paced(peer, 921600, USB_FRAME_S)
        for size in (1, 500, 2000):
            line.write(bytes(size))
            read_all(line, size)
        return line_time.now_s()

    assert took_s(Peer(busy_looks=busy_looks)) == took_s(Peer())


def test_bytes_come_in_order_whatever_the_pieces() -> None:
    random = Random(7)
    data = random.randbytes(5000)
    line, _ = paced(Peer(), 1_000_000, USB_FRAME_S)
    rest, got = data, b""
    while len(got) < len(data):
        size = random.randint(1, 300)
        line.write(rest[:size])
        rest = rest[size:]
        got += line.read(random.random() * 0.005)
    assert got == data


def test_a_device_that_computes_answers_later_and_one_thing_after_another() -> None:
    class Slow:
        heard_bytes = 0
        free_s = 0.0

        def heard(self, size_bytes: int) -> None:
            self.heard_bytes += size_bytes

        def ready(self, data: bytes, at_s: float) -> list[tuple[float, bytes]]:
            ready = []
            for byte in data:
                self.free_s = max(self.free_s, at_s) + 0.010
                ready.append((self.free_s, bytes([byte])))
            return ready

    slow, peer = Slow(), Peer()
    line_time = VirtualTime(peer.is_settled)
    line = PacedTransport(peer, 1_000_000, line_time, usb_frame_s=0, device_time=slow)
    line.write(b"abc")
    assert read_all(line, 3) == b"abc"
    assert slow.heard_bytes == 3
    assert line_time.now_s() == pytest.approx(0.030, abs=0.0001)


def test_closing_closes_the_line() -> None:
    peer = Peer()
    line, _ = paced(peer, 115200)
    line.close()
    assert peer.is_closed


def test_real_time_is_never_ahead_of_the_line() -> None:
    line = PacedTransport(Peer(), 1_000_000, RealTime())
    start_s = time.monotonic()
    line.write(bytes(1000))
    read_all(line, 1000)
    assert time.monotonic() - start_s >= 0.010
