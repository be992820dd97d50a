"""A recorded run of the firmware, replayed without it: the same messages, and the same numbers bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seeds
from harness.build.paths import work_dir
from harness.cli.app import run
from harness.device import Device
from harness.oracle.cache import Oracle
from harness.protocol.messages import RunReply
from harness.protocol.wire import REPLY_BIT, MessageType
from harness.replay.host import HostAgain
from harness.replay.messages import Direction, Listener, Mark
from harness.replay.transport import recorded_lines
from harness.targets.choice import TargetChoice
from harness.transport.link_record import EntryKind
from harness.transport.recording import BAUD_NOTE, Recording
from harness.validation import Limits, Validation, make_inputs, validate
from harness.workbench import Workbench, make_target
from keras_models import save_spec
from recorded_talks import entries_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small LSTM."""
    return save_spec(seeds.random_lstm(3, 5), tmp_path_factory.mktemp("model"))


def run_of(model: Path, device_for: Any) -> Validation:
    """A run with seeded inputs; `device_for` gives the device."""
    oracle = Oracle(work_dir() / "oracle")
    return validate(model, lambda loaded: make_inputs(loaded, None, 2, 9, 1), device_for, Limits(), oracle)


def test_a_recorded_run_is_repeated_without_a_device(hil_kind: str, model: Path, tmp_path: Path) -> None:
    if hil_kind == "board":
        pytest.skip("the session's board is in use")
    path = tmp_path / "a.link"
    with Recording(path, {"kind": hil_kind}) as recording:
        target = make_target(TargetChoice(hil_kind), lambda _: None, recording)
        with Workbench(target, recording) as bench:
            then = run_of(model, bench.device_for)
    assert then

    entries = entries_of(path)
    listener, host = Listener(), HostAgain()
    heard = [item for entry in entries for item in listener.hear(entry)]
    assert [item for entry in entries for item in host.follow(entry)] == []
    assert host.requests == host.answered > 5
    assert not [item for item in heard if item.mark in (Mark.BAD, Mark.STALE)]
    frames = [item.frame for item in heard if item.frame is not None and item.direction == Direction.TO_HOST]
    steps = [RunReply.unpack(f.payload).steps for f in frames if f.header.type == MessageType.RUN | REPLY_BIT]
    assert sum(steps) == 2 * 9

    (line,) = recorded_lines(entries)
    device = Device(line, line.clock, session_id=line.session_id)
    device.connect()
    now = run_of(model, lambda _: device)
    assert now, now.error
    assert line.is_at_end
    assert now.got.keys() == then.got.keys()
    for name, array in then.got.items():
        np.testing.assert_array_equal(now.got[name].view(np.uint32), array.view(np.uint32), err_msg=name)


def test_validate_records_a_session_of_several_models(
    hil_kind: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if hil_kind == "board":
        pytest.skip("the session's board is in use")
    other = save_spec(seeds.random_lstm(2, 4), tmp_path)
    other = other.rename(other.with_stem("second"))
    path, json_path = tmp_path / "new" / "a.link", tmp_path / "json"
    arguments = [str(model), str(other), f"--{hil_kind}", "--batch", "1", "--steps", "3", "--json", f"{json_path}/"]
    assert run(["validate", *arguments, "--record", str(path)]) == 0
    assert f"written {path}\n" in capsys.readouterr().out
    assert json.loads((json_path / f"{model.stem}.json").read_text())["link_record"] == "a.link"
    entries = entries_of(path)
    notes = [entry.text for entry in entries if entry.kind == EntryKind.NOTE]
    told = [note for note in notes if note != BAUD_NOTE]  # whether its line has a baud is the target's
    assert told == [f"model {model.name}", f"model {other.name}"]
    assert [entry.kind for entry in entries].count(EntryKind.OPENED) == 1, "one session"
    assert run(["replay", str(path)]) == 0
    output = capsys.readouterr().out
    assert f"note model {other.name}" in output
    assert "IMAGE_COMMIT crc32=0x" in output
