"""What holds for any bytes: nothing raises, and a frame survives whatever surrounds it."""

from __future__ import annotations

import pytest

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed (./hil setup --dev)")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from harness.protocol.framing import Frame, FrameDecoder, encode_frame  # noqa: E402
from harness.protocol.messages import Header  # noqa: E402
from harness.protocol.wire import MAX_PAYLOAD_BYTES  # noqa: E402

headers = st.builds(
    Header,
    type=st.integers(0, 255),
    flags=st.integers(0, 255),
    sequence=st.integers(0, 65535),
    session=st.integers(0, 2**32 - 1),
)
payloads = st.binary(max_size=MAX_PAYLOAD_BYTES)


@given(st.lists(st.binary(max_size=3000), max_size=5))
def test_any_bytes_are_taken(pieces: list[bytes]) -> None:
    decoder = FrameDecoder()
    for piece in pieces:
        decoder.feed(piece)


@given(headers, payloads, st.binary(max_size=50), st.integers(1, 100))
def test_a_frame_survives_noise_and_any_cutting(header: Header, payload: bytes, noise: bytes, cut: int) -> None:
    data = noise + encode_frame(header, payload) + noise
    decoder = FrameDecoder()
    received = [item for start in range(0, len(data), cut) for item in decoder.feed(data[start : start + cut])]
    assert Frame(header, payload) in received


@given(headers, payloads, st.data())
def test_a_changed_byte_gives_no_frame(header: Header, payload: bytes, data: st.DataObject) -> None:
    encoded = bytearray(encode_frame(header, payload))
    position = data.draw(st.integers(1, len(encoded) - 3))
    encoded[position] ^= data.draw(st.integers(1, 255))
    received = FrameDecoder().feed(bytes(encoded))
    assert not any(isinstance(item, Frame) for item in received)
