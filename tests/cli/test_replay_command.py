"""`hil replay` and `hil validate --record` as a person calls them, as far as no firmware is needed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.cli.app import run
from harness.device import Device
from harness.errors import LinkTimeout
from harness.fake import FakeDevice, FakeTransport, Faults
from harness.protocol.messages import Echo
from harness.transport.link_record import EntryKind
from harness.transport.recording import Recording
from recorded_talks import entries_of


def record_of(path: Path, faults: Faults) -> Path:
    """A record of a greeting and three echoes."""
    line = FakeTransport(FakeDevice(faults=faults))
    with Recording(path, {"kind": "fake"}, clock=line.clock) as recording:
        device = Device(recording.line(line, "fake"), line.clock)
        try:
            device.connect()
            for _ in range(3):
                device.request(Echo(data=b"abc"))
        except LinkTimeout:
            pass
        device.close()
    return path


def test_messages_and_sums_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", str(record_of(tmp_path / "a.link", Faults(corrupt_every=3)))]) == 0
    output = capsys.readouterr().out
    assert output.startswith("format       lstm-hil/link-record/1\n")
    assert "< #2 ECHO data=3 bytes\n" in output
    assert "[bad]" in output
    assert "> #3 ECHO data=3 bytes [repeat]" in output
    assert "s of silence, waiting for the device)" in output
    sent, received = (
        sum(len(entry.data) for entry in entries_of(tmp_path / "a.link") if entry.kind == kind)
        for kind in (EntryKind.SENT, EntryKind.RECEIVED)
    )
    assert f"to device {sent} bytes, 5 frames, 1 repeat, 0 stale, 0 bad\n" in output
    assert f"to host   {received} bytes, 4 frames, 0 repeat, 0 stale, 1 bad\n" in output
    assert "host      4 requests, 4 answered\n" in output
    assert "concluded" not in output


def test_what_the_host_concluded_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", str(record_of(tmp_path / "a.link", Faults(silent=True)))]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^concluded no answer to Hello, sent 37\d times in 15\.0 s$", output, re.MULTILINE)


def test_a_record_of_a_killed_program_is_shown_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_of(tmp_path / "a.link", Faults())
    path.write_bytes(path.read_bytes()[:-20])  # the last entry is END, without data
    assert run(["replay", str(path)]) == 0
    assert "the record has no end" in capsys.readouterr().out


def test_a_damaged_record_is_shown_so_far_and_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_of(tmp_path / "a.link", Faults())
    damaged = bytearray(path.read_bytes())
    damaged[-30] ^= 1
    path.write_bytes(bytes(damaged))
    assert run(["replay", str(path)]) == 2
    shown = capsys.readouterr()
    assert "host      4 requests, 4 answered\n" in shown.out
    assert "error (user):" in shown.err
    assert "does not have the CRC-32" in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no record", b"[" * 4000 + b"\n"], ids=["empty", "zip", "deep"])
def test_what_is_no_record_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "a.link"
    path.write_bytes(content)
    assert run(["replay", str(path)]) == 2
    assert "is no record of a link" in capsys.readouterr().err
    assert run(["replay", str(tmp_path / "none")]) == 2
    assert run(["replay", str(tmp_path)]) == 2


def test_a_record_may_be_no_other_file_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "a.npz"
    np.savez(model, x=np.zeros(1))
    before = model.read_bytes()
    assert run(["validate", str(model), "--record", str(model)]) == 2
    assert "it is read" in capsys.readouterr().err
    assert model.read_bytes() == before
    both = str(tmp_path / "r.json")
    assert run(["validate", str(model), "--json", both, "--record", both]) == 2
    assert "as another option does" in capsys.readouterr().err
    assert run(["validate", str(model), "--record", str(tmp_path)]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_error_names_the_record_that_shows_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, json_path = tmp_path / "a.link", tmp_path / "r.json"
    # A line that sends everything back: the first frame is no reply, and a look at the line says why.
    arguments = ["validate", str(model), "--port", "loop://", "--record", str(path), "--json", str(json_path)]
    assert run(arguments) == 5
    error = json.loads(json_path.read_text())["error"]
    assert error["code"] == "line_echoes"
    assert error["remedy"].endswith(f"`hil replay {path}` shows what went over the link")
    capsys.readouterr()
    assert run(["replay", str(path)]) == 0
    output = capsys.readouterr().out
    assert "opened loop://\n" in output, "also what a board target opens by itself"
    assert "< #1 unknown type 0x01, 4 bytes" in output
    assert "concluded the device answered Hello with a frame of type 0x01" in output
