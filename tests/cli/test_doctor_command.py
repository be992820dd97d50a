"""`hil doctor`: its lines, its verdict line, its record, its exit code; boards are pseudo-terminals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cli.app import run
from harness.errors import TargetUnavailable
from harness.fake import FakeDevice, Faults
from patience import PATIENCE_S
from pty_line import PtyDevice
from report_schema import check_record


@pytest.fixture
def on_pty() -> Iterator[Callable[..., str]]:
    ports = []

    def put(answer: Callable[[bytes], bytes], baud: int | None = None) -> str:
        ports.append(PtyDevice(answer, baud=baud))
        return ports[-1].url

    yield put
    for port in ports:
        port.hang_up()


def usb_port(device: str, vid: int, pid: int, serial_number: str | None, description: str) -> SimpleNamespace:
    """A port as pyserial lists it."""
    return SimpleNamespace(device=device, vid=vid, pid=pid, serial_number=serial_number, description=description)


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """The ports of this machine, none to begin with."""
    listed: list[SimpleNamespace] = []
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: listed)
    return listed


def lines_of(output: str) -> dict[str, str]:
    """The line of each check by its name."""
    return {match[1]: match[0] for match in re.finditer(r"(?m)^(\S+|\S+ run) +(?:ok|FINDING|-) .*$", output)}


def test_a_healthy_board(on_pty: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = on_pty(FakeDevice().receive)
    record_path = tmp_path / "doctor.json"
    assert run(["doctor", "--port", url, "--flash", "never", "--json", str(record_path)]) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[0] == f"target  board nucleo_f446re, port {url}"
    verdict = output.splitlines()[-1]
    assert re.fullmatch(
        rf"HEALTHY board nucleo_f446re, port {url}: 0 findings, .* ok, .* not checked \(exit 0\)", verdict
    )
    assert {"disk", "arm-gcc", "port", "open", "link", "chip", "firmware", "faults", "line"} <= lines_of(output).keys()
    record = json.loads(record_path.read_text())
    check_record(record, "doctor")
    assert (record["verdict"], record["exit_code"], record["finding"]) == ("HEALTHY", 0, None)
    assert [check["state"] for check in record["checks"] if check["name"] == "link"] == ["ok"]


@pytest.mark.parametrize(
    ("answer", "baud", "finding", "code"),
    [
        (lambda _: b"", None, "device_silent", 5),
        (FakeDevice().receive, 9600, "wrong_baud", 5),
        (lambda _: b"Hello World!\r\n", None, "not_our_firmware", 6),
        (FakeDevice(protocol=(0, 9)).receive, None, "protocol_version", 6),
    ],
    ids=["silent", "baud", "text", "old"],
)
def test_a_finding(
    answer: Callable[[bytes], bytes],
    baud: int | None,
    finding: str,
    code: int,
    on_pty: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if baud is not None:  # the first one that is tried: it answers at once
        monkeypatch.setattr("harness.doctor.line._RATE_TIMEOUT_S", PATIENCE_S)
    url = on_pty(answer, baud)
    arguments = ["doctor", "--port", url, "--flash", "never", "--json", str(tmp_path) + "/"]
    assert run(arguments) == code
    output = capsys.readouterr().out
    assert lines_of(output)["link"].startswith(f"link         FINDING  {finding}: ")
    assert "what to do: " in output
    assert lines_of(output)["chip"] == "chip         -        not checked: our firmware does not answer"
    assert output.splitlines()[-1].startswith(f"FINDING {finding} board nucleo_f446re, port {url}: 1 finding, ")
    record = json.loads((tmp_path / "doctor.json").read_text())
    check_record(record, "doctor")
    assert (record["verdict"], record["exit_code"], record["finding"]) == ("FINDING", code, finding)
    (found,) = [check["finding"] for check in record["checks"] if check["finding"]]
    assert (found["id"], found["exit_code"]) == (finding, code)
    assert found["remedy"]


def test_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--port", "/dev/there_is_no_such_port", "--flash", "never"]) == 3
    lines = lines_of(capsys.readouterr().out)
    assert lines["port"].endswith("/dev/there_is_no_such_port, as given"), "nothing was looked for"
    assert "port_absent" in lines["open"]
    assert "not checked" in lines["link"]


def test_no_board_names_what_is_there_instead(capsys: pytest.CaptureFixture[str], ports: list[SimpleNamespace]) -> None:
    ports.append(usb_port("/dev/ttyUSB0", 0x1A86, 0x7523, None, "USB Serial"))
    assert run(["doctor", "--board", "nucleo_f446re", "--flash", "never"]) == 3
    output = capsys.readouterr().out
    assert "no_board" in lines_of(output)["port"]
    assert "/dev/ttyUSB0 (1A86:7523, USB Serial)" in output
    assert output.splitlines()[-1].startswith("FINDING no_board board nucleo_f446re: ")


def test_a_missing_tool_is_a_finding_only_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RENODE_PATH", raising=False)
    monkeypatch.setattr("harness.renode.find.installed", lambda: None)
    assert run(["doctor", "--qemu"]) == 3
    output = capsys.readouterr().out
    lines = lines_of(output)
    assert "no_toolchain" in lines["arm-gcc"]
    assert "no_qemu" in lines["qemu"]
    assert "not checked: there is no Renode (no_renode), and only --renode needs it" in lines["renode"]
    assert "see arm-gcc and qemu above" in lines["qemu run"]
    assert output.splitlines()[-1].startswith("FINDING no_toolchain qemu: 2 findings, ")
    assert run(["doctor", "--renode"]) == 3
    assert "no_renode" in lines_of(capsys.readouterr().out)["renode"]


def test_an_emulator_that_does_not_start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise TargetUnavailable("no room for the shadow memory", code="target_not_started", remedy="raise ulimit -v")

    monkeypatch.setattr("harness.workbench.make_target", fail)
    assert run(["doctor", "--native"]) == 3
    assert "target_not_started: no room" in lines_of(capsys.readouterr().out)["native"]


def test_native(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--native"]) == 0
    assert "starts and answers" in lines_of(capsys.readouterr().out)["native"]


def test_without_a_target_a_board_that_is_plugged_in_is_looked_at(
    on_pty: Callable[..., str], ports: list[SimpleNamespace], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor"]) == 0
    lines = lines_of(capsys.readouterr().out)
    assert "no ST Nucleo-F446RE is connected" in lines["port"]
    assert "not checked" in lines["port"]
    url = on_pty(FakeDevice(faults=Faults(babble=b"Hello World!\r\n")).receive)
    ports.append(usb_port(url, 0x0483, 0x374B, "0669FF01", "STM32 STLink"))
    assert run(["doctor"]) == 6
    lines = lines_of(capsys.readouterr().out)
    assert lines["port"] == f"port         ok       {url} (serial number 0669FF01)"
    assert "not_our_firmware" in lines["link"]


def test_several_boards(on_pty: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = on_pty(FakeDevice().receive), on_pty(lambda _: b"Hello World!\r\n")
    record_path = tmp_path / "doctor.json"
    arguments = ["doctor", "--port", good, "--port", bad, "--flash", "never", "--json", str(record_path)]
    assert run(arguments) == 6
    output = capsys.readouterr().out
    assert output.splitlines()[-1].startswith("FINDING not_our_firmware ")
    first, second = (output.index(f"\nboard nucleo_f446re, port {url}\n") for url in (good, bad))
    assert first < output.index("link         ok") < second < output.index("link         FINDING")
    boards = [check["board"] for check in json.loads(record_path.read_text())["checks"]]
    assert set(boards) == {None, f"board nucleo_f446re, port {good}", f"board nucleo_f446re, port {bad}"}


def test_a_folder_that_cannot_be_made_ends_no_examination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".hil").touch()
    monkeypatch.setattr("harness.build.paths.project_root", lambda: tmp_path)
    assert run(["doctor", "--native"]) == 3
    output = capsys.readouterr().out
    assert f"FINDING  cache_not_writable: {tmp_path / '.hil'}" in output
    assert "FINDING" in lines_of(output)["native"]
    assert output.splitlines()[-1].startswith("FINDING cache_not_writable native: 2 findings, ")
