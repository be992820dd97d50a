"""The session's rules, played against frames made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import DeviceFault, DeviceReset, LinkError, LocalProtocolError, MismatchError
from harness.protocol.framing import Frame, FrameDecoder, encode_frame
from harness.protocol.messages import (
    Echo,
    EchoReply,
    ErrorReply,
    Fault,
    Header,
    Hello,
    HelloReply,
    Log,
    Message,
    Working,
)
from harness.protocol.refusals import DeviceRefused
from harness.protocol.session import Session
from harness.protocol.wire import ErrorCode, ErrorGroup, MessageType

SESSION = 0xCAFE


def request_frame(data: bytes) -> Frame:
    (frame,) = FrameDecoder().feed(data)
    assert isinstance(frame, Frame)
    return frame


def answer(request: bytes, reply: Message, **changes: Any) -> bytes:
    """A device's frame to a request, with header fields changed at will."""
    sent = request_frame(request).header
    fields = {"type": reply.TYPE | 0x80, "sequence": sent.sequence, "session": sent.session, **changes}
    return encode_frame(Header(**fields), reply.pack())


@pytest.fixture
def session() -> Session:
    greeted = Session(SESSION)
    greeted.receive(answer(greeted.send(Hello()), HelloReply()))
    assert isinstance(greeted.next_event(), HelloReply)
    return greeted


def test_a_request_gets_its_reply(session: Session) -> None:
    data = session.send(Echo(data=b"abc"))
    assert session.next_event() is None
    reply = answer(data, EchoReply(data=b"abc"))
    for byte in reply[:-3]:
        session.receive(bytes([byte]))
        assert session.next_event() is None
    session.receive(reply[-3:])
    assert session.next_event() == EchoReply(data=b"abc")


def test_sequence_numbers_go_up_and_a_repeat_is_the_same_bytes(session: Session) -> None:
    first = session.send(Echo())
    assert session.repeat() == first
    session.receive(answer(first, EchoReply()))
    session.next_event()
    second = session.send(Echo())
    assert request_frame(second).header.sequence == request_frame(first).header.sequence + 1


def test_one_request_at_a_time_and_hello_first(session: Session) -> None:
    session.send(Echo())
    with pytest.raises(LocalProtocolError, match="under way"):
        session.send(Echo())
    with pytest.raises(LocalProtocolError, match="Hello"):
        Session(SESSION).send(Echo())
    with pytest.raises(LocalProtocolError, match="no request is under way"):
        Session(SESSION).repeat()


def test_too_long_a_payload_is_not_sent(session: Session) -> None:
    with pytest.raises(LocalProtocolError, match="1041"):
        session.send(Echo(data=bytes(1041)))


def test_stale_frames_are_dropped(session: Session) -> None:
    data = session.send(Echo())
    session.receive(answer(data, EchoReply(data=b"old"), sequence=1))
    session.receive(answer(data, EchoReply(data=b"other host"), session=SESSION + 1))
    assert session.next_event() is None
    assert session.counters.stale_frames == 2


def test_another_program_on_the_line_is_told(session: Session) -> None:
    data = session.send(Echo())
    error = ErrorReply(
        group=ErrorGroup.PROTOCOL, request_type=2, code=ErrorCode.BAD_SESSION, detail=0xBEEF, detail2=SESSION
    )
    session.receive(answer(data, error, session=0xBEEF))
    with pytest.raises(LinkError, match="another program") as taken:
        session.next_event()
    assert taken.value.code == "session_taken"


def test_session_zero_means_a_reset(session: Session) -> None:
    data = session.send(Echo())
    session.receive(answer(data, EchoReply(), session=0))
    with pytest.raises(DeviceReset):
        session.next_event()


def test_before_the_greeting_session_zero_is_only_stale() -> None:
    session = Session(SESSION)
    data = session.send(Hello())
    session.receive(answer(data, HelloReply(), session=0))
    assert session.next_event() is None


def test_working_leaves_the_request_under_way(session: Session) -> None:
    data = session.send(Echo())
    session.receive(answer(data, Working(steps_done=3)))
    assert session.next_event() == Working(steps_done=3)
    session.receive(answer(data, EchoReply()))
    assert session.next_event() == EchoReply()


def test_an_error_says_why(session: Session) -> None:
    data = session.send(Echo())
    error = ErrorReply(group=ErrorGroup.IMAGE, request_type=2, code=ErrorCode.TOO_LARGE, detail=200, detail2=100)
    session.receive(answer(data, error))
    with pytest.raises(DeviceRefused, match="needs 200 bytes, 100 are free") as refused:
        session.next_event()
    assert refused.value.code == "device_too_large"
    session.send(Echo())  # the refused request is over


def test_another_protocol_version_is_a_mismatch() -> None:
    session = Session(SESSION)
    data = session.send(Hello())
    error = ErrorReply(group=ErrorGroup.PROTOCOL, request_type=1, code=ErrorCode.BAD_VERSION, detail=9, detail2=2)
    session.receive(answer(data, error, session=0))
    with pytest.raises(MismatchError, match=r"9\.2"):
        session.next_event()


def test_a_reply_of_the_wrong_type_or_shape_is_the_firmwares_fault(session: Session) -> None:
    data = session.send(Echo())
    session.receive(answer(data, EchoReply(), type=MessageType.READ | 0x80))
    with pytest.raises(MismatchError, match="0x99"):
        session.next_event()
    fresh = Session(SESSION)
    data = fresh.send(Hello())
    header = Header(type=0x81, sequence=1, session=SESSION)
    fresh.receive(encode_frame(header, b"short"))
    with pytest.raises(MismatchError, match="HelloReply"):
        fresh.next_event()


def test_bad_frames_are_counted(session: Session) -> None:
    session.receive(b"\x05noise\0")
    assert session.counters.bad_frames == 1
    assert session.counters.last_bad is not None


def unasked(message: Message, session: int) -> bytes:
    return encode_frame(Header(type=message.TYPE | 0x80, session=session), message.pack())


def test_logs_pass_at_any_time_and_leave_the_request_under_way(session: Session) -> None:
    session.receive(unasked(Log(number=1), SESSION))
    data = session.send(Echo())
    session.receive(unasked(Log(number=2), SESSION) + unasked(Log(number=3), SESSION + 1))
    assert session.next_event() is None
    same_number = Header(type=Log.TYPE | 0x80, sequence=request_frame(data).header.sequence, session=SESSION)
    session.receive(encode_frame(same_number, Log(number=4).pack()) + answer(data, EchoReply()))
    assert session.next_event() == EchoReply()
    assert [log.number for log in session.logs] == [1, 2, 4], "none of another session"


def test_a_fault_is_told_in_place_of_a_restart(session: Session) -> None:
    data = session.send(Echo())
    session.receive(unasked(Fault(), 0) + answer(data, EchoReply(), session=0))
    with pytest.raises(DeviceFault):
        session.next_event()


def test_a_fault_before_the_greeting_does_not_keep_from_greeting() -> None:
    session = Session(SESSION)
    data = session.send(Hello())
    session.receive(unasked(Fault(count=3), 0) + answer(data, HelloReply()))
    assert isinstance(session.next_event(), HelloReply)
    assert session.fault == Fault(count=3)
    session.receive(unasked(Fault(), SESSION))
    session.send(Echo())
    assert session.next_event() is None, "a device in our session has not restarted"
