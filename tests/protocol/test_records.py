"""Layouts: what is packed is unpacked, what cannot be read is refused, names fit their fields."""

from __future__ import annotations

import pytest

from harness.errors import LocalProtocolError
from harness.protocol import messages
from harness.protocol.cgen import RECORDS
from harness.protocol.image import NodeRecord
from harness.protocol.messages import ErrorReply, HelloReply, ImageBegin, Write
from harness.protocol.records import Record
from harness.protocol.wire import ErrorCode, ErrorGroup, NodeKind, Region


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_fields_are_aligned_and_sizes_are_multiples_of_the_largest(record: type[Record]) -> None:
    offset = 0
    for name, width in record.layout():
        if width.kind == "int":
            assert offset % width.size_bytes == 0, name
        offset += width.size_bytes
    assert record.size_bytes() == offset


def test_a_record_survives_the_wire() -> None:
    write = Write(region=Region.STATE_C, node=3, offset=1024, data=b"abc")
    assert Write.unpack(write.pack()) == write
    assert write.pack() == bytes.fromhex("04 00 0300 00040000") + b"abc"


def test_an_appended_field_of_a_later_version_is_ignored() -> None:
    reply = ErrorReply(group=ErrorGroup.RUN, request_type=1, code=ErrorCode.BAD_REGION, detail=7)
    assert ErrorReply.unpack(reply.pack() + b"later") == reply


def test_too_short_or_unknown_values_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 12 bytes"):
        ErrorReply.unpack(b"\x03")
    with pytest.raises(ValueError, match="200"):
        ErrorReply.unpack(bytes([200]) + bytes(11))


def test_a_value_that_does_not_fit_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        ImageBegin(image_bytes=2**32).pack()
    with pytest.raises(LocalProtocolError):
        HelloReply(unique_id=b"short").pack()


def test_a_long_name_is_cut_at_a_character() -> None:
    record = NodeRecord(kind=NodeKind.LSTM, name="größtes_Netz_mit_langem_Namen")
    assert NodeRecord.unpack(record.pack() + bytes(0)).name == "größtes_Netz_mit_langem_Na"


def test_every_request_names_its_reply() -> None:
    for request in messages.REQUESTS:
        assert request.REPLY.TYPE == request.TYPE
