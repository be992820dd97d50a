"""Whatever is lost, doubled or damaged on the way: replies are right and in order, or there is a typed error."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

from harness.device import Device
from harness.errors import LinkTimeout
from harness.fake import FakeDevice, FakeTransport
from harness.protocol.messages import Echo

FATES = ("passes", "is lost", "is damaged", "comes twice", "loses its end")

fates = st.lists(st.sampled_from(("passes", *FATES)), min_size=1, max_size=40)


class Hostile(FakeTransport):
    """A line that does to each piece of bytes what it is told to."""

    def __init__(self, device: FakeDevice, to_device: Iterator[str], to_host: Iterator[str]) -> None:
        super().__init__(device)
        self._to_device, self._to_host = to_device, to_host

    def write(self, data: bytes) -> None:
        super().write(met(data, next(self._to_device)))

    def read(self, timeout_s: float) -> bytes:
        data = super().read(timeout_s)
        return met(data, next(self._to_host)) if data else data


def met(data: bytes, fate: str) -> bytes:
    half = len(data) // 2
    return {
        "passes": data,
        "is lost": b"",
        "is damaged": data[:half] + bytes([data[half] ^ 0x10]) + data[half + 1 :],
        "comes twice": data + data,
        "loses its end": data[:half],
    }[fate]


@given(to_device=fates, to_host=fates, sizes=st.lists(st.integers(0, 300), min_size=1, max_size=30))
def test_replies_are_right_in_order_and_nothing_is_worked_on_twice(
    to_device: list[str], to_host: list[str], sizes: list[int]
) -> None:
    fake = FakeDevice()
    device = Device(FakeTransport(fake))
    device.connect()
    hostile = Hostile(fake, cycle(to_device), cycle(to_host))
    device._transport, device._clock = hostile, hostile.clock
    wanted = [bytes([number]) * size for number, size in enumerate(sizes)]
    replies: list[bytes] = []
    try:
        device.exchange((Echo(data=data), lambda reply: replies.append(reply.data)) for data in wanted)
    except LinkTimeout:
        assert set(to_device + to_host) != {"passes"}
    else:
        assert fake.worked_on == 1 + len(sizes)
        assert replies == wanted
    assert replies == wanted[: len(replies)]
    assert fake.worked_on <= 1 + len(sizes)
