"""A line that errs: each fault alone, and that they come again from the same seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LinkClosed
from harness.transport.base import Transport
from harness.transport.fault_rates import PRESETS, FaultRates
from harness.transport.faulty import LONGEST_BURST_BYTES, LONGEST_DELAY_S, FaultyTransport

DATA = bytes(range(256)) * 40
SPAN_BYTES = 1000


class Wire:
    """What was written, what is there to be read, and a clock that goes on by waiting."""

    def __init__(self, to_read: bytes = b"", piece_bytes: int = 100) -> None:
        self.written = b""
        self.to_read = to_read
        self.piece_bytes = piece_bytes
        self.now_s = 0.0
        self.is_closed = False
        self.resets_at: list[int] = []

    def write(self, data: bytes) -> None:
        self.written += data

    def read(self, timeout_s: float) -> bytes:
        data, self.to_read = self.to_read[: self.piece_bytes], self.to_read[self.piece_bytes :]
        self.now_s += 0 if data else timeout_s
        return data

    def close(self) -> None:
        self.is_closed = True

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds

    def reset(self, line: Transport) -> None:
        assert line is self
        self.resets_at.append(len(self.written))


def faulty(wire: Wire, seed: int = 1, exchange: int = 0, **rates: float) -> FaultyTransport:
    line = FaultyTransport(wire, FaultRates(**rates), seed, reset=wire.reset, clock=wire.clock, sleep=wire.sleep)
    line.begin(exchange, SPAN_BYTES)
    return line


def written(data: bytes = DATA, piece_bytes: int = len(DATA), **options: Any) -> tuple[bytes, FaultyTransport]:
    wire = Wire()
    line = faulty(wire, **options)
    for start in range(0, len(data), piece_bytes):
        line.write(data[start : start + piece_bytes])
    return wire.written, line


def read_all(line: FaultyTransport) -> bytes:
    data = b""
    while piece := line.read(1.0):
        data += piece
    return data


def test_without_faults_nothing_changes() -> None:
    assert written()[0] == DATA
    assert read_all(faulty(Wire(DATA))) == DATA


@pytest.mark.parametrize("to_device", [True, False])
def test_bits_are_inverted_as_often_as_asked(to_device: bool) -> None:
    if to_device:
        got, line = written(bits=0.01)
    else:
        line = faulty(Wire(DATA), bits=0.01)
        got = read_all(line)
    flipped = sum((a ^ b).bit_count() for a, b in zip(got, DATA, strict=True))
    assert flipped == line.injected["bits"]
    assert 0.008 < flipped / (8 * len(DATA)) < 0.012


def test_bytes_are_lost() -> None:
    got, line = written(drop=0.01)
    assert len(DATA) - len(got) == line.injected["drop"] > 50
    rest = iter(DATA)
    assert all(byte in rest for byte in got), "the others stay in their order"


def test_bytes_come_twice() -> None:
    got, line = written(duplicate=0.01)
    assert len(got) - len(DATA) == line.injected["duplicate"] > 50
    rest = iter(got)
    assert all(byte in rest for byte in DATA)


def test_a_byte_may_be_lost_and_come_twice() -> None:
    assert written(drop=1.0, duplicate=1.0)[0] == DATA


def test_a_burst_is_garbage_in_place() -> None:
    got, line = written(bytes(10000), burst=0.001)
    assert len(got) == 10000
    assert 0 < sum(byte != 0 for byte in got) <= line.injected["burst"] * LONGEST_BURST_BYTES


def test_the_end_of_a_write_is_lost() -> None:
    got, line = written(b"0123456789", truncate=1.0)
    assert got == b"0123456789"[: len(got)]
    assert len(got) < 10
    assert line.injected["truncate"] == 1


def test_delays_keep_the_order_and_take_time() -> None:
    wire = Wire(DATA)
    line = faulty(wire, delay=0.001)
    assert read_all(line) == DATA
    assert 0 < wire.now_s - 1.0 <= line.injected["delay"] * LONGEST_DELAY_S  # 1.0: the last read, in vain


def test_what_is_late_is_not_there_in_time() -> None:
    wire = Wire(b"late")
    line = faulty(wire, delay=1.0)
    assert line.read(1e-6) == b""
    assert wire.now_s == pytest.approx(1e-6)
    assert read_all(line) == b"late"


def test_what_was_held_back_comes_when_the_faults_end() -> None:
    wire = Wire(b"late")
    line = faulty(wire, delay=1.0)
    assert line.read(1e-6) == b""
    line.end()
    assert b"".join(line.read(0.0) for _ in range(4)) == b"late"


def test_a_disconnect_cuts_the_line_at_a_byte() -> None:
    wire = Wire()
    line = faulty(wire, disconnect=1.0)
    with pytest.raises(LinkClosed):
        line.write(DATA)
    assert 0 < len(wire.written) <= SPAN_BYTES
    assert wire.is_closed
    assert line.is_gone
    line.end()
    for use in (lambda: line.write(b"x"), lambda: line.read(0.0)):
        with pytest.raises(LinkClosed):
            use()


def test_what_came_before_a_disconnect_can_be_read() -> None:
    line = faulty(Wire(DATA), disconnect=1.0)
    got = b""
    while not line.is_gone:
        got += line.read(1.0)
    with pytest.raises(LinkClosed):
        got += read_all(line)
    assert got == DATA[: len(got)]
    assert 0 < len(got) <= SPAN_BYTES


def test_a_reset_comes_once_and_the_rest_goes_nowhere() -> None:
    wire = Wire()
    line = faulty(wire, reset=1.0)
    line.write(DATA)
    line.write(b"more")
    (at,) = wire.resets_at
    assert wire.written == DATA[:at] + b"more"


def test_resets_fall_everywhere() -> None:
    places = set()
    for exchange in range(300):
        wire = Wire()
        line = faulty(wire, exchange=exchange, reset=1.0)
        for _ in range(0, SPAN_BYTES, 50):
            line.write(bytes(50))
        places |= set(wire.resets_at)
    assert min(places) < 20
    assert max(places) > SPAN_BYTES - 20
    assert len(places) > 200


RATES = replace(PRESETS["broken"], bits=0.003, drop=0.01, duplicate=0.01, burst=0.01, truncate=0, disconnect=0, reset=0)


@given(st.integers(0, 2**32), st.integers(0, 1000), st.integers(1, 300))
def test_faults_come_again_and_do_not_depend_on_the_pieces(seed: int, exchange: int, piece_bytes: int) -> None:
    data = DATA[:1500]
    whole, line = written(data, seed=seed, exchange=exchange, **vars(RATES))
    pieces, other = written(data, piece_bytes, seed=seed, exchange=exchange, **vars(RATES))
    assert whole == pieces
    assert line.injected == other.injected
    reads = [read_all(faulty(Wire(data, size), seed, exchange, **vars(RATES))) for size in (1500, piece_bytes)]
    assert reads[0] == reads[1]
    assert reads[0] != whole, "each direction has its own faults"


def test_another_seed_and_another_exchange_are_other_faults() -> None:
    assert len({written(seed=seed, exchange=n, bits=0.01)[0] for seed in (1, 2) for n in (0, 1)}) == 4


@given(st.builds(FaultRates, *[st.sampled_from([0.0, 1e-320, 0.01, 1.0])] * 6))
def test_no_rates_break_the_line(rates: FaultRates) -> None:
    data, _ = written(DATA[:500], 100, **vars(rates))
    assert isinstance(data, bytes)
    read_all(faulty(Wire(DATA[:500]), **vars(rates)))
