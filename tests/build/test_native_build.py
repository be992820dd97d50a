from __future__ import annotations

from pathlib import Path
from subprocess import run

import pytest

from build_helpers import or_skip
from harness.build.native import compile_host_tool, native_executable
from harness.errors import BuildFailed, TargetUnavailable
from patience import PATIENCE_S


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "tool.c"
    path.write_text(
        '#include <stdio.h>\n#include "wire_defs.h"\n'
        "int main(void) {\n"
        '    (void)printf("%u %s\\n", WIRE_PROTOCOL_MAJOR, FIRMWARE_VERSION);\n'
        "#ifdef OUT_OF_BOUNDS\n    volatile int a[2] = {0};\n    volatile int i = 2;\n    return a[i];\n#endif\n"
        "    return 0;\n}\n"
    )
    return path


def test_a_tool_sees_the_firmware(source: Path) -> None:
    program = or_skip(lambda: compile_host_tool("tool", [source], include_firmware_lib=False))
    assert run([program], capture_output=True, text=True, check=True).stdout.split()[0] == "1"


def test_the_same_is_compiled_once(source: Path) -> None:
    first = or_skip(lambda: compile_host_tool("tool", [source], include_firmware_lib=False))
    compiled_at_ns = first.stat().st_mtime_ns
    second = compile_host_tool("tool", [source], include_firmware_lib=False)
    assert (second, second.stat().st_mtime_ns) == (first, compiled_at_ns)


def test_a_define_makes_another_program_and_sanitizers_are_on(source: Path) -> None:
    plain = or_skip(lambda: compile_host_tool("tool", [source], include_firmware_lib=False))
    planted = compile_host_tool("tool", [source], ["OUT_OF_BOUNDS"], include_firmware_lib=False)
    assert planted != plain
    done = run([planted], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "out of bounds" in done.stderr


def test_a_compiler_error_is_shown(tmp_path: Path) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int main(void) { return nonsense; }\n")
    with pytest.raises(BuildFailed, match=r"nonsense.*undeclared"):
        or_skip(lambda: compile_host_tool("broken", [broken], include_firmware_lib=False))


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(TargetUnavailable, match="no-such-compiler") as caught:
        native_executable()
    assert caught.value.remedy


def test_native_ends_with_its_input(native_program: Path) -> None:
    assert run([native_program], input=b"", capture_output=True, timeout=PATIENCE_S, check=False).returncode == 0
