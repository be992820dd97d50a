"""A line at the pace of a UART behind USB: emulators and processes move bytes as fast as they can.

Bytes of each direction leave one after another, ten bits each, and show at the other end of the USB cable in the frames
of a full-speed device. When a byte arrives is computed from what went before it, never slept for byte by byte: somebody
who comes late finds all that has arrived until then, and the rate stays that of the line.

The time is an argument. `RealTime` is for whatever answers when it likes. In `VirtualTime` nothing waits: the line's
time jumps from one arrival to the next one, once the device has done all that it can with what it was given. So figures
do not depend on the machine. What a device would take to compute, a `DeviceTime` adds.

Where the line knows the device's baud too, a byte that is sent at one baud and received at another arrives as garbage.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from random import Random
from typing import Protocol

from harness.transport.base import Transport

USB_FRAME_S = 0.001
"""Full-speed USB moves data once a millisecond (USB 2.0, 5.3): what an ST-LINK's serial port adds each way."""

RESOLUTION_S = 0.00025
"""Bytes arrive in pieces of so much line time, all of a piece with its last byte: a quarter of a USB frame."""

NOT_SENT_YET = 2**62
"""Number of a byte that no device ever sends."""

_TOLERATED_DIFFERENCE = 0.03
"""Of the two bauds: a UART takes about so much."""

_BITS_PER_BYTE = 10  # 8N1: a start bit, eight data bits, a stop bit

LEAST_PIECE_BYTES = 8
"""But at least so many: 0.7 ms at 115200 baud."""

_ROUNDING = 1e-6
"""Of a USB frame: what sums of floats may be off."""


Receiver = Callable[[int, bytes], bytes]
"""Given the baud at which bytes were sent, and the bytes: what is received."""


class LineTime(Protocol):
    """The time that a line is paced by."""

    def now_s(self) -> float:
        """Seconds that only go forward."""

    def listen(self, line: Transport, until_s: float) -> bytes:
        """What comes from a line up to a time, as soon as something comes; empty: that time has come."""


class RealTime:
    """The time of this machine."""

    def now_s(self) -> float:
        """Seconds that only go forward."""
        return time.monotonic()

    def listen(self, line: Transport, until_s: float) -> bytes:
        """What comes from a line up to a time."""
        return line.read(max(until_s - time.monotonic(), 0.0))


class VirtualTime:
    """The time of the line alone: it goes on when the device waits for bytes, and by as much as is asked for.

    Args:
        is_settled: whether the device has taken all bytes that it was sent and can do nothing until it gets more. Asked
            again and again while it has not.
    """

    def __init__(self, is_settled: Callable[[], bool]) -> None:
        self._is_settled = is_settled
        self._now_s = 0.0

    def now_s(self) -> float:
        """Seconds since the start."""
        return self._now_s

    def listen(self, line: Transport, until_s: float) -> bytes:
        """What the device says to the bytes that it has; if nothing more, the time goes on to `until_s`."""
        data = b""
        while True:
            is_settled = self._is_settled()  # before the read: what it said until then is there to be read
            piece = line.read(0.0)
            data += piece
            if is_settled and not piece:
                self._now_s = self._now_s if data else max(self._now_s, until_s)
                return data


class DeviceTime(Protocol):
    """How long a device takes that in truth answers at once."""

    def heard(self, size_bytes: int) -> None:
        """Bytes have arrived at it."""

    def ready(self, data: bytes, at_s: float) -> Iterable[tuple[float, bytes]]:
        """All that it says, piece by piece with when it has it ready; in order.

        Args:
            data: what it says.
            at_s: when it has heard what it answers.
        """


class Immediate:
    """No time at all."""

    def heard(self, size_bytes: int) -> None:
        """Bytes have arrived at the device."""

    def ready(self, data: bytes, at_s: float) -> Iterable[tuple[float, bytes]]:
        """At once."""
        return ((at_s, data),)


