"""What the tests of the build share."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import run

import pytest

from harness.build.cmsis import cmsis_dsp_dir
from harness.build.native import compile_host_tool
from harness.build.paths import project_root, work_dir
from harness.errors import BuildFailed, TargetUnavailable

HERE = Path(__file__).parent


def or_skip(build: Callable[[], Path]) -> Path:
    """What is built, or a skipped test where a tool is missing. A build that fails is a failure."""
    try:
        return build()
    except BuildFailed:
        raise
    except TargetUnavailable as error:
        pytest.skip(error.message)


def run_c_tool(name: str, *arguments: str, include_dirs: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Runs one of the C programs beside this file; gives the words of its lines, in pairs."""
    program = or_skip(lambda: compile_host_tool(name, [HERE / f"{name}.c"], include_dirs=include_dirs))
    done = run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [(key, value) for key, _, value in (line.partition(" ") for line in done.stdout.splitlines())]


class TreeCopy:
    """A copy of what a build needs, somewhere else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        project = project_root()
        for name in ("firmware", "harness"):
            shutil.copytree(project / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(project / "platformio.ini", root)
        cmsis = cmsis_dsp_dir()
        (root / work_dir().name).mkdir()
        (root / work_dir().name / cmsis.name).symlink_to(cmsis)

    def build(self, module: str, function: str) -> Path:
        """Call a function of harness.build in a Python of its own, which takes the copy's harness."""
        code = f"from harness.build.{module} import {function}; print({function}())"
        done = run([sys.executable, "-c", code], cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())
