"""`pytest -n N` with several boards: every worker has one of its own, or waits; results say which."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

import patience
from harness.fake import FakeDevice
from harness.targets.lock import BoardLock
from pty_line import PtyDevice

TOLD = r"waiting up to 3600 s: nucleo_f446re at /dev/pts/\d+ is in use by pid \d+ "

TESTS = """
    import os, re
    from pathlib import Path
    import pytest
    from harness.protocol.messages import Echo
    from patience import wait_until

    FOLDER = Path({folder!r})

    def all_have_asked():
        having = len(list(FOLDER.glob("has-board-*")))
        return having >= {having} and (not {is_waited} or re.search({told!r}, (FOLDER / "stderr").read_text()))

    @pytest.mark.parametrize("number", range({count}))
    def test_echo(device, number):
        (FOLDER / ("has-board-" + os.environ.get("PYTEST_XDIST_WORKER", "alone"))).touch()
        assert wait_until(all_have_asked)
        assert device.request(Echo(data=b"hi")).data == b"hi"
"""


def project_tests(folder: Path, count: int, having: int = 1, *, is_waited: bool = False) -> str:
    """So many tests, none of which ends before so many workers have a board and, where one has none, that is told."""
    return TESTS.format(folder=str(folder), count=count, having=having, is_waited=is_waited, told=TOLD)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:pytest_embedded")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(patience.__file__).parent))
    return pytester


@pytest.fixture
def ports() -> Iterator[list[str]]:
    devices = [PtyDevice(FakeDevice().receive) for _ in range(2)]
    yield [device.url for device in devices]
    for device in devices:
        device.hang_up()


def boards_in(report: Path) -> list[str | None]:
    """The board of each test."""
    cases = ElementTree.parse(report).iter("testcase")
    return [
        next((each.get("value") for each in case.iter("property") if each.get("name") == "hil_board"), None)
        for case in cases
    ]


def options(ports: list[str]) -> list[str]:
    return [f"--port={port}" for port in ports]


def test_every_worker_has_a_board_of_its_own(project: pytest.Pytester, ports: list[str]) -> None:
    project.makepyfile(test_it=project_tests(project.path, 8, having=2))
    report = project.path / "report.xml"
    result = project.runpytest_subprocess("-n", "2", f"--junitxml={report}", *options(ports))
    result.assert_outcomes(passed=8)
    assert set(boards_in(report)) == set(ports)
    assert None not in boards_in(report)


def test_a_worker_without_a_board_waits_and_names_the_holder(project: pytest.Pytester, ports: list[str]) -> None:
    project.makepyfile(test_it=project_tests(project.path, 6, having=2, is_waited=True))
    result = project.runpytest_subprocess("-n", "3", *options(ports))
    result.assert_outcomes(passed=6)
    waited = [line for line in result.errlines if line.startswith("hil gw")]
    assert any(re.search(TOLD, line) for line in waited), "a holder that has just come has not said its name yet"
    assert len({line.split()[1] for line in waited}) == 1, "two of three workers had a board at once"


def test_without_workers_a_board_in_use_is_an_error(project: pytest.Pytester, ports: list[str]) -> None:
    project.makepyfile(test_it=project_tests(project.path, 1))
    held = [BoardLock(port, "the board") for port in ports]
    held[0].take()
    project.runpytest_subprocess(*options(ports)).assert_outcomes(passed=1)
    held[1].take()
    result = project.runpytest_subprocess(*options(ports))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*TargetBusy*{ports[0]} is in use by pid {os.getpid()} *--hil-wait*"])
    for lock in held:
        lock.give_back()


def test_the_wait_can_be_chosen(project: pytest.Pytester, ports: list[str]) -> None:
    project.makepyfile(test_it=project_tests(project.path, 1))
    lock = BoardLock(ports[0], "the board")
    lock.take()
    result = project.runpytest_subprocess("--hil-wait=0.2", f"--port={ports[0]}")
    lock.give_back()
    result.assert_outcomes(errors=1)
    result.stderr.fnmatch_lines(["hil: waiting up to 0.2 s: *"])


FOR_EACH = """
    import pytest
    from harness.protocol.messages import Echo

    def check(device):
        assert device.request(Echo(data=b"hi")).data == b"hi"

    @pytest.mark.board("nucleo_f411re")
    def test_f411(device):
        check(device)

    @pytest.mark.board("nucleo_f446re")
    def test_f446(device):
        check(device)

    @pytest.mark.board("nucleo_f446re")
    def test_f446_again(device):
        check(device)

    @pytest.mark.board("nucleo_f411re")
    def test_f411_again(device):
        check(device)

    def test_any(device):
        check(device)

    @pytest.mark.board("nucleo_f401re")
    def test_f401(device):
        check(device)
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_for_one_board_gets_that_board(project: pytest.Pytester, ports: list[str], workers: str) -> None:
    project.makepyfile(test_it=FOR_EACH)
    report = project.path / "report.xml"
    boards = ["--board=nucleo_f446re", "--board=nucleo_f411re"]
    result = project.runpytest_subprocess(
        "-n", workers, "-rs", f"--junitxml={report}", "--hil-wait=60", *boards, *options(ports)
    )
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(["*is for nucleo_f401re, this board is nucleo_f4*"])
    by_name = {
        case.get("name"): {each.get("name"): each.get("value") for each in case.iter("property")}
        for case in ElementTree.parse(report).iter("testcase")
    }
    for name, properties in by_name.items():
        assert name is not None
        for board, port in (("f446", ports[0]), ("f411", ports[1])):
            if board in name:
                assert properties["hil_target"] == f"nucleo_{board}re"
                assert properties["hil_board"] == port