class PacedTransport:
    """A line at the pace of a UART behind USB, in both directions at once.

    Nothing is lost and nothing is refused: what is written waits until the line has carried what was written before.

    Args:
        inner: the line; closed with this one.
        baud: bits per second.
        line_time: what it is paced by; who waits on this line needs the same clock.
        usb_frame_s: bytes pass USB at multiples of it; 0: without USB.
        device_baud: the device's own baud for the byte that it sends as number n, the first being 0; for one that it
            has not sent yet the present one. None: always that of the host's end.
        device_time: how long the device takes to answer, besides what it takes in truth.
        seed: what garbage is made from.

    Attributes:
        baud: of the host's end.
    """

    def __init__(
        self,
        inner: Transport,
        baud: int,
        line_time: LineTime,
        *,
        usb_frame_s: float = USB_FRAME_S,
        device_baud: Callable[[int], int] | None = None,
        device_time: DeviceTime | None = None,
        seed: int = 0,
    ) -> None:
        self.baud = baud
        self._device_baud = device_baud
        self._device_time = device_time or Immediate()
        self._from_device_bytes = 0
        self._garbage = Random(seed)
        self._inner = inner
        self._time = line_time
        self._usb_frame_s = usb_frame_s
        self._to_device = _Direction()
        self._from_device = _Direction()

    def write(self, data: bytes) -> None:
        """Take bytes for the device. Returns at once.

        Raises:
            LinkClosed: the other end is gone.
        """
        now_s = self._time.now_s()
        # Never at once: a host that wakes with a frame comes too late for it.
        leaves_s = self._next_usb_frame_s(now_s + _ROUNDING * self._usb_frame_s * 2)
        self._to_device.send(data, leaves_s, self.baud)
        self._pass_on()

    def read(self, timeout_s: float) -> bytes:
        """What shows at this end, waiting up to `timeout_s` of the line's time for the first byte.

        Raises:
            LinkClosed: the other end is gone.
        """
        deadline_s = self._time.now_s() + timeout_s
        while True:
            self._pass_on()
            now_s = self._time.now_s()
            shown = self._from_device.arrived(now_s, self._received_at(self.baud), self._next_usb_frame_s)
            if shown or now_s >= deadline_s:
                return shown
            until_s = min(deadline_s, self._to_device.next_s(), self._next_usb_frame_s(self._from_device.next_s()))
            data = self._time.listen(self._inner, until_s)
            for ready_s, said in self._device_time.ready(data, self._time.now_s()) if data else ():
                for baud, piece in self._by_baud(said):
                    self._from_device.send(piece, ready_s, baud)

    def set_baud(self, baud: int) -> None:
        """Go on at another baud; what was written before leaves at the old one."""
        self.baud = baud

    def close(self) -> None:
        """Give the line back."""
        self._inner.close()

    def _by_baud(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """What the device has sent, in pieces of one baud each."""
        first, self._from_device_bytes = self._from_device_bytes, self._from_device_bytes + len(data)
        rate = self._device_baud
        if rate is None or not data:
            yield self.baud, data
            return
        numbers = range(first, first + len(data))
        for baud, of_baud in groupby(numbers, rate):
            indices = list(of_baud)
            yield baud, data[indices[0] - first : indices[-1] + 1 - first]

    def _received_at(self, baud: int) -> Receiver:
        """What a receiver makes of bytes that were sent at some baud."""

        def received(sent_at: int, data: bytes) -> bytes:
            is_near = abs(sent_at - baud) <= _TOLERATED_DIFFERENCE * baud
            return data if is_near else self._garbage.randbytes(len(data))

        return received

    def _pass_on(self) -> None:
        receiver = self.baud if self._device_baud is None else self._device_baud(NOT_SENT_YET)
        data = self._to_device.arrived(self._time.now_s(), self._received_at(receiver))
        if data:
            self._device_time.heard(len(data))
            self._inner.write(data)

    def _next_usb_frame_s(self, at_s: float) -> float:
        if not self._usb_frame_s or math.isinf(at_s):
            return at_s
        return math.ceil(at_s / self._usb_frame_s - _ROUNDING) * self._usb_frame_s


class _Direction:
    """Bytes on their way: pieces with the time at which the last byte of each has arrived."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, int, bytes]] = deque()
        self._busy_until_s = 0.0

    def send(self, data: bytes, from_s: float, baud: int) -> None:
        """Put bytes behind all others; they leave at `from_s` at the earliest."""
        byte_s = _BITS_PER_BYTE / baud
        start_s = max(self._busy_until_s, from_s)
        size = max(int(RESOLUTION_S / byte_s), LEAST_PIECE_BYTES)
        for first in range(0, len(data), size):
            piece = data[first : first + size]
            self._pieces.append((start_s + (first + len(piece)) * byte_s, baud, piece))
        self._busy_until_s = start_s + len(data) * byte_s

    def next_s(self) -> float:
        """When the next piece arrives; infinite: none is on its way."""
        return self._pieces[0][0] if self._pieces else math.inf

    def arrived(
        self,
        now_s: float,
        received: Receiver,
        shown_s: Callable[[float], float] = lambda at_s: at_s,
    ) -> bytes:
        """What has arrived and is shown by now, as it is received."""
        data = b""
        while self._pieces and shown_s(self._pieces[0][0]) <= now_s:
            _, baud, piece = self._pieces.popleft()
            data += received(baud, piece)
        return data
