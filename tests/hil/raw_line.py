"""Bytes to and from a device, below sessions: for what a well-behaved host never sends."""

from __future__ import annotations

import time

from harness.model.pack import ModelImage
from harness.protocol.framing import Frame, FrameDecoder, encode_frame
from harness.protocol.messages import Echo, ErrorReply, Header, Hello, ImageBegin, ImageCommit, Message, Write
from harness.protocol.wire import PROTOCOL_MAJOR, REPLY_BIT, ErrorCode, MessageType, Region
from harness.transport.base import Transport
from patience import PATIENCE_S

SESSION = 0x0BADCAFE

LAST_BEFORE_TEST = 0x7777
"""A sequence number that no test uses."""


class RawLine:
    """A line with a decoder, and no rules."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def wait_for_boot(self) -> None:
        """Ask until the device answers, then let its late answers pass. Opens no session."""
        deadline_s = time.monotonic() + PATIENCE_S
        self.send(Echo(), 0)
        while not self._decoder.feed(self._transport.read(0.1)):
            assert time.monotonic() < deadline_s, "the device does not boot"
            self.send(Echo(), 0)
        # It answers in order: what comes before the answer to this one are answers to those before.
        self.send(Echo(), LAST_BEFORE_TEST)
        self._decoder = FrameDecoder()
        seen: list[object] = []
        while not any(isinstance(item, Frame) and item.header.sequence == LAST_BEFORE_TEST for item in seen):
            assert time.monotonic() < deadline_s, f"the device does not answer: {seen}"
            seen += self._decoder.feed(self._transport.read(0.1))

    def send(self, message: Message, sequence: int, session: int = SESSION) -> None:
        self.write(encode_frame(Header(type=message.TYPE, sequence=sequence, session=session), message.pack()))

    def frame(self, timeout_s: float = PATIENCE_S) -> Frame:
        """The next frame but for LOGs, which may come at any time; fails the test if none comes."""
        deadline_s = time.monotonic() + timeout_s
        while not self._frames:
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, "the device sent no frame"
            for item in self._decoder.feed(self._transport.read(left_s)):
                assert isinstance(item, Frame), item
                if item.header.type != MessageType.LOG | REPLY_BIT:
                    self._frames.append(item)
        return self._frames.pop(0)

    def ask(self, message: Message, sequence: int, session: int = SESSION) -> Frame:
        self.send(message, sequence, session)
        return self.frame()

    def error(self, message: Message, sequence: int, session: int = SESSION) -> ErrorCode:
        """The code of the error that answers a message; fails the test if something else does."""
        frame = self.ask(message, sequence, session)
        assert frame.header.type == MessageType.ERROR | REPLY_BIT, frame
        return ErrorReply.unpack(frame.payload).code

    def greet(self, sequence: int = 0, session: int = SESSION) -> Frame:
        return self.ask(Hello(protocol_major=PROTOCOL_MAJOR), sequence, session)

    def load(self, image: ModelImage, sequence: int = 1) -> int:
        """Put an image in force, with requests from `sequence` on; gives the number that is due next."""
        self.ask(ImageBegin(image_bytes=len(image.data), work_bytes=image.work_bytes), sequence)
        for offset in range(0, len(image.data), 1000):
            sequence += 1
            self.ask(Write(region=Region.IMAGE, offset=offset, data=image.data[offset : offset + 1000]), sequence)
        self.ask(ImageCommit(crc32=image.crc32), sequence + 1)
        return sequence + 2

    def close(self) -> None:
        self._transport.close()
