"""Places by a client that the test writes: what is acquired is released, and nothing else."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.app import run
from harness.errors import TargetBusy, TargetUnavailable
from harness.fake import FakeDevice, FakeTransport
from harness.findings import found
from harness.lab.find import VARIABLE
from harness.lab.install import install
from harness.lab.place import LabPlace
from harness.lab.shown import acquired_by, acquired_resources
from harness.lab.target import LabgridTarget
from harness.targets.board import BoardTarget
from harness.targets.boards import board
from harness.transport.base import Transport
from harness.workbench import ChipProgram
from patience import PATIENCE_S

PORT: dict[str, Any] = {
    "acquired": "p",
    "avail": True,
    "cls": "NetworkSerialPort",
    "params": {"extra": {"proxy": "rack", "proxy_required": False}, "host": "rack", "port": 4000, "speed": 115200},
}


def shown(*resources: dict[str, Any], by: str | None = "host/me") -> str:
    """As labgrid 26.0.1 prints it."""
    blocks = [
        f"Acquired resource 'RawSerialPort' (rack/g/{each['cls']}/RawSerialPort):\n"
        "  {" + ",\n   ".join(f"{key!r}: {value!r}" for key, value in each.items()) + "}\n"
        for each in resources
    ]
    return f"Place 'p':\n  matches:\n    rack/g/*\n  acquired: {by}\n  created: 2026-11-21 16:08:56\n" + "".join(blocks)


class Client:
    """A labgrid-client that answers from files and notes what it was asked.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "labgrid-client"
        self.path.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, sys, time\n"
            f"folder = pathlib.Path({str(folder)!r})\n"
            "command = sys.argv[3]\n"
            "with (folder / 'asked').open('a') as file: file.write(command + '\\n')\n"
            "if command == 'show': print((folder / 'shown').read_text())\n"
            "if (folder / f'{command}.fails').exists():\n"
            "    sys.exit((folder / f'{command}.fails').read_text())\n"
        )
        self.path.chmod(0o755)
        self.shows(shown(PORT))

    def shows(self, text: str) -> None:
        (self.folder / "shown").write_text(text)

    def fails(self, command: str, complaint: str) -> None:
        (self.folder / f"{command}.fails").write_text(complaint)

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().split()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return Client(tmp_path)


def test_a_place_is_acquired_and_released_once(client: Client) -> None:
    place = LabPlace("p")
    place.release()
    assert place.acquire() == place.acquire() == "rfc2217://rack:4000?ign_set_control"
    assert client.asked == ["acquire", "show"]
    place.release()
    place.release()
    assert client.asked == ["acquire", "show", "release"]


@pytest.mark.parametrize(
    ("params", "url"),
    [
        ({"host": "::1"}, "rfc2217://[::1]:4000?ign_set_control"),
        ({"protocol": "raw"}, "socket://rack:4000"),
    ],
)
def test_urls(client: Client, params: dict[str, Any], url: str) -> None:
    client.shows(shown({**PORT, "params": {**PORT["params"], **params}}))
    place = LabPlace("p")
    assert place.acquire() == url
    place.release()


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ([], "0 serial ports: it holds nothing"),
        ([PORT, PORT], "2 serial ports"),
        ([{**PORT, "cls": "NetworkPowerPort"}], "NetworkPowerPort"),
        ([{**PORT, "avail": False}], "not there"),
        ([{**PORT, "params": {**PORT["params"], "port": None}}], "not there"),
        ([{**PORT, "params": {**PORT["params"], "extra": {"proxy": "x", "proxy_required": True}}}], "isolated"),
    ],
)
def test_a_place_without_one_port_that_we_reach_is_released(
    client: Client, resources: list[dict[str, Any]], said: str
) -> None:
    client.shows(shown(*resources))
    with pytest.raises(TargetUnavailable, match=said):
        LabPlace("p").acquire()
    assert client.asked == ["acquire", "show", "release"]


def test_what_somebody_else_has_is_not_released(client: Client) -> None:
    client.fails("acquire", "labgrid-client: Error: Place p is already acquired by far/ada.")
    client.shows(shown(by="far/ada"))
    with pytest.raises(TargetBusy, match="far/ada") as error:
        LabPlace("p").acquire()
    assert error.value.code == "place_busy"
    assert client.asked == ["acquire", "show"]


def test_what_was_released_a_moment_ago_is_worth_another_try(client: Client) -> None:
    client.fails("acquire", "labgrid-client: Error: Place p is already acquired by far/ada.")
    client.shows(shown(by=None))
    with pytest.raises(TargetBusy, match="far/ada"):
        LabPlace("p").acquire()


