"""The host's side of a record, once more: each recorded byte goes through a new session, which draws its conclusions.

No clock: the order of the entries is all that a session knows. So what a host concluded (an answer, a refusal, a
restart of the device, no answer at all) is found again on any machine, as long as its session is the one that this hil
has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import HilError
from harness.protocol.framing import Frame, FrameDecoder
from harness.protocol.messages import Busy, Hello, HelloReply, Request, Working
from harness.protocol.refusals import DeviceRefused, version_mismatch
from harness.protocol.session import Session
from harness.protocol.wire import PROTOCOL_MAJOR, SESSION_NONE, MessageType
from harness.replay.messages import REQUEST_OF_TYPE
from harness.replay.transport import failure_of, first_difference
from harness.transport.link_record import Entry, EntryKind


@dataclass(frozen=True)
class Conclusion:
    """What the host made of something that was not simply answered.

    Attributes:
        time_s: when, in seconds since the recording began.
        text: what, in a sentence.
        code: that of the error, for scripts; empty where it is none.
    """

    time_s: float
    text: str
    code: str = ""


@dataclass
class _Asked:
    """A request under way: its frame, when it was sent first, and how often."""

    frame: Frame
    time_s: float
    attempts: int = 1


class HostAgain:
    """Sessions that take the place of the recorded host's. One per link; a HELLO with another id opens the next.

    Attributes:
        requests: requests that were sent, repeats not counted.
        answered: how many of them got their reply.
        sessions: sessions that were begun.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.answered = 0
        self.sessions = 0
        self._time_s = 0.0
        self._session: Session | None = None
        self._forget()

    @property
    def is_waiting(self) -> bool:
        """Whether a request is under way."""
        return bool(self._under_way)

    def follow(self, entry: Entry) -> Iterator[Conclusion]:
        """Take the next entry; whatever was not simply answered."""
        self._time_s = entry.time_s
        if entry.kind == EntryKind.SENT:
            for frame in self._sent.feed(entry.data):
                if isinstance(frame, Frame):
                    yield from self._send(frame)
        elif entry.kind == EntryKind.RECEIVED and self._session is not None:
            self._session.receive(entry.data)
            yield from self._take()
        elif entry.kind == EntryKind.FAILED:
            during, error = failure_of(entry)
            self._under_way.clear()
            yield Conclusion(entry.time_s, f"the line failed during a {during}: {error.message}", error.code)
        elif entry.kind in (EntryKind.OPENED, EntryKind.CLOSED):
            yield from self.rest()
            self._forget()

    def rest(self) -> Iterator[Conclusion]:
        """The requests that are still under way, where there are some: nothing more comes."""
        if not self._under_way:
            return
        oldest, times = self._under_way[0], "once"
        if oldest.attempts > 1:
            times = f"{oldest.attempts} times"
        more = f", and {len(self._under_way) - 1} behind it" if len(self._under_way) > 1 else ""
        self._under_way.clear()
        waited_s = self._time_s - oldest.time_s
        text = f"no answer to {type(_request_of(oldest.frame)).__name__}, sent {times} in {waited_s:.1f} s{more}"
        yield Conclusion(self._time_s, text, "no_answer")

    def _forget(self) -> None:
        self._sent = FrameDecoder()
        self._session = None
        self._under_way: deque[_Asked] = deque()

    def _send(self, frame: Frame) -> Iterator[Conclusion]:
        known = next((asked for asked in self._under_way if asked.frame == frame), None)
        if known is not None:
            known.attempts += 1
            return
        if frame.header.type == MessageType.HELLO:
            yield from self.rest()
        try:
            request = _request_of(frame)
            sent = self._sent_again(request, frame)
        except (HilError, ValueError) as error:
            self._session = None
            self._under_way.clear()
            yield Conclusion(self._time_s, f"no hil of this version sends that: {error}", "host_deviates")
            return
        self.requests += 1
        self._under_way.append(_Asked(frame, self._time_s))
        if sent != frame:
            yield Conclusion(self._time_s, _difference(sent, frame), "host_deviates")
        yield from self._take()

    def _sent_again(self, request: Request[Any], frame: Frame) -> Frame:
        """What a session of ours sends for a recorded request."""
        is_new = isinstance(request, Hello) and self._session_id != frame.header.session
        if self._session is None or is_new:
            self._session = Session(frame.header.session)
            self.sessions += 1
        (sent,) = FrameDecoder().feed(self._session.send(request))
        assert isinstance(sent, Frame)
        return sent

    @property
    def _session_id(self) -> int:
        return SESSION_NONE if self._session is None else self._session.session_id

    def _take(self) -> Iterator[Conclusion]:
        """What the session makes of what came, up to the last reply: what comes after it waits for a request."""
        while self._session is not None and self._under_way:
            try:
                event = self._session.next_event()
                if isinstance(event, HelloReply) and event.protocol_major != PROTOCOL_MAJOR:
                    raise version_mismatch(event.protocol_major, event.protocol_minor)
            except DeviceRefused as refused:  # after which alone a session goes on
                self._under_way.popleft()
                yield Conclusion(self._time_s, refused.message, refused.code)
                continue
            except HilError as error:
                self._under_way.clear()
                self._session = None
                yield Conclusion(self._time_s, error.message, error.code)
                return
            if event is None:
                return
            if not isinstance(event, (Working, Busy)):
                self.answered += 1
                self._under_way.popleft()


def _request_of(frame: Frame) -> Request[Any]:
    kind = REQUEST_OF_TYPE.get(frame.header.type)
    if kind is None:
        raise ValueError(f"a frame of type 0x{frame.header.type:02X}")
    return kind.unpack(frame.payload)


def _difference(ours: Frame, recorded: Frame) -> str:
    at = first_difference(*(frame.header.pack() + frame.payload for frame in (ours, recorded)))
    return f"this hil would have sent another frame: it differs from byte {at} of header and payload on"
