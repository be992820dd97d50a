"""`pytest --board`: the device tests of a project on a board, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.fake import FakeDevice
from pty_line import PtyDevice

DEVICE_TEST = """
    def test_echo(device):
        from harness.protocol.messages import Echo
        assert device.request(Echo(data=b"hi")).data == b"hi"
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:pytest_embedded")  # which owns --port, where it is installed
    pytester.makepyfile(test_it=DEVICE_TEST)
    return pytester


@pytest.fixture
def port() -> Iterator[str]:
    device = PtyDevice(FakeDevice().receive)
    yield device.url
    device.hang_up()


@pytest.mark.parametrize(
    "options",
    [
        ["--board=nucleo_f446re", "--port={port}"],
        ["--port={port}", "--no-flash"],
        ["--hil-board", "nucleo_f446re", "--hil-port={port}", "--hil-flash=never"],
    ],
)
def test_the_board_and_nothing_else(project: pytest.Pytester, port: str, options: list[str]) -> None:
    result = project.runpytest_subprocess("-v", *[option.format(port=port) for option in options])
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"hil: targets board nucleo_f446re, port {port}", "*test_echo[[]board[]]*PASSED*"])


def test_a_board_that_was_asked_for_and_is_absent_is_an_error(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("--hil-port=/dev/there_is_no_such_port")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TargetUnavailable*there is no port /dev/there_is_no_such_port*"])
    result = project.runpytest_subprocess("--board=nucleo_f446re", "--hil-sn=NOBODY")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TargetUnavailable*0483:374B*"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--board=nucleo"], "*known boards: *nucleo_f446re*"),
        (["--native", "--no-flash"], "*is for boards*"),
        (["--native", "--baud=115200"], "*--baud is for boards*"),
        (["--board=nucleo_f446re", "--hil-flash=often"], "*if-changed*"),
    ],
)
def test_options_that_make_no_sense(project: pytest.Pytester, options: list[str], said: str) -> None:
    result = project.runpytest_subprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_a_port_that_pytest_takes_for_a_path_is_explained(project: pytest.Pytester, port: str) -> None:
    result = project.runpytest_subprocess("--port", port)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--hil-port={port}*"])


def test_another_plugin_may_own_the_port(project: pytest.Pytester, port: str) -> None:
    project.makepyfile(
        other_plugin="""
        def pytest_addoption(parser):
            parser.addoption("--port", dest="their_port")
        """
    )
    result = project.runpytest_subprocess("-v", "-p", "other_plugin", f"--hil-port={port}", "--port=/dev/theirs")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*--port belong* to another plugin*"])


@pytest.mark.parametrize(("option", "baud"), [("--baud=230400", 230_400), ("--hil-baud=115200", 115_200)])
def test_the_baud_of_the_line(project: pytest.Pytester, port: str, option: str, baud: int) -> None:
    project.makepyfile(test_it=f"def test_baud(device): assert device.baud == {baud}")
    project.runpytest_subprocess(f"--hil-port={port}", option).assert_outcomes(passed=1)
