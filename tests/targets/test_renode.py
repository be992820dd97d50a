"""The Renode target, on a fake Renode: start, readiness, end, and every way not to start. And its platform file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import seeds
from fake_renode import launcher
from harness.build.native import native_executable
from harness.build.paths import project_root
from harness.build.platformio import firmware_elf
from harness.cli.app import run
from harness.device import Device
from harness.errors import LinkError, LinkTimeout, TargetUnavailable
from harness.protocol.messages import Echo
from harness.protocol.wire import RunsOn
from harness.targets.boards import board
from harness.targets.renode import PLATFORM, RenodeTarget
from harness.workbench import Workbench
from keras_models import save_spec
from patience import PATIENCE_S, wait_until

MakeTarget = Callable[..., RenodeTarget]


@pytest.fixture
def elf(tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / "firmware.elf"
    path.parent.mkdir()
    path.touch()
    return path


@pytest.fixture
def make(elf: Path, tmp_path: Path) -> Iterator[MakeTarget]:
    """Targets with a fake Renode that behaves in a given way."""
    targets = []

    def make_target(way: str = "good") -> RenodeTarget:
        targets.append(RenodeTarget(elf, tmp_path / "log", launcher(tmp_path, way)))
        return targets[-1]

    yield make_target
    for target in targets:
        target.stop()


def processes_with(text: str) -> list[int]:
    """The processes of this machine whose command line holds a text."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in line.read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                found.append(int(line.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def scratch_of(target: RenodeTarget) -> Path:
    assert target.scratch is not None
    return target.scratch


