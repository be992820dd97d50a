"""A run on a broken rig ends with what is wrong with it, not with a time-out: validate, info, bench, soak, pytest."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import seeds
from harness.cli.app import run
from harness.errors import FlashError, HilError, LinkTimeout, MismatchError, TargetUnavailable
from harness.fake import FakeDevice, Faults
from harness.findings import found
from harness.targets.board import BoardTarget
from harness.targets.boards import board
from harness.targets.native import NativeTarget
from harness.transport.base import Transport
from harness.transport.ports import PortInfo
from harness.transport.serial_port import SerialPort
from harness.workbench import ChipProgram, Workbench, explained
from keras_models import save_spec
from pty_line import PtyDevice

Answer = Callable[[bytes], bytes]

RIGS: dict[str, tuple[Answer, int | None, str, int]] = {
    "silent": (lambda _: b"", None, "device_silent", 5),
    "baud": (FakeDevice().receive, 57600, "wrong_baud", 5),
    "text": (lambda _: b"T=21.5 H=40\r\n", None, "not_our_firmware", 6),
    "modem": (lambda data: b"\r\nOK\r\n" if b"AT\r" in data else b"", None, "not_our_firmware", 6),
    "loop": (lambda data: data, None, "line_echoes", 5),
    "noise": (lambda _: bytes.fromhex("80 fe 00 e6 80 f8 81"), None, "unreadable_bytes", 5),
    "old": (FakeDevice(protocol=(0, 9)).receive, None, "protocol_version", 6),
}
"""What is behind the port, its baud if that matters, and the finding."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_spec(seeds.random_lstm(3, 5), tmp_path_factory.mktemp("model"))


