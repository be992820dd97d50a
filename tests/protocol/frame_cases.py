"""One table of frames that drives the Python and the C code: bytes of the line, and what they hold."""

from __future__ import annotations

from cobs import cobs

from harness.protocol.framing import MAX_FRAME_BYTES
from harness.protocol.wire import crc32

HEADER = bytes.fromhex("0200010078563412")


def body(payload: bytes) -> bytes:
    """Header and payload as they stand before the CRC."""
    return HEADER + payload


def line(frame: bytes) -> bytes:
    """A frame on the line, made by hand and not by the code under test."""
    return _without_crc(frame + crc32(frame).to_bytes(4, "little"))


def _without_crc(frame: bytes) -> bytes:
    encoded: bytes = cobs.encode(frame)
    return b"\0" + encoded + b"\0\0"


_LARGEST = body(bytes(range(256)) * 8 + bytes(16))
assert len(_LARGEST) == MAX_FRAME_BYTES - 4

# (title, bytes of the line, what each end of a frame gives: the frame's header and payload, or the name of a fault)
CASES: tuple[tuple[str, bytes, tuple[bytes | str, ...]], ...] = (
    ("empty payload", line(body(b"")), (body(b""),)),
    ("only zeros", line(body(bytes(64))), (body(bytes(64)),)),
    ("no zero in the payload", line(body(b"\x01" * 64)), (body(b"\x01" * 64),)),
    ("a COBS block one short of full", line(body(b"\xaa" * 245)), (body(b"\xaa" * 245),)),
    ("a full COBS block", line(body(b"\xaa" * 246)), (body(b"\xaa" * 246),)),
    ("a full COBS block and one more", line(body(b"\xaa" * 247)), (body(b"\xaa" * 247),)),
    ("several full blocks", line(body(b"\xff" * 1000)), (body(b"\xff" * 1000),)),
    ("the largest frame", line(_LARGEST), (_LARGEST,)),
    ("one byte over the largest", line(_LARGEST + b"\x01"), ("oversized",)),
    ("far over the largest", line(b"\x55" * 5000), ("oversized",)),
    ("two frames back to back", line(body(b"a")) + line(body(b"b")), (body(b"a"), body(b"b"))),
    ("delimiters shared and doubled", b"\0\0\0" + line(body(b"a")) + b"\0\0", (body(b"a"),)),
    ("noise before a frame", b"\x11\x22\x33" + line(body(b"a")), ("bad_cobs", body(b"a"))),
    ("noise that looks like blocks", b"\x02\x41\x02\x42" + line(body(b"a")), ("bad_cobs", body(b"a"))),
    ("a frame cut short, then a whole one", line(body(b"abcdef"))[:-6] + line(body(b"b")), ("bad_cobs", body(b"b"))),
    ("a flipped bit", line(body(b"a")).replace(b"\x78", b"\x79"), ("bad_crc",)),
    ("a wrong CRC", _without_crc(body(b"abc") + b"\1\2\3\4"), ("bad_crc",)),
    ("shorter than header and CRC", _without_crc(b"\1\2\3\4\5\6\7\x08\x09\x0a\x0b"), ("bad_cobs",)),
    ("nothing but a code byte", b"\0\x01\0", ("bad_cobs",)),
    ("after an oversized one", line(b"\x55" * 3000) + line(body(b"b")), ("oversized", body(b"b"))),
)
