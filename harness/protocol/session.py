"""The host's side of a session, without I/O: requests become bytes, bytes become replies.

One request is under way at a time. Its bytes may be sent again (`repeat`): the device keeps its last reply and never
works on the same request twice. Every device frame carries the session id in force, 0 after boot, so that a restart of
the device is seen at the next frame.

    session.send(request) -> bytes for the line
    session.receive(bytes from the line)
    session.next_event() -> a reply, Working, Busy, or None when more bytes are needed
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import Any

from harness.errors import DeviceReset, LocalProtocolError, MismatchError
from harness.protocol.faults import Locate, address_only, device_fault
from harness.protocol.framing import BadFrame, Frame, FrameDecoder, encode_frame
from harness.protocol.messages import Busy, ErrorReply, Fault, Header, Hello, Log, Reply, ReplyT, Request, Working
from harness.protocol.refusals import refusal
from harness.protocol.wire import (
    MAX_PAYLOAD_BYTES,
    REPLY_BIT,
    SESSION_NONE,
    ErrorCode,
    MessageType,
)

MOST_LOGS = 1000
"""More than anybody reads; a host that takes none out keeps the last ones."""


@dataclass
class LinkCounters:
    """What the host saw of the link.

    Attributes:
        frames_received: frames with a right CRC.
        bad_frames: pieces between two delimiters that are no frame.
        stale_frames: frames of an older session or request, dropped.
        repeats: requests sent again.
        bytes_sent: bytes for the line.
        bytes_received: bytes from the line.
        last_bad: the last bad piece, for the error message.
    """

    frames_received: int = 0
    bad_frames: int = 0
    stale_frames: int = 0
    repeats: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    last_bad: BadFrame | None = None

    def since(self, before: LinkCounters) -> LinkCounters:
        """What was counted after an earlier copy of the same counters was made."""
        return LinkCounters(
            **{
                each.name: getattr(self, each.name) - getattr(before, each.name)
                for each in fields(self)
                if each.name != "last_bad"
            },
            last_bad=self.last_bad,
        )


class Session:
    """One session, from its HELLO to the end of the link.

    Args:
        session_id: 1 to 2**32 - 1; picked at random by the caller, so that no two sessions are alike.
        locate: finds the place of an address in the program's source, for the error that tells of a fault.

    Attributes:
        logs: what the device has told unasked, oldest first; whoever reads it takes it out.
        fault: of a device that faulted before it was greeted.
    """

    def __init__(self, session_id: int, locate: Locate = address_only) -> None:
        if not SESSION_NONE < session_id < 2**32:
            raise LocalProtocolError(f"session id {session_id} is not between 1 and 2**32 - 1")
        self.session_id = session_id
        self.counters = LinkCounters()
        self.logs: deque[Log] = deque(maxlen=MOST_LOGS)
        self.fault: Fault | None = None
        self._locate = locate
        self._decoder = FrameDecoder()
        self._received: deque[Frame] = deque()
        self._sequence = 0
        self._pending: Request[Any] | None = None
        self._pending_bytes = b""
        self._greeted = False

    def send(self, request: Request[Any]) -> bytes:
        """Bytes of the next request.

        Raises:
            LocalProtocolError: a request is under way, the first one is no Hello, or the payload is too long.
        """
        if self._pending is not None:
            raise LocalProtocolError(f"{type(self._pending).__name__} is still under way")
        if not self._greeted and not isinstance(request, Hello):
            raise LocalProtocolError("a session begins with Hello")
        payload = request.pack()
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise LocalProtocolError(f"{type(request).__name__} has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
        self._sequence = (self._sequence + 1) % 2**16
        header = Header(type=request.TYPE, sequence=self._sequence, session=self.session_id)
        self._pending = request
        self._pending_bytes = encode_frame(header, payload)
        self.counters.bytes_sent += len(self._pending_bytes)
        return self._pending_bytes

    def repeat(self) -> bytes:
        """Bytes of the request under way, once more."""
        if self._pending is None:
            raise LocalProtocolError("no request is under way")
        self.counters.repeats += 1
        self.counters.bytes_sent += len(self._pending_bytes)
        return self._pending_bytes

    def receive(self, data: bytes) -> None:
        """Take bytes from the line, in pieces of any size."""
        self.counters.bytes_received += len(data)
        for item in self._decoder.feed(data):
            if isinstance(item, BadFrame):
                self.counters.bad_frames += 1
                self.counters.last_bad = item
            else:
                self.counters.frames_received += 1
                self._received.append(item)

    def next_event(self) -> Reply | None:
        """The reply to the request under way, Working, Busy, or None: more bytes are needed.

        Raises:
            DeviceReset: the device has restarted since the session began.
            DeviceFault: it has, and says that a fault was the cause.
            DeviceRefused: the device refused the request.
            LinkError: another program has opened a session on the same device.
            MismatchError: the device broke the protocol, or speaks another version of it.
        """
        while self._received:
            event = self._take(self._received.popleft())
            if event is not None:
                return event
        return None

    def _take(self, frame: Frame) -> Reply | None:
        header = frame.header
        if self._take_unasked(frame):
            return None
        if self._greeted and header.session == SESSION_NONE:
            raise DeviceReset(
                "the device restarted in the middle of the session: its frames carry session id 0",
                remedy="look for a power dip, a watchdog or a fault, then run again: what was loaded is gone",
            )
        pending = self._pending
        is_ours = header.session == self.session_id or self._is_refused_session(frame)
        if pending is None or header.sequence != self._sequence or not is_ours:
            self.counters.stale_frames += 1
            return None
        if header.type == MessageType.WORKING | REPLY_BIT:
            return _unpack(Working, frame)
        if header.type == MessageType.BUSY | REPLY_BIT:
            return _unpack(Busy, frame)
        if header.type == MessageType.ERROR | REPLY_BIT:
            self._pending = None
            raise refusal(_unpack(ErrorReply, frame), pending)
        if header.type != pending.TYPE | REPLY_BIT:
            raise MismatchError(
                f"the device answered {type(pending).__name__} with a frame of type 0x{header.type:02X}",
                code="wrong_reply",
                remedy="flash the firmware that belongs to this version of hil",
            )
        reply: Reply = _unpack(pending.REPLY, frame)
        self._pending = None
        self._greeted = True
        return reply

    def _take_unasked(self, frame: Frame) -> bool:
        """Whether it is a frame that answers no request, and is dealt with.

        Raises:
            DeviceFault: a fault ended the program in the middle of the session.
        """
        kind, session = frame.header.type, frame.header.session
        if kind == MessageType.LOG | REPLY_BIT and session == self.session_id:
            self.logs.append(_unpack(Log, frame))
            return True
        if kind == MessageType.FAULT | REPLY_BIT and session == SESSION_NONE:
            self.fault = _unpack(Fault, frame)
            if self._greeted:
                raise device_fault(self.fault, self._locate)
            return True
        return False

    def _is_refused_session(self, frame: Frame) -> bool:
        """Whether a frame of another session tells us that ours is not, or never was, in force."""
        if frame.header.type != MessageType.ERROR | REPLY_BIT:
            return False
        error = _unpack(ErrorReply, frame)
        if error.code == ErrorCode.BAD_SESSION:
            return error.detail2 == self.session_id
        return error.code == ErrorCode.BAD_VERSION and not self._greeted


def _unpack(kind: type[ReplyT], frame: Frame) -> ReplyT:
    try:
        return kind.unpack(frame.payload)
    except ValueError as error:
        raise MismatchError(
            f"the device sent a {kind.__name__} that cannot be read: {error}",
            code="unreadable_reply",
            remedy="flash the firmware that belongs to this version of hil",
        ) from error
