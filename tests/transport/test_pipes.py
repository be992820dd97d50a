"""A line over pipes, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.errors import LinkClosed, LinkTimeout
from harness.transport.pipes import Pipes


@dataclass
class OtherEnd:
    """A line, and the descriptors at its other end."""

    line: Pipes
    reader: int
    writer: int


@pytest.fixture
def other_end() -> Iterator[OtherEnd]:
    its_input, writer = os.pipe()
    reader, its_output = os.pipe()
    end = OtherEnd(Pipes(reader, writer, "the other end", gather_s=0.001), its_input, its_output)
    yield end
    end.line.close()
    for descriptor in (end.reader, end.writer):
        try:
            os.close(descriptor)
        except OSError:
            pass  # closed by the test


def test_bytes_go_both_ways(other_end: OtherEnd) -> None:
    other_end.line.write(b"to")
    assert os.read(other_end.reader, 10) == b"to"
    assert other_end.line.read(0.0) == b""
    os.write(other_end.writer, b"fro")
    assert other_end.line.read(1.0) == b"fro"


def test_an_end_that_is_gone_is_said(other_end: OtherEnd) -> None:
    os.write(other_end.writer, b"last words")
    os.close(other_end.writer)
    os.close(other_end.reader)
    assert other_end.line.read(1.0) == b"last words"
    with pytest.raises(LinkClosed, match="the other end has gone away"):
        other_end.line.read(1.0)
    with pytest.raises(LinkClosed):
        other_end.line.write(b"x")


def test_an_end_that_takes_nothing_is_not_waited_for_for_ever(
    other_end: OtherEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.transport.pipes._WRITE_TIMEOUT_S", 0.05)
    with pytest.raises(LinkTimeout, match="took no bytes"):
        other_end.line.write(bytes(1_000_000))


def test_a_closed_line_is_no_line(other_end: OtherEnd) -> None:
    other_end.line.close()
    other_end.line.close()
    with pytest.raises(LinkClosed):
        other_end.line.read(0.0)
    with pytest.raises(LinkClosed):
        other_end.line.write(b"x")
