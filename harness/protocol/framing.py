"""Frames on the line: `00 | COBS(header, payload, CRC-32) | 00 00`. Bytes in, frames out; knows no session.

The leading zero ends whatever noise came before; the second zero at the end is there because an emulated UART may hold
back the last byte of a burst. Mirrors firmware/lib/wire/wire_framing.c; one table of cases drives both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from cobs import cobs

from harness.protocol.messages import Header
from harness.protocol.wire import FRAME_DELIMITER, MAX_PAYLOAD_BYTES, crc32

CRC_BYTES = 4
MAX_FRAME_BYTES = Header.size_bytes() + MAX_PAYLOAD_BYTES + CRC_BYTES
"""Largest frame before COBS: header, payload and CRC-32."""

_MAX_ENCODED_BYTES = MAX_FRAME_BYTES + MAX_FRAME_BYTES // 254 + 1
_DELIMITER = bytes([FRAME_DELIMITER])


class FrameFault(Enum):
    """What is wrong with a frame."""

    BAD_CRC = "bad CRC"
    BAD_COBS = "bad COBS or too short"
    OVERSIZED = "longer than the largest frame"


@dataclass(frozen=True)
class Frame:
    """A frame with a right CRC."""

    header: Header
    payload: bytes


@dataclass(frozen=True)
class BadFrame:
    """What came between two delimiters and is no frame.

    Attributes:
        fault: why.
        encoded: its bytes as they came, cut to the first 64.
    """

    fault: FrameFault
    encoded: bytes


Received: TypeAlias = Frame | BadFrame


def encode_frame(header: Header, payload: bytes) -> bytes:
    """The bytes that go over the line."""
    frame = header.pack() + payload
    frame += crc32(frame).to_bytes(CRC_BYTES, "little")
    encoded: bytes = cobs.encode(frame)
    return _DELIMITER + encoded + _DELIMITER * 2


class FrameDecoder:
    """Cuts a stream of bytes into frames, in pieces of any size."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._overflowed = False

    def feed(self, data: bytes) -> list[Received]:
        """Take received bytes; give the frames that they complete, bad ones included."""
        received: list[Received] = []
        *complete, rest = data.split(_DELIMITER)
        for piece in complete:
            self._append(piece)
            if self._pending:
                received.append(self._decode())
            self._pending.clear()
            self._overflowed = False
        self._append(rest)
        return received

    def _append(self, piece: bytes) -> None:
        room = _MAX_ENCODED_BYTES - len(self._pending)
        self._overflowed = self._overflowed or len(piece) > room
        self._pending += piece[:room]

    def _decode(self) -> Received:
        encoded = bytes(self._pending)
        if self._overflowed:
            return BadFrame(FrameFault.OVERSIZED, encoded[:64])
        try:
            frame = cobs.decode(encoded)
        except cobs.DecodeError:
            return BadFrame(FrameFault.BAD_COBS, encoded[:64])
        if len(frame) > MAX_FRAME_BYTES:
            return BadFrame(FrameFault.OVERSIZED, encoded[:64])
        body, sent = frame[:-CRC_BYTES], frame[-CRC_BYTES:]
        if len(body) < Header.size_bytes():
            return BadFrame(FrameFault.BAD_COBS, encoded[:64])
        if crc32(body) != int.from_bytes(sent, "little"):
            return BadFrame(FrameFault.BAD_CRC, encoded[:64])
        return Frame(Header.unpack(body), body[Header.size_bytes() :])
