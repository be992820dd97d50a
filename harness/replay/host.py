"""The host's side of a record, once more: each recorded byte goes through a new session, which draws its conclusions.

No clock: the order of the entries is all that a session knows. So what a host concluded (an answer, a refusal, a
restart of the device, no answer at all) is found again on any machine, as long as its session is the one that this hil
has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.errors import HilError
from harness.protocol.framing import Frame, FrameDecoder
from harness.protocol.messages import Busy, Hello, HelloReply, Request, Working
from harness.protocol.refusals import DeviceRefused, version_mismatch
from harness.protocol.session import Session
from harness.protocol.wire import PROTOCOL_MAJOR, SESSION_NONE
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
        self._pending: Frame | None = None
        self._forget()

    @property
    def is_waiting(self) -> bool:
        """Whether a request is under way."""
        return self._pending is not None

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
            self._pending = None
            yield Conclusion(entry.time_s, f"the line failed during a {during}: {error.message}", error.code)
        elif entry.kind in (EntryKind.OPENED, EntryKind.CLOSED):
            yield from self.rest()
            self._forget()

    def rest(self) -> Iterator[Conclusion]:
        """The request that is still under way, where there is one: nothing more comes."""
        if self._pending is None:
            return
        name, times = type(_request_of(self._pending)).__name__, "once"
        if self._attempts > 1:
            times = f"{self._attempts} times"
        self._pending = None
        waited_s = self._time_s - self._asked_s
        yield Conclusion(self._time_s, f"no answer to {name}, sent {times} in {waited_s:.1f} s", "no_answer")

    def _forget(self) -> None:
        self._sent = FrameDecoder()
        self._session = None
        self._pending = None
        self._attempts = 0
        self._asked_s = 0.0

    def _send(self, frame: Frame) -> Iterator[Conclusion]:
        if frame == self._pending:
            self._attempts += 1
            return
        yield from self.rest()
        self._pending, self._attempts, self._asked_s = None, 1, self._time_s
        try:
            request = _request_of(frame)
            sent = self._sent_again(request, frame)
        except (HilError, ValueError) as error:
            self._session = None
            yield Conclusion(self._time_s, f"no hil of this version sends that: {error}", "host_deviates")
            return
        self.requests += 1
        self._pending = frame
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
        """What the session makes of what came, up to the reply: what came after it waits for the next request."""
        while self._session is not None and self._pending is not None:
            try:
                event = self._session.next_event()
                if isinstance(event, HelloReply) and event.protocol_major != PROTOCOL_MAJOR:
                    raise version_mismatch(event.protocol_major, event.protocol_minor)
            except HilError as error:
                self._pending = None
                if not isinstance(error, DeviceRefused):  # after which alone a session goes on
                    self._session = None
                yield Conclusion(self._time_s, error.message, error.code)
                return
            if event is None:
                return
            if not isinstance(event, (Working, Busy)):
                self.answered += 1
                self._pending = None


def _request_of(frame: Frame) -> Request[Any]:
    kind = REQUEST_OF_TYPE.get(frame.header.type)
    if kind is None:
        raise ValueError(f"a frame of type 0x{frame.header.type:02X}")
    return kind.unpack(frame.payload)


def _difference(ours: Frame, recorded: Frame) -> str:
    at = first_difference(*(frame.header.pack() + frame.payload for frame in (ours, recorded)))
    return f"this hil would have sent another frame: it differs from byte {at} of header and payload on"
