"""The file of a recorded link: what is written is read again, a cut or damaged one gives its sound part and says so."""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LinkClosed, TargetUnavailable, UsageError
from harness.transport.link_record import FORMAT, MAX_DATA_BYTES, Entry, EntryKind, LinkRecord, header_line, packed
from harness.transport.recording import Recording


class ScriptedLine:
    """A line that gives what it was told to, then goes away."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.written = b""
        self.closed = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def read(self, timeout_s: float) -> bytes:
        if not self.replies:
            raise LinkClosed("the cable is out", remedy="put it in")
        return self.replies.pop(0)

    def close(self) -> None:
        self.closed += 1


def entries_of(path: Path) -> tuple[list[Entry], UsageError | None]:
    """The sound entries, and what is wrong after them."""
    entries: list[Entry] = []
    with LinkRecord(path) as record:
        try:
            entries.extend(record.entries())
        except UsageError as error:
            return entries, error
    return entries, None


def small_record() -> bytes:
    """A whole file with an entry of every kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.link"
        with Recording(path, {"kind": "native"}, clock=lambda: 0.0) as recording:
            line = recording.line(ScriptedLine(b"reply"), "native")
            line.write(b"\x00request\x00\x00")
            line.read(1.0)
            with pytest.raises(LinkClosed):
                line.read(1.0)
            line.close()
            recording.note("model a.keras")
        return path.read_bytes()


SMALL = small_record()


def test_bytes_come_back_with_direction_time_and_order(tmp_path: Path) -> None:
    now_s = iter([10.0, 10.0, 10.25, 11.5, 12.0, 12.0, 13.0])
    path = tmp_path / "a.link"
    inner = ScriptedLine(b"one", b"", b"two")
    recording = Recording(path, {"kind": "qemu"}, clock=lambda: next(now_s))
    line = recording.line(inner, "qemu")
    line.write(b"ask")
    assert [line.read(1.0), line.read(1.0), line.read(1.0)] == [b"one", b"", b"two"]
    line.close()
    line.close()
    recording.close()
    recording.close()
    assert (inner.written, inner.closed) == (b"ask", 2)
    assert entries_of(path) == (
        [
            Entry(EntryKind.OPENED, 0.0, b"qemu"),
            Entry(EntryKind.SENT, 0.25, b"ask"),
            Entry(EntryKind.RECEIVED, 1.5, b"one"),
            Entry(EntryKind.RECEIVED, 2.0, b"two"),
            Entry(EntryKind.CLOSED, 2.0),
            Entry(EntryKind.END, 3.0),
        ],
        None,
    )
    with LinkRecord(path) as record:
        assert record.header["format"] == FORMAT
        assert record.header["target"] == {"kind": "qemu"}
        assert set(record.header) == {"format", "hil_version", "started", "target"}


def test_a_line_that_is_recorded_already_is_not_recorded_twice(tmp_path: Path) -> None:
    with Recording(tmp_path / "a.link", {}) as recording:
        line = recording.line(ScriptedLine(), "board")
        assert recording.line(line, "board") is line


def test_a_name_that_is_no_utf_8_is_spelt_out(tmp_path: Path) -> None:
    path = tmp_path / "a.link"
    with Recording(path, {"kind": "board"}) as recording:
        recording.line(ScriptedLine(), "/dev/tty\udcfc").close()
        recording.note("model Pr\udcfcfling.keras")
    entries, problem = entries_of(path)
    texts = [entry.text for entry in entries if entry.kind in (EntryKind.OPENED, EntryKind.NOTE)]
    assert problem is None
    assert texts == ["/dev/tty\\udcfc", "model Pr\\udcfcfling.keras"]


def test_how_a_line_failed_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.link"
    with Recording(path, {}) as recording, pytest.raises(LinkClosed, match="the cable is out"):
        recording.line(ScriptedLine(), "board").read(1.0)
    entry = entries_of(path)[0][1]
    assert entry.kind == EntryKind.FAILED
    assert json.loads(entry.data) == {
        "during": "read",
        "error": "LinkClosed",
        "code": "link_closed",
        "message": "the cable is out",
        "remedy": "put it in",
    }


def test_what_was_said_is_there_before_the_program_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.link"
    recording = Recording(path, {})
    recording.line(ScriptedLine(), "native").write(b"last words")
    assert entries_of(path)[0][-1].data == b"last words"  # neither flushed nor closed
    recording.close()


def test_long_data_is_several_entries(tmp_path: Path) -> None:
    path = tmp_path / "a.link"
    data = bytes(range(256)) * 600
    with Recording(path, {}) as recording:
        recording.line(ScriptedLine(), "native").write(data)
    sent = [entry.data for entry in entries_of(path)[0] if entry.kind == EntryKind.SENT]
    assert [len(piece) for piece in sent] == [MAX_DATA_BYTES, MAX_DATA_BYTES, len(data) - 2 * MAX_DATA_BYTES]
    assert b"".join(sent) == data


