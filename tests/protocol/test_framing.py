"""Frames: the same table for the Python and the C code, whole, byte by byte, and between noise."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from frame_cases import CASES, HEADER, line
from harness.build.native import compile_host_tool
from harness.build.paths import project_root
from harness.protocol.framing import BadFrame, FrameDecoder, FrameFault, Received, encode_frame
from harness.protocol.messages import Header
from harness.protocol.wire import crc32

IDS = [title for title, _, _ in CASES]
FAULTS = {FrameFault.BAD_CRC: "bad_crc", FrameFault.BAD_COBS: "bad_cobs", FrameFault.OVERSIZED: "oversized"}


class CWire:
    """The firmware's wire code as a process of this machine, under the sanitizers."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command: str, data: bytes) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command} {data.hex()}\n")
        self._process.stdin.flush()
        answers = []
        while (answer := self._process.stdout.readline().strip()) != ".":
            assert answer, "the program ended"
            answers.append(answer)
        return answers

    def decode(self, data: bytes) -> list[bytes | str]:
        answers = self.ask("D", data)
        return [bytes.fromhex(a.split()[1]) if a.startswith("frame ") else a for a in answers]

    def encode(self, frame: bytes) -> bytes:
        return bytes.fromhex(self.ask("E", frame)[0])

    def close(self) -> None:
        with self._process:  # closes its pipes and waits
            pass
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def c_wire() -> Iterator[CWire]:
    program = compile_host_tool("frame_tool", [project_root() / "firmware" / "test" / "frame_tool.c"])
    wire = CWire(program)
    yield wire
    wire.close()


def plain(received: list[Received]) -> tuple[bytes | str, ...]:
    return tuple(
        FAULTS[item.fault] if isinstance(item, BadFrame) else item.header.pack() + item.payload for item in received
    )


@pytest.mark.parametrize(("title", "data", "expected"), CASES, ids=IDS)
def test_python_decodes_whole_and_byte_by_byte(title: str, data: bytes, expected: tuple[bytes | str, ...]) -> None:
    assert plain(FrameDecoder().feed(data)) == expected
    decoder = FrameDecoder()
    assert plain([item for byte in data for item in decoder.feed(bytes([byte]))]) == expected
    assert plain(FrameDecoder().feed(data + line(HEADER)[:9])) == expected


@pytest.mark.parametrize(("title", "data", "expected"), CASES, ids=IDS)
def test_c_decodes_the_same(c_wire: CWire, title: str, data: bytes, expected: tuple[bytes | str, ...]) -> None:
    assert tuple(c_wire.decode(data)) == expected


@pytest.mark.parametrize(("title", "data", "expected"), CASES[:8], ids=IDS[:8])
def test_both_encode_the_same(c_wire: CWire, title: str, data: bytes, expected: tuple[bytes, ...]) -> None:
    frame = expected[0]
    assert encode_frame(Header.unpack(frame), frame[8:]) == data
    assert c_wire.encode(frame) == data


def test_crc_check_value() -> None:
    assert crc32(b"123456789") == 0xCBF43926
    assert crc32(b"6789", crc32(b"12345")) == 0xCBF43926
