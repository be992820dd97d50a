"""The host's side of a session, without I/O: requests become bytes, bytes become replies.

Several requests may be under way, as many as the device has announced. It works on them in the order of their numbers,
and replies come out of here in that order. Bytes may be sent again: the device keeps its last replies and never works
on the same request twice. The line keeps the order of frames, so whatever is heard of one request shows that those sent
before it and not heard of were lost: `lost` has their bytes. Every device frame carries the session id in force, 0
after boot, so that a restart of the device is seen at the next frame.

    session.send(request) -> bytes for the line, while session.may_send
    session.receive(bytes from the line)
    session.next_event() -> the reply to the oldest request, Working, Busy, or None when more bytes are needed
    session.lost() -> bytes to be sent again at once
    session.repeat() -> bytes of the oldest request, for when nothing was heard at all
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import Any

from harness.errors import DeviceReset, HilError, LocalProtocolError, MismatchError
from harness.protocol.faults import Locate, address_only, device_fault
from harness.protocol.frame_size import FrameSize
from harness.protocol.framing import BadFrame, Frame, FrameDecoder, encode_frame
from harness.protocol.messages import (
    Busy,
    ErrorReply,
    Fault,
    Header,
    Hello,
    HelloReply,
    Log,
    Reply,
    ReplyT,
    Request,
    Working,
)
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
        recoveries: times that a load went on although the device had restarted or the line was gone.
        bytes_sent: bytes for the line.
        bytes_received: bytes from the line.
        last_bad: the last bad piece, for the error message.
    """

    frames_received: int = 0
    bad_frames: int = 0
    stale_frames: int = 0
    repeats: int = 0
    recoveries: int = 0
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


@dataclass
class _Asked:
    """A request that is under way.

    Attributes:
        last_sent: which of all frames sent it was last.
        answer: its reply or refusal, while those before it have none.
    """

    sequence: int
    request: Request[Any]
    frame: bytes
    last_sent: int = 0
    answer: Reply | HilError | None = None