def test_a_recording_stops_at_its_limit_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.link"
    recording = Recording(path, {}, limit_bytes=5000)
    inner = ScriptedLine()
    line = recording.line(inner, "native")
    for _ in range(10):
        line.write(bytes(1000))
    recording.close()
    assert len(inner.written) == 10000, "the run goes on"
    assert path.stat().st_size <= 5000
    assert recording.problem == "the recording stopped at its limit of 5000 bytes"
    assert recording.failure is None
    entries, damage = entries_of(path)
    assert damage is None
    assert [entry.kind for entry in entries[-2:]] == [EntryKind.LIMIT, EntryKind.END]
    assert "limit of 5000 bytes" in entries[-2].text


def test_a_full_disk_ends_the_recording_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.link"
    recording = Recording(path, {})
    inner = ScriptedLine()
    line = recording.line(inner, "native")
    line.write(b"kept")
    recording._file.close()

    class FullDisk:
        """A file on a disk with room for ten more bytes."""

        def __init__(self) -> None:
            self.file = path.open("r+b", buffering=0)
            self.file.seek(0, 2)
            self.room = 10

        def write(self, data: bytes) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            taken, self.room = self.room, 0
            return self.file.write(data[:taken])

        def truncate(self, size_bytes: int) -> int:
            return self.file.truncate(size_bytes)

        def close(self) -> None:
            self.file.close()

    monkeypatch.setattr(recording, "_file", FullDisk())
    line.write(b"lost")
    line.write(b"lost too")
    line.close()
    recording.close()
    assert inner.written == b"keptlostlost too"
    assert recording.failure is not None
    assert (recording.failure.code, recording.failure.exit_code) == ("disk_full", 3)
    assert str(path) in recording.failure.message
    entries, damage = entries_of(path)
    assert damage is None, "no half of an entry is left"
    assert [entry.kind for entry in entries] == [EntryKind.OPENED, EntryKind.SENT]


@pytest.mark.parametrize("place", ["", "missing/a.link"])
def test_a_file_that_cannot_be_written_is_the_users_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        Recording(tmp_path / place, {})


def test_a_device_that_is_full_from_the_start_is_said_at_once() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(TargetUnavailable, match="No space left") as caught:
        Recording(Path("/dev/full"), {})
    assert caught.value.code == "disk_full"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_a_record"),
        (b"\x00\xff\x00", "not_a_record"),
        (b"[" * 5000, "not_a_record"),
        (b"[" * 4000 + b"\n", "not_a_record"),
        (b'{"format": "lstm-hil/link-record/1"}', "not_a_record"),
        (b'{"format": 1}\n', "not_a_record"),
        (b'{"format": "lstm-hil/validation/1"}\n', "not_a_record"),
        (b'{"format": "lstm-hil/link-record/2"}\n', "record_version"),
    ],
    ids=["empty", "binary", "endless", "deep", "no line break", "number", "another format", "newer"],
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "a.link"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        LinkRecord(path)
    assert refused.value.code == code


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="cannot be read"):
            LinkRecord(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.link")
    with pytest.raises(UsageError, match="no regular file"):
        LinkRecord(tmp_path / "a.link")


def test_an_entry_of_an_unknown_kind_or_a_huge_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.link"
    head = header_line({})
    entry, _ = packed(EntryKind.NOTE, 0.0, b"x", zlib.crc32(head))
    for at, value, code in ((0, 99, "record_unknown"), (7, 0x7F, "record_damaged")):
        body = bytearray(entry[:-4])
        body[at] = value
        path.write_bytes(head + bytes(body) + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "little"))
        with LinkRecord(path) as record, pytest.raises(UsageError) as refused:
            list(record.entries())
        assert refused.value.code == code


def test_a_file_cut_at_any_byte_gives_its_sound_part(tmp_path: Path) -> None:
    path = tmp_path / "a.link"
    path.write_bytes(SMALL)
    whole, damage = entries_of(path)
    assert damage is None
    assert [entry.kind for entry in whole] == [
        EntryKind.OPENED, EntryKind.SENT, EntryKind.RECEIVED, EntryKind.FAILED, EntryKind.CLOSED, EntryKind.NOTE,
        EntryKind.END,
    ]  # fmt: skip
    head_bytes = SMALL.index(b"\n") + 1
    borders = 0
    for size_bytes in range(len(SMALL)):
        path.write_bytes(SMALL[:size_bytes])
        if size_bytes < head_bytes:
            with pytest.raises(UsageError):
                LinkRecord(path)
            continue
        entries, damage = entries_of(path)
        assert entries == whole[: len(entries)]
        assert damage is None or damage.code == "record_cut"
        borders += damage is None
    assert borders == len(whole), "between two entries nothing is seen to be missing but the end"


@given(st.integers(0, len(SMALL) * 8 - 1))
def test_a_flipped_bit_is_never_shown_as_what_was_on_the_line(bit: int) -> None:
    damaged = bytearray(SMALL)
    damaged[bit // 8] ^= 1 << bit % 8
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.link"
        path.write_bytes(SMALL)
        whole, _ = entries_of(path)
        path.write_bytes(bytes(damaged))
        try:
            entries, damage = entries_of(path)
        except UsageError:
            return  # its first line
        assert entries == whole[: len(entries)]
        assert damage is not None


@given(st.binary(max_size=300))
def test_any_bytes_after_the_first_line_are_entries_or_a_typed_error(tail: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.link"
        path.write_bytes(header_line({}) + tail)
        entries, damage = entries_of(path)
        assert bool(entries) or damage is not None or not tail
