"""Tools that are missing, too old or broken, and disks: played programs on a PATH of the test's own."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.doctor import machine
from harness.doctor.machine import GCC, OPENOCD, PYOCD, QEMU, RENODE, Tool, check_folder, check_platformio, check_tool
from harness.doctor.outcomes import NotChecked
from harness.errors import HilError

ANSWERS = {
    "arm-none-eabi-gcc": "arm-none-eabi-gcc (15:{0}.rel1-1) {0} 20221205\nCopyright (C) 2022 Free Software Foundation",
    "qemu-system-arm": "QEMU emulator version {0} (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022",
    "renode": "Renode v{0}\n  build: d66b0c2a-202611211304\n  runtime: Mono 4.0.30319.42000",
    "openocd": "Open On-Chip Debugger {0}\nLicensed under GNU GPL v2",
    "pyocd": "{0}",
}
"""What they answer to --version, as seen of the real ones."""

TOOLS = (GCC, QEMU, RENODE, OPENOCD, PYOCD)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a program that prints something on a PATH that has nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name: str, script: str) -> Path:
        path = tmp_path / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    return put


def saying(text: str) -> str:
    return f"#!/bin/sh\nwhile read -r line; do echo \"$line\"; done <<'END'\n{text}\nEND\n"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.check)
def test_a_tool_that_is_there(tool: Tool, install: Callable[[str, str], Path]) -> None:
    path = install(tool.program, saying(ANSWERS[tool.program].format("99.2.1")))
    assert check_tool(tool) == f"99.2.1, {path}"
    install(tool.program, saying(ANSWERS[tool.program].format(f"{tool.least}.0")))
    assert check_tool(tool)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.check)
@pytest.mark.usefixtures("install")
def test_a_tool_that_is_missing(tool: Tool) -> None:
    with pytest.raises(HilError) as error:
        check_tool(tool)
    assert error.value.code == tool.missing
    assert "install" in error.value.remedy or "hil setup" in error.value.remedy


@pytest.mark.parametrize(
    ("tool", "version"),
    [(GCC, "9.3.1"), (QEMU, "5.2.0"), (RENODE, "1.15.3.1234"), (OPENOCD, "0.11.0"), (PYOCD, "0.9.1")],
    ids=lambda value: value.check if isinstance(value, Tool) else value,
)
def test_a_tool_that_is_too_old(tool: Tool, version: str, install: Callable[[str, str], Path]) -> None:
    path = install(tool.program, saying(ANSWERS[tool.program].format(version)))
    with pytest.raises(HilError) as error:
        check_tool(tool)
    assert error.value.code == tool.too_old
    for part in (version, tool.least, str(path)):
        assert part in error.value.message


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\necho 'error while loading shared libraries: libusb-1.0.so.0' >&2\nexit 127\n", "libusb-1.0"),
        ("\x7fELF\x02\x01\x01 of another machine", "Exec format error"),
        ("#!/there/is/no/such/shell\n", "No such file"),
        ("#!/bin/sh\necho hello\n", "hello"),
        (
            "#!/bin/sh\necho Open On-Chip Debugger 0.12.0\necho no configuration\nexit 1\n",
            "exit status 1: no configuration",
        ),
        ("#!/bin/sh\nsleep 300\n", "no answer"),
    ],
)
def test_a_tool_that_is_broken(
    script: str, reason: str, install: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = install("openocd", script.replace("sleep", "/bin/sleep"))
    if reason == "no answer":
        monkeypatch.setattr(machine, "_ANSWER_TIMEOUT_S", 0.2)
    with pytest.raises(HilError) as error:
        check_tool(OPENOCD)
    assert error.value.code == "tool_broken"
    assert reason in error.value.message
    assert f"{path} --version" in error.value.remedy


def test_the_tools_that_are_installed_here_are_understood() -> None:
    """No PATH is played: what is there must be read as what it is."""
    here = [tool for tool in TOOLS if shutil.which(tool.program)]
    if not here:
        pytest.skip("none of them is installed here")
    for tool in here:
        assert check_tool(tool)[0].isdigit()


def test_platformio() -> None:
    assert check_platformio().startswith("6.")
    with pytest.raises(HilError) as error:
        check_platformio(lambda _: "6.1.18")
    assert error.value.code == "platformio_too_old"
    assert sys.executable in error.value.remedy

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    with pytest.raises(HilError) as error:
        check_platformio(missing)
    assert error.value.code == "no_platformio"


@pytest.mark.usefixtures("install")
def test_what_nobody_asked_for_may_be_missing() -> None:
    with pytest.raises(NotChecked, match=r"there is no Renode \(no_renode\), and only --renode needs it"):
        machine.needed_only(lambda: check_tool(RENODE), "--renode")


def test_a_folder_with_room(tmp_path: Path) -> None:
    assert "can be written" in check_folder(tmp_path / "new" / "cache", "what is built")
    assert list((tmp_path / "new" / "cache").iterdir()) == []


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    with pytest.raises(HilError) as error:
        check_folder(tmp_path, "what is built", lambda _: 3_000_000)
    assert (error.value.code, error.value.exit_code) == ("disk_full", 3)
    assert "3 MB free" in error.value.message
    assert str(tmp_path) in error.value.message


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EROFS, "cache_not_writable"), (errno.EDQUOT, "disk_full")]
)
def test_a_disk_that_takes_nothing(number: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(HilError) as error:
        check_folder(tmp_path, "what is built")
    assert (error.value.code, error.value.exit_code) == (code, 3)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(HilError) as error:
        check_folder(tmp_path / "cache", "what is built")
    assert error.value.code == "cache_not_writable"