class Session:
    """One session, from its HELLO to the end of the link.

    Args:
        session_id: 1 to 2**32 - 1; picked at random by the caller, so that no two sessions are alike.
        frame_size: what is learned of the line; a line's sessions share one.
        locate: finds the place of an address in the program's source, for the error that tells of a fault.
        counters: of the session that this one goes on for; None: it begins anew.

    Attributes:
        logs: what the device has told unasked, oldest first; whoever reads it takes it out.
        fault: of a device that faulted before it was greeted.
    """

    def __init__(
        self,
        session_id: int,
        frame_size: FrameSize | None = None,
        locate: Locate = address_only,
        counters: LinkCounters | None = None,
    ) -> None:
        if not SESSION_NONE < session_id < 2**32:
            raise LocalProtocolError(f"session id {session_id} is not between 1 and 2**32 - 1")
        self.session_id = session_id
        self.counters = counters or LinkCounters()
        self.logs: deque[Log] = deque(maxlen=MOST_LOGS)
        self.fault: Fault | None = None
        self._locate = locate
        self.frame_size = frame_size or FrameSize()
        self._decoder = FrameDecoder()
        self._received: deque[Frame] = deque()
        self._sequence = 0
        self._asked: deque[_Asked] = deque()
        self._lost: list[_Asked] = []
        self._frames_sent = 0
        self._window = 1
        self._greeted = False

    @property
    def requests_under_way(self) -> int:
        """Requests that were sent and whose reply has not come out yet."""
        return len(self._asked)

    @property
    def may_send(self) -> bool:
        """Whether the device has room for another request."""
        return len(self._asked) < self._window

    @property
    def bytes_under_way(self) -> int:
        """Bytes of the requests under way."""
        return sum(len(asked.frame) for asked in self._asked)

    def send(self, request: Request[Any]) -> bytes:
        """Bytes of the next request.

        Raises:
            LocalProtocolError: the device has no room for it, the first one is no Hello, or the payload is too long.
        """
        if not self.may_send:
            raise LocalProtocolError(f"{type(self._asked[0].request).__name__} is still under way")
        if not self._greeted and not isinstance(request, Hello):
            raise LocalProtocolError("a session begins with Hello")
        payload = request.pack()
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise LocalProtocolError(f"{type(request).__name__} has {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
        self._sequence = (self._sequence + 1) % 2**16
        header = Header(type=request.TYPE, sequence=self._sequence, session=self.session_id)
        asked = _Asked(self._sequence, request, encode_frame(header, payload))
        self._asked.append(asked)
        return self._on_the_line(asked)

    def repeat(self) -> bytes:
        """Bytes of the oldest request under way, once more."""
        if not self._asked:
            raise LocalProtocolError("no request is under way")
        return self._again(self._asked[0])

    def lost(self) -> bytes:
        """Bytes of the requests that are known to be lost, or whose replies are, once more."""
        lost, self._lost = self._lost, []
        return b"".join(self._again(asked) for asked in lost if asked in self._asked)

    def receive(self, data: bytes) -> None:
        """Take bytes from the line, in pieces of any size."""
        self.counters.bytes_received += len(data)
        for item in self._decoder.feed(data):
            if isinstance(item, BadFrame):
                self.counters.bad_frames += 1
                self.counters.last_bad = item
                self.frame_size.lost()
            else:
                self.counters.frames_received += 1
                self._received.append(item)

    def next_event(self) -> Reply | None:
        """The reply to the oldest request under way, Working, Busy, or None: more bytes are needed.

        Raises:
            DeviceReset: the device has restarted since the session began.
            DeviceFault: it has, and says that a fault was the cause.
            DeviceRefused: the device refused the oldest request.
            LinkError: another program has opened a session on the same device.
            MismatchError: the device broke the protocol, or speaks another version of it.
        """
        while True:
            if self._asked and self._asked[0].answer is not None:
                return self._concluded(self._asked.popleft())
            if not self._received:
                return None
            event = self._take(self._received.popleft())
            if event is not None:
                return event

    def _concluded(self, asked: _Asked) -> Reply:
        if isinstance(asked.answer, HilError):
            raise asked.answer
        assert asked.answer is not None
        if isinstance(asked.answer, HelloReply):
            self._greeted = True
            # Minor version 0 knew no windows: it announced buffers, and took one request at a time.
            self._window = max(1, asked.answer.rx_frames) if asked.answer.protocol_minor else 1
        return asked.answer

    def _take(self, frame: Frame) -> Reply | None:
        header = frame.header
        if self._take_unasked(frame):
            return None
        if self._greeted and header.session == SESSION_NONE:
            raise DeviceReset(
                "the device restarted in the middle of the session: its frames carry session id 0",
                remedy="look for a power dip, a watchdog or a fault, then run again: what was loaded is gone",
            )
        asked = next((asked for asked in self._asked if asked.sequence == header.sequence), None)
        is_ours = header.session == self.session_id or self._is_refused_session(frame)
        if asked is None or asked.answer is not None or not is_ours:
            self.counters.stale_frames += 1
            return None
        if header.type == MessageType.BUSY | REPLY_BIT:
            return _unpack(Busy, frame)
        if header.type == MessageType.WORKING | REPLY_BIT:
            return self._told(_unpack(Working, frame), asked)
        if header.type == MessageType.ERROR | REPLY_BIT:
            asked.answer = refusal(_unpack(ErrorReply, frame), asked.request)
        elif header.type != asked.request.TYPE | REPLY_BIT:
            raise MismatchError(
                f"the device answered {type(asked.request).__name__} with a frame of type 0x{header.type:02X}",
                code="wrong_reply",
                remedy="flash the firmware that belongs to this version of hil",
            )
        else:
            asked.answer = _unpack(asked.request.REPLY, frame)
        self.frame_size.passed(len(asked.frame) + len(frame.payload))
        self._suspect(asked, heard=set())
        return None

    def _told(self, working: Working, asked: _Asked) -> Working:
        """What the device has not heard of is to be sent again."""
        held = {(working.due + ahead) % 2**16 for ahead in range(16) if working.held >> ahead & 1}
        self._suspect(asked, heard=held | {(working.due - 1) % 2**16})
        return working

    def _suspect(self, evidence: _Asked, heard: set[int]) -> None:
        # Of a request that was sent more than once it is not known which of them was heard. The last one, more often
        # than not: a repeat in vain costs less than a wait.
        for asked in self._asked:
            is_older = asked.last_sent < evidence.last_sent
            if is_older and asked.answer is None and asked.sequence not in heard and asked not in self._lost:
                self._lost.append(asked)

    def _again(self, asked: _Asked) -> bytes:
        self.counters.repeats += 1
        if self._greeted:  # before that the device has not booted yet, more likely than not
            self.frame_size.lost()
        return self._on_the_line(asked)

    def _on_the_line(self, asked: _Asked) -> bytes:
        self._frames_sent += 1
        asked.last_sent = self._frames_sent
        self.counters.bytes_sent += len(asked.frame)
        return asked.frame

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