@pytest.fixture
def on_pty() -> Iterator[Callable[..., str]]:
    ports = []

    def put(answer: Answer, baud: int | None = None) -> str:
        ports.append(PtyDevice(answer, baud=baud))
        return ports[-1].url

    yield put
    for port in ports:
        port.hang_up()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not there is not waited for; who is there has answered by then (see `PtyDevice`)."""
    monkeypatch.setattr("harness.targets.board._GREETING_TIMEOUT_S", 0.3)


@pytest.mark.parametrize("rig", RIGS)
def test_validate(
    rig: str, model: Path, on_pty: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, baud, finding, code = RIGS[rig]
    url = on_pty(answer, baud)
    record_path = tmp_path / "r.json"
    assert run(["validate", str(model), "--port", url, "--flash", "never", "--json", str(record_path)]) == code
    error = json.loads(record_path.read_text())["error"]
    assert error["code"] == finding
    output = capsys.readouterr().out
    assert "\nwhat to do: " in output
    if rig == "old":
        assert error["first"] is None, "it says by itself what it is"
    else:
        assert error["first"]["message"] != error["message"]
        assert f"\nat first: {error['first']['message']}\n" in output


def test_what_went_over_the_line_meanwhile_can_be_replayed(
    model: Path, on_pty: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, baud, _, _ = RIGS["modem"]
    record = tmp_path / "run.link"
    assert run(["validate", str(model), "--port", on_pty(answer, baud), "--record", str(record)]) == 6
    capsys.readouterr()
    assert run(["replay", str(record)]) == 0
    output = capsys.readouterr().out
    assert "2 opened, 2 sessions" in output
    assert "6 bytes that no border ends" in output, "the modem's OK"


@pytest.mark.parametrize("command", [["info"], ["soak", "--exchanges", "1"], ["bench", "--link"]])
def test_the_others(
    command: list[str], on_pty: Callable[..., str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    answer, baud, _, code = RIGS["text"]
    url = on_pty(answer, baud)
    assert run([*command, "--port", url, "--flash", "never"]) == code
    captured = capsys.readouterr()
    assert "T=21.5 H=40" in captured.out + captured.err
    assert "at first: no answer to Hello" in captured.out + captured.err


def test_pytest(on_pty: Callable[..., str], pytester: pytest.Pytester) -> None:
    answer, baud, _, _ = RIGS["text"]
    url = on_pty(answer, baud)
    pytester.makeconftest("import harness.targets.board; harness.targets.board._GREETING_TIMEOUT_S = 0.3")
    pytester.makepyfile("def test_it(device): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--hil-port={url}", "--hil-flash=never")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*something else than our firmware answers*T=21.5 H=40*"])


def test_a_board_that_falls_silent_in_the_middle_of_a_run(on_pty: Callable[..., str]) -> None:
    fake = FakeDevice()
    url = on_pty(fake.receive)
    with Workbench(board_at(url)) as bench:
        bench.device()
        fake.faults = Faults(silent=True)
        timeout = LinkTimeout("no answer to Run within 31 s")
        finding = bench.failed(timeout)
    assert finding.code == "device_silent"
    assert finding.first is timeout


def test_a_board_that_answers_again_keeps_its_error(on_pty: Callable[..., str]) -> None:
    with Workbench(board_at(on_pty(FakeDevice().receive))) as bench:
        bench.device()
        error = bench.failed(LinkTimeout("no answer to Run within 31 s"))
    assert error.code == "link_timeout"
    assert error.first is None
    assert "asked once more, it answers" in error.message


def test_a_board_that_was_unplugged() -> None:
    target = board_at(None)
    finding = explained(target, LinkTimeout("no answer to Run within 31 s"))
    assert (finding.code, finding.exit_code) == ("no_board", 3)
    assert isinstance(finding.first, LinkTimeout)


def test_a_board_that_was_flashed_and_does_not_answer_is_explained(on_pty: Callable[..., str]) -> None:
    target = board_at(on_pty(FakeDevice().receive, 57600))
    error = explained(target, found("flash_not_verified", board="nucleo_f446re", port="x", reason="silence"))
    assert isinstance(error, FlashError)
    assert error.code == "flash_not_verified"
    assert "our firmware answers at" in error.message
    assert "57600" in error.message


@pytest.mark.parametrize(
    "error", [TargetUnavailable("no tool"), MismatchError("old", code="protocol_version"), FlashError("no probe")]
)
def test_an_error_that_says_enough_is_left_alone(error: HilError) -> None:
    def never(_url: str, _baud: int) -> Transport:
        raise AssertionError("nobody has to look")

    assert explained(board_at("/dev/ttyACM0", never), error) is error


def test_what_was_looked_into_is_not_looked_into_again() -> None:
    def never(_url: str, _baud: int) -> Transport:
        raise AssertionError("it has been looked at")

    finding = LinkTimeout("silent", code="device_silent")
    finding.first = timeout = LinkTimeout("no answer to Hello")
    assert explained(board_at("/dev/ttyACM0", never), finding) is finding
    assert finding.first is timeout


def test_a_look_that_ends_as_the_run_did_finds_nothing() -> None:
    def stuck(url: str, _baud: int) -> Transport:
        raise LinkTimeout(f"{url} took no bytes for 10 s")

    error = LinkTimeout("/dev/ttyACM0 took no bytes for 10 s")
    assert explained(board_at("/dev/ttyACM0", stuck), error) is error
    assert error.first is None


def test_an_emulator_has_no_port_to_look_at(tmp_path: Path) -> None:
    timeout = LinkTimeout("no answer")
    assert explained(NativeTarget(tmp_path / "none", tmp_path / "log"), timeout) is timeout


def test_a_finding_survives_the_way_out_of_a_worker() -> None:
    finding = found("port_busy", port="/dev/ttyACM0", by="minicom (pid 42)")
    finding.first = LinkTimeout("silence")
    copy = pickle.loads(pickle.dumps(finding))
    assert (copy.code, copy.message, copy.remedy) == (finding.code, finding.message, finding.remedy)
    assert copy.first.message == "silence"


def board_at(url: str | None, open_line: Callable[[str, int], Transport] = SerialPort) -> BoardTarget:
    return BoardTarget(
        board("nucleo_f446re"),
        ChipProgram(lambda _: None, "nucleo_f446re"),
        port=url,
        flash="never",
        list_ports=lambda: [PortInfo("/dev/ttyUSB0", 0x1A86, 0x7523, None, "USB Serial")],
        open_line=open_line,
    )


def test_a_broken_rig_is_looked_at_once_for_many_models(
    model: Path, on_pty: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greetings = []
    running_on = ChipProgram.running_on

    def counted(self: ChipProgram, line: Transport, timeout_s: float) -> object:
        greetings.append(timeout_s)
        return running_on(self, line, timeout_s)

    monkeypatch.setattr(ChipProgram, "running_on", counted)
    other = Path(shutil.copy(model, tmp_path / "other.keras"))
    models = [str(model), str(other)]
    assert run(["validate", *models, "--port", on_pty(lambda _: b""), "--flash", "never", "--json", str(tmp_path)]) == 5
    assert len(greetings) == 1