def test_the_client_s_complaint_is_told(client: Client) -> None:
    client.fails("acquire", "trouble\nServer error: Error: Could not connect to coordinator")
    client.shows("")
    with pytest.raises(TargetUnavailable, match="Could not connect to coordinator"):
        LabPlace("p").acquire()


def test_a_release_that_fails_is_said(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.fails("release", "labgrid-client: Error: place p is not acquired")
    place = LabPlace("p")
    place.acquire()
    place.release()
    assert "labgrid place p was not released: place p is not acquired" in capfd.readouterr().err


def test_a_keeper_that_is_terminated_releases_too(client: Client) -> None:
    place = LabPlace("p")
    place.acquire()
    assert place._keeper is not None
    os.kill(place._keeper.pid, signal.SIGTERM)
    place._keeper.wait(PATIENCE_S)
    assert client.asked == ["acquire", "show", "release"]
    place.release()


def lab_target(refusals: int, opened: list[str]) -> LabgridTarget:
    """The place's board, whose exporter listens when it was called in vain so often."""

    def open_line(url: str, _baud: int) -> Transport:
        opened.append(url)
        if len(opened) <= refusals:
            raise found("port_absent", port=url, reason=": nothing answers there")
        return FakeTransport(FakeDevice())

    def board_at(url: str) -> BoardTarget:
        program = ChipProgram(lambda _: None, "nucleo_f446re")
        return BoardTarget(board("nucleo_f446re"), program, port=url, flash="never", open_line=open_line)

    return LabgridTarget(LabPlace("p"), board_at, "nucleo_f446re")


@pytest.fixture
def eager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("harness.lab.target._LOOK_S", 0.0)


@pytest.mark.usefixtures("client", "eager")
def test_an_exporter_that_does_not_listen_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.lab.target._LISTENING_TIMEOUT_S", PATIENCE_S)
    opened: list[str] = []
    target = lab_target(3, opened)
    try:
        target.start().close()
        assert opened == ["rfc2217://rack:4000?ign_set_control"] * 4
    finally:
        target.release()


@pytest.mark.usefixtures("client", "eager")
def test_an_exporter_that_never_listens_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.lab.target._LISTENING_TIMEOUT_S", 0.0)
    target = lab_target(1, [])
    try:
        with pytest.raises(TargetUnavailable, match="nothing answers there"):
            target.start()
    finally:
        target.release()


def test_without_a_client_the_remedy_is_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(["info", "--labgrid", "p"]) == 3
    assert "hil setup labgrid" in capsys.readouterr().err
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    assert run(["info", "--labgrid", "p"]) == 3
    assert VARIABLE in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--labgrid", "p", "--native"], "both given"),
        (["--labgrid", "p", "--port", "/dev/ttyACM0"], "the place names the port"),
        (["--labgrid", "p", "--sn", "1"], "the place names the port"),
        (["--labgrid", "p", "--labgrid", "p"], "twice"),
        (["--labgrid", ""], "no place"),
        (["--labgrid", "p", "--flash", "always"], "nothing can be flashed"),
        (["--labgrid", "p", "--board", "none"], "none"),
        (["--labgrid", "p", "--board", "nucleo_f446re", "--board", "nucleo_f446re"], "do not go together"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", *options]) == 2
    assert said in capsys.readouterr().err


def test_an_environment_that_cannot_be_made_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    from harness.lab.find import installed

    with pytest.raises(TargetUnavailable, match="labgrid") as error:
        install(lambda _: None)
    assert error.value.code == "labgrid_not_installed"
    assert installed() is None


def test_set_up_for_the_project_s_checks_goes_on_without_labgrid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.cli.maintenance import _install_labgrid
    from harness.lab import install as module

    def fails(say: object) -> Path:
        raise TargetUnavailable("labgrid could not be installed: no network", remedy="plug it in")

    monkeypatch.setattr(module, "install", fails)
    _install_labgrid(needed=False)
    assert "no network\nTests of labgrid are left out. What to do: plug it in" in capsys.readouterr().err
    with pytest.raises(TargetUnavailable, match="no network"):
        _install_labgrid(needed=True)


def test_what_is_shown_of_a_free_place() -> None:
    text = shown(by=None)
    assert acquired_by(text) is None
    assert acquired_resources(text) == []
    assert acquired_by(shown()) == "host/me"


@given(st.text())
def test_text_that_is_no_resource_is_refused_or_none(text: str) -> None:
    heading = "Acquired resource 'a' (b/c/d/a):\n"
    acquired_by(text)
    assert acquired_resources("") == []
    try:
        acquired_resources(heading + "".join(f"  {line}\n" for line in text.splitlines()))
    except ValueError:
        pass
