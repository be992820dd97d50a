"""Notes what goes over a line, with the time at which the host wrote or read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.protocol.framing import Frame, FrameDecoder
from harness.transport.base import Transport, WrappedLine


@dataclass(frozen=True)
class Passage:
    """Bytes that the host wrote or read at once.

    Attributes:
        at_s: when.
        is_to_device: written, not read.
        size_bytes: how many.
        frame_types: types of the frames that end in them.
    """

    at_s: float
    is_to_device: bool
    size_bytes: int
    frame_types: tuple[int, ...]


class Tap(WrappedLine):
    """A line of which is noted how much goes over it and when.

    Args:
        inner: the line; closed with this one.
        now_s: gives the time.

    Attributes:
        passages: what went over it so far. May be cleared.
    """

    def __init__(self, inner: Transport, now_s: Callable[[], float]) -> None:
        super().__init__(inner)
        self.passages: list[Passage] = []
        self._now_s = now_s
        self._decoders = {True: FrameDecoder(), False: FrameDecoder()}

    def write(self, data: bytes) -> None:
        """Note it, then send."""
        self._note(data, is_to_device=True)
        self._inner.write(data)

    def read(self, timeout_s: float) -> bytes:
        """Read, then note it."""
        data = self._inner.read(timeout_s)
        if data:
            self._note(data, is_to_device=False)
        return data

    def _note(self, data: bytes, *, is_to_device: bool) -> None:
        items = self._decoders[is_to_device].feed(data)
        types = tuple(item.header.type for item in items if isinstance(item, Frame))
        self.passages.append(Passage(self._now_s(), is_to_device, len(data), types))