def test_it_starts_answers_and_leaves_nothing(make: MakeTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.targets.process._INPUT_END_TIMEOUT_S", PATIENCE_S)
    target = make()
    assert target.unavailable() is None
    with Device(target.start()) as device:
        assert device.connect().runs_on == RunsOn.RENODE
        for size in range(0, 1040, 130):
            assert device.request(Echo(data=bytes(range(130)) * (size // 130))).data == bytes(range(130)) * (
                size // 130
            )
        assert device.link_counters.bad_frames == 0
    described = target.description()
    assert described.pop("platform_sha256") == hashlib.sha256(PLATFORM.read_bytes()).hexdigest()
    assert described == {"machine": "stm32f446re", "emulator": "Renode 1.16.1.0"}
    scratch = scratch_of(target)
    assert processes_with(scratch.name)
    started = time.monotonic()
    target.stop()
    assert time.monotonic() - started < PATIENCE_S, "it ends with its input, before any signal"
    assert not scratch.exists()
    assert not processes_with(scratch.name)
    assert target.post_mortem() is not None
    assert "status 0" in str(target.post_mortem())
    target.stop()


def test_the_script_places_the_image_before_the_start(make: MakeTarget, tmp_path: Path, elf: Path) -> None:
    target = make()
    assert target.preload(b"image", 0x08010000)
    target.start().close()
    image = scratch_of(target) / "flash"
    assert image.read_bytes() == b"image"
    lines = (scratch_of(target) / "run.resc").read_text().splitlines()
    assert lines[2] == f"sysbus LoadELF @{tmp_path}/a\\ folder/firmware.elf"
    assert lines[3] == f"sysbus LoadBinary @{image} 0x08010000"
    assert lines[-1] == "start"


def test_no_port_is_opened_to_anybody(make: MakeTarget) -> None:
    """Neither here nor in the arguments: without --console, Renode's monitor would listen on all interfaces."""
    target = make()
    target.start().close()
    text = (scratch_of(target) / "run.resc").read_text()
    assert "Socket" not in text
    assert "--console" in Path(f"/proc/{processes_with(scratch_of(target).name)[0]}/cmdline").read_text()


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("dies", ["status 134", "out of memory"]),
        ("script_error", ["script failed", "Error E39"]),
        ("no_terminal", ["no pseudo-terminal within 1 s"]),
    ],
)
def test_a_start_that_fails_is_3_and_names_the_log(
    make: MakeTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str, words: list[str]
) -> None:
    monkeypatch.setattr("harness.targets.renode._START_TIMEOUT_S", 1.0 if way == "no_terminal" else PATIENCE_S)
    target = make(way)
    with pytest.raises(TargetUnavailable) as error:
        target.start()
    assert error.value.exit_code == 3
    assert error.value.code == "renode_not_started"
    for word in [*words, str(tmp_path / "log")]:
        assert word in error.value.message
    assert not scratch_of(target).exists()
    assert not processes_with(scratch_of(target).name)


def test_a_missing_file_is_told_by_the_script(make: MakeTarget, elf: Path) -> None:
    elf.unlink()
    with pytest.raises(TargetUnavailable, match="LoadELF"):
        make().start()


def test_a_program_that_is_none(elf: Path, tmp_path: Path) -> None:
    program = tmp_path / "renode"
    target = RenodeTarget(elf, tmp_path / "log", program)
    assert "not there" in str(target.unavailable())
    program.write_text("no program")
    program.chmod(0o755)
    with pytest.raises(TargetUnavailable, match="could not be started"):
        target.start()


def test_a_firmware_that_is_silent_is_5_and_the_log_is_named(
    make: MakeTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Device.connect, "__defaults__", (0.5,))
    with Workbench(make("silent")) as bench, pytest.raises(LinkTimeout, match=re.escape(str(tmp_path / "log"))):
        bench.device()


def test_one_that_dies_in_the_middle_is_7_with_its_last_words(make: MakeTarget) -> None:
    with Workbench(make()) as bench:
        device = bench.device()
        launcher_id = processes_with(scratch_of(bench.target).name)[0]  # type: ignore[arg-type]
        os.killpg(os.getpgid(launcher_id), signal.SIGKILL)  # all at once, or the launcher would tell of its child
        with pytest.raises(LinkError) as error:
            device.request(Echo())
        told = bench.failed(error.value)
        assert (told.exit_code, told.code) == (7, "target_died")
        assert "SIGKILL" in told.message


def test_another_version_is_noted(make: MakeTarget, tmp_path: Path) -> None:
    target = make()
    target.start().close()
    assert target.notes() == ()
    (tmp_path / "log").write_text("Renode, version 1.15.3.1 (abc)\n")
    assert "1.15.3.1" in target.notes()[0]


def test_one_that_ignores_the_end_of_its_input_and_sigterm_is_killed(
    make: MakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.process._INPUT_END_TIMEOUT_S", 0.3)
    monkeypatch.setattr("harness.targets.process._STOP_TIMEOUT_S", 0.3)
    target = make("deaf")
    target.start().close()
    name = scratch_of(target).name
    assert processes_with(name)
    target.stop()
    assert wait_until(lambda: not processes_with(name))  # the child of the launcher is not ours to wait for
    assert not scratch_of(target).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_we_end_it_ends(tmp_path: Path, elf: Path, number: signal.Signals) -> None:
    program = tmp_path / "main.py"
    program.write_text(
        "import signal, sys, time\nfrom pathlib import Path\n"
        "from harness.endings import end_in_order\nend_in_order(signal.SIGTERM)\n"
        "from harness.targets.renode import RenodeTarget\nfrom harness.workbench import Workbench\n"
        "target = RenodeTarget(*map(Path, sys.argv[1:]))\n"
        "with Workbench(target) as bench:\n"
        "    bench.device()\n"
        "    print(target.scratch, flush=True)\n"
        "    time.sleep(600)\n"
    )
    argv = [sys.executable, str(program), str(elf), str(tmp_path / "log"), str(launcher(tmp_path))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=project_root()) as ours:
        assert ours.stdout is not None
        scratch = Path(ours.stdout.readline().strip())
        assert processes_with(scratch.name)
        ours.send_signal(number)
        ours.wait(PATIENCE_S)
    assert wait_until(lambda: not processes_with(scratch.name))
    assert scratch.exists() is (number == signal.SIGKILL)


@pytest.fixture
def as_renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake Renode that is found, with the native firmware at its USART."""
    try:
        firmware_elf()
        program = launcher(tmp_path, device=native_executable())
    except TargetUnavailable as error:
        pytest.skip(error.message)
    monkeypatch.setenv("RENODE_PATH", str(program))
    return program


def test_the_command_line_and_the_record(as_renode: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save_spec(seeds.random_lstm(3, 5), tmp_path)
    record = tmp_path / "r.json"
    assert run(["validate", str(model), "--renode", "--batch", "2", "--steps", "20", "--json", str(record)]) == 0
    assert capsys.readouterr().out.startswith("target  renode\n")
    target = json.loads(record.read_text())["target"]
    assert (target["kind"], target["machine"], target["emulator"]) == ("renode", "stm32f446re", "Renode 1.16.1.0")
    assert run(["validate", str(model), "--renode", "--qemu"]) == 2


def test_the_plugin(as_renode: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(device): assert device.info.arena_bytes > 1000")
    result = pytester.runpytest_subprocess("--renode", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_it[[]renode[]]*PASSED*"])


@pytest.fixture
def no_renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENODE_PATH", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders = os.environ["PATH"].split(os.pathsep)
    without = [folder for folder in folders if not Path(folder, "renode").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(without))


@pytest.mark.usefixtures("no_renode")
def test_where_there_is_none_the_end_is_3_with_the_way_to_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--renode"]) == 3
    assert "hil setup renode" in capsys.readouterr().err


@pytest.mark.usefixtures("no_renode")
def test_where_there_is_none_a_test_that_asks_for_it_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(device): pass")
    result = pytester.runpytest_subprocess("--hil-renode")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TargetUnavailable*no Renode*hil setup renode*"])


def tags() -> dict[int, int]:
    found = re.findall(r'Tag <(0x\w+), 0x\w+> "\w+" (0x\w+)', PLATFORM.read_text())
    return {int(address, 16): int(value, 16) for address, value in found}


def test_the_marker_and_the_id_are_what_the_firmware_looks_for() -> None:
    port = project_root() / "firmware" / "port" / "stm32f4"
    (marker,) = re.findall(r'renode_marker\[12\] = "(.*)"', (port / "board.c").read_text())
    (address,) = re.findall(r"UNIQUE_ID_ADDRESS (0x\w+)u", (port / "registers.h").read_text())
    words = [tags()[int(address, 16) + offset] for offset in (0, 4, 8)]
    assert b"".join(word.to_bytes(4, "little") for word in words) == marker.encode().ljust(12, b"\0")
    assert tags()[0xE0042000] & 0xFFF == board("nucleo_f446re").device_id


def test_the_memory_is_the_chips() -> None:
    text = PLATFORM.read_text()
    found = re.findall(r"^(flash|sram): .*\n    size: (0x\w+)", text, re.MULTILINE)
    sizes = {name: int(size, 16) for name, size in found}
    chip = board("nucleo_f446re")
    assert sizes == {"flash": chip.flash_bytes, "sram": chip.sram_bytes}
