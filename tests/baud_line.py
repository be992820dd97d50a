"""A line to a fake device on which both ends have a baud, and which may fail at any byte. No real time passes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from harness.fake import FakeDevice
from harness.transport.base import Transport, baud_of, set_baud


class BaudLine:
    """What one end sends at another baud than the other end's arrives as garbage, byte for byte.

    Args:
        device: what is at the other end.
        spoil: what becomes of bytes on their way; called once for each piece that is written or answered.
        seed: what garbage is made from.

    Attributes:
        baud: of the host's end.
    """

    def __init__(self, device: FakeDevice, spoil: Callable[[bytes], bytes] = lambda data: data, seed: int = 0) -> None:
        self.device = device
        self.baud = device.baud
        self.now_s = 0.0
        self.spoil = spoil
        self._random = Random(seed)
        self._pending: list[tuple[int, bytes]] = []

    def clock(self) -> float:
        return self.now_s

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def write(self, data: bytes) -> None:
        self.now_s += 10 * len(data) / self.baud
        for start in range(0, len(data), 64):  # the device may go elsewhere in the middle
            piece = self.spoil(data[start : start + 64])
            sent_at = self.device.baud
            heard = piece if self.baud == self.device.baud else self._random.randbytes(len(piece))
            self._pending.append((sent_at, self.device.receive(heard)))

    def read(self, timeout_s: float) -> bytes:
        data = b""
        for sent_at, piece in self._pending:
            spoilt = self.spoil(piece) if piece else b""
            data += spoilt if sent_at == self.baud else self._random.randbytes(len(spoilt))
        self._pending.clear()
        self.now_s += 0.001 if data else timeout_s
        return data

    def close(self) -> None:
        pass


class Dies(Exception):
    """The host is gone."""


class MortalHost:
    """A line on which the host dies at its nth use.

    Args:
        inner: the line.
        uses: how many uses it survives.
    """

    def __init__(self, inner: Transport, uses: int) -> None:
        self._inner = inner
        self._uses = uses

    @property
    def baud(self) -> int | None:
        return baud_of(self._inner)

    def _use(self) -> None:
        self._uses -= 1
        if self._uses < 0:
            raise Dies

    def write(self, data: bytes) -> None:
        self._use()
        self._inner.write(data)

    def read(self, timeout_s: float) -> bytes:
        self._use()
        return self._inner.read(timeout_s)

    def set_baud(self, baud: int) -> None:
        self._use()
        set_baud(self._inner, baud)

    def close(self) -> None:
        self._inner.close()
