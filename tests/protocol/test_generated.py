"""The C header and the tables of PROTOCOL.md are what the schema makes; the document's frames decode."""

from __future__ import annotations

import re

from harness.protocol import cgen, docgen
from harness.protocol.framing import Frame, FrameDecoder


def test_the_c_header_is_up_to_date() -> None:
    assert cgen.HEADER_PATH.read_text() == cgen.c_header(), "run python -m harness.protocol.cgen"


def test_the_document_is_up_to_date() -> None:
    text = docgen.DOCUMENT_PATH.read_text()
    assert text == docgen.document(text), "run python -m harness.protocol.docgen"


def test_the_worked_frames_decode() -> None:
    blocks = re.findall(r"```hex\n(.*?)```", docgen.DOCUMENT_PATH.read_text(), flags=re.DOTALL)
    assert len(blocks) == len(docgen.EXAMPLES)
    for block, (_, sequence, message) in zip(blocks, docgen.EXAMPLES, strict=True):
        (frame,) = FrameDecoder().feed(bytes.fromhex(block))
        assert isinstance(frame, Frame)
        assert frame.header == docgen.example_header(sequence, message)
        assert type(message).unpack(frame.payload) == message


def test_every_error_code_is_documented_and_explained() -> None:
    from harness.protocol.refusals import _TEXTS
    from harness.protocol.wire import ErrorCode

    text = docgen.DOCUMENT_PATH.read_text()
    for code in ErrorCode:
        assert f"| {code.name} |" in text
        assert code in _TEXTS or code in (ErrorCode.BAD_VERSION, ErrorCode.BAD_SESSION)
