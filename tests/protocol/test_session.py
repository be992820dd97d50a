"""The session's rules, played against frames made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import DeviceFault, DeviceReset, LinkError, LocalProtocolError, MismatchError
from harness.protocol.frame_size import LEAST_BYTES, START_BYTES
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
from harness.protocol.wire import MAX_PAYLOAD_BYTES, WINDOW, ErrorCode, ErrorGroup, MessageType

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


def greeted(hello: HelloReply) -> Session:
    session = Session(SESSION)
    session.receive(answer(session.send(Hello()), hello))
    assert isinstance(session.next_event(), HelloReply)
    return session


@pytest.fixture
def session() -> Session:
    return greeted(HelloReply(rx_frames=WINDOW, protocol_minor=1))


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


def test_a_device_without_windows_is_asked_one_thing_at_a_time_and_hello_comes_first() -> None:
    session = greeted(HelloReply(rx_frames=2, protocol_minor=0))
    session.send(Echo())
    assert not session.may_send
    with pytest.raises(LocalProtocolError, match="under way"):
        session.send(Echo())
    with pytest.raises(LocalProtocolError, match="Hello"):
        Session(SESSION).send(Echo())
    with pytest.raises(LocalProtocolError, match="no request is under way"):
        Session(SESSION).repeat()


def test_too_long_a_payload_is_not_sent(session: Session) -> None:
    with pytest.raises(LocalProtocolError, match=str(MAX_PAYLOAD_BYTES + 1)):
        session.send(Echo(data=bytes(MAX_PAYLOAD_BYTES + 1)))


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
    session.receive(answer(data, Working(steps_done=3, due=3)))
    assert session.next_event() == Working(steps_done=3, due=3)
    assert session.lost() == b""
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


def sent(session: Session, count: int) -> list[bytes]:
    """So many requests under way, told apart by their data."""
    return [session.send(Echo(data=bytes([number]))) for number in range(count)]


def test_as_many_requests_are_under_way_as_the_device_has_room_for(session: Session) -> None:
    frames = sent(session, WINDOW)
    assert not session.may_send
    session.receive(answer(frames[0], EchoReply(data=b"\0")))
    assert session.next_event() == EchoReply(data=b"\0")
    assert session.may_send
    assert session.requests_under_way == WINDOW - 1


def test_replies_come_out_in_order_and_what_is_missing_is_asked_for_at_once(session: Session) -> None:
    first, second = sent(session, 2)
    session.receive(answer(second, EchoReply(data=b"\1")))
    assert session.next_event() is None, "the first one's turn"
    assert session.lost() == first
    assert session.lost() == b"", "once"
    session.receive(answer(first, EchoReply(data=b"\0")))
    assert [session.next_event(), session.next_event()] == [EchoReply(data=b"\0"), EchoReply(data=b"\1")]
    assert session.counters.repeats == 1


def test_only_what_the_device_does_not_hold_is_sent_again() -> None:
    session = greeted(HelloReply(rx_frames=4, protocol_minor=1))
    first, second, third, fourth = sent(session, 4)
    due = request_frame(first).header.sequence
    held_second = Working(due=due, held=0b0010)
    session.receive(answer(second, held_second))
    assert session.next_event() == held_second
    assert session.lost() == first
    held_fourth = Working(due=due, held=0b1010)
    session.receive(answer(fourth, held_fourth))
    assert session.next_event() == held_fourth
    assert session.lost() == third, "the first one may be on its way again, the second one is there"


def test_what_was_sent_after_the_frame_that_was_answered_may_still_be_on_its_way(session: Session) -> None:
    first, second = sent(session, 2)
    assert session.repeat() == first
    session.receive(answer(second, EchoReply(data=b"\1")))
    assert session.next_event() is None
    assert session.lost() == b""


def test_an_answer_to_a_repeat_tells_of_all_that_was_sent_before_it(session: Session) -> None:
    first, second = sent(session, 2)
    assert session.repeat() == first
    session.receive(answer(first, EchoReply()))
    assert session.next_event() == EchoReply()
    assert session.lost() == second


def test_the_numbers_of_a_window_wrap() -> None:
    session = Session(SESSION)
    session._sequence = 65533
    session.receive(answer(session.send(Hello()), HelloReply(rx_frames=3, protocol_minor=1)))
    session.next_event()
    first, second, third = sent(session, 3)
    assert [request_frame(frame).header.sequence for frame in (first, second, third)] == [65535, 0, 1]
    working = Working(due=65535, held=0b100)
    session.receive(answer(third, working))
    assert session.next_event() == working
    assert session.lost() == first + second


def test_a_refusal_waits_for_its_turn(session: Session) -> None:
    first, second = sent(session, 2)
    error = ErrorReply(group=ErrorGroup.IMAGE, request_type=2, code=ErrorCode.TOO_LARGE)
    session.receive(answer(second, error) + answer(first, EchoReply()))
    assert session.next_event() == EchoReply()
    with pytest.raises(DeviceRefused):
        session.next_event()


def test_frames_become_small_where_they_are_lost_and_large_again_where_they_are_not(session: Session) -> None:
    size = session.frame_size
    for _ in range(12):
        session.receive(answer(session.send(Echo(data=bytes(size.limit_bytes))), EchoReply(data=bytes(8))))
        session.next_event()
    assert size.limit_bytes == MAX_PAYLOAD_BYTES
    for _ in range(5):
        session.receive(b"\x05noise\0")
    assert size.limit_bytes == LEAST_BYTES
    for _ in range(20):
        session.send(Echo())
        session.repeat()
        session.receive(answer(session.repeat(), EchoReply()))
        session.next_event()
    assert size.limit_bytes == LEAST_BYTES


def test_a_device_that_boots_late_is_no_bad_line() -> None:
    session = Session(SESSION)
    session.send(Hello())
    for _ in range(20):
        session.repeat()
    assert session.frame_size.limit_bytes == START_BYTES
