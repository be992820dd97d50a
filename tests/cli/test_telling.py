"""What a device tells unasked, as a person sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.app import run
from harness.cli.telling import log_lines, tell_of_run
from harness.protocol.messages import Log
from harness.protocol.wire import LogEvent, LogLevel
from harness.validation import Validation

INFO = Log(level=LogLevel.INFO, event=LogEvent.STORE_ERASED, number=1, value=65536)
WARNING = Log(level=LogLevel.WARNING, event=LogEvent.FRAMES_DROPPED, number=4, value=3)


def test_warnings_are_always_shown_and_the_rest_when_asked_for() -> None:
    (warning,) = log_lines([INFO, WARNING], verbose=False)
    assert warning.startswith("warning: the first frames of this session were dropped: 3 with a wrong CRC")
    assert log_lines([INFO, WARNING], verbose=True) == [
        "info: 65536 bytes of the flash store were erased",
        "(2 messages of the device were lost)",
        warning,
    ]


def test_an_earlier_fault_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    fault = {"text": "a bus fault", "pc_at": "f at a.c:1 (0x08000100)", "lr_at": None, "count": 2}
    tell_of_run(Validation(Path("m.keras"), earlier_fault=fault), verbose=False)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "device  warning: before this it stopped on a bus fault, at f at a.c:1 (0x08000100) "
        "(2 faults since a record was last cleared); its record is cleared now\n"
    )


def test_validate_keeps_the_logs_in_its_record(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["validate", str(model), "--native", "--json", str(tmp_path / "r.json")]
    assert run(arguments) == 0
    assert capsys.readouterr().err == "", "nothing to warn of"
    assert run([*arguments, "-v"]) == 0
    err = capsys.readouterr().err
    record = json.loads((tmp_path / "r.json").read_text())
    link, crc32 = record["link"], record["weights"]["crc32_device"]
    assert [each["text"].split(" of ")[0] for each in link["log"]] == ["booted after: unknown", f"image {crc32}"]
    assert all(f"device  info: {each['text']}\n" in err for each in link["log"])
    assert (link["fault"], link["earlier_fault"]) == (None, None)


def test_info_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--native", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert [each["text"] for each in info["log"]] == ["booted after: unknown"]
    assert info["fault"] is None
    assert run(["info", "--native"]) == 0
    assert "booted after: unknown" in capsys.readouterr().out
