"""An environment with the installed package, as somebody else has it: not a clone, nor anything of this user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.build.cmsis import cmsis_dsp_dir

ROOT = Path(__file__).resolve().parents[2]

PROGRAMS = ("gcc", "arm-none-eabi-gcc", "qemu-system-arm")

_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "CC", "TF_ENABLE_ONEDNN_OPTS", "https_proxy", "HTTPS_PROXY", "no_proxy")
"""What the installed program gets of our environment. Not PYTHONPATH, nor where this user's cache is."""

_LOG_STARTS = (
    "import os, sys; 'STARTS' in os.environ and "
    "open(os.environ['STARTS'], 'a').write(f'{os.getpid()} {sys.orig_argv}\\n')"
)
"""In a .pth file: every start of this Python is written down, with its process since Python may read the file twice."""


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel in it, and a home of its own."""

    venv: Path
    home: Path

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def run(self, *argv: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the home."""
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # Where PlatformIO's registry answers, its packages are hundreds of megabytes: take those that this user has.
        core = os.environ.get("PLATFORMIO_CORE_DIR", os.path.expanduser("~/.platformio"))
        return subprocess.run(
            [self.venv / "bin" / argv[0], *argv[1:]],
            cwd=self.home,
            env={**environ, "HOME": str(self.home), "PLATFORMIO_CORE_DIR": core, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def call(self, module: str, expression: str) -> str:
        """What an expression in one of the package's modules gives."""
        done = self.run("python", "-c", f"import {module}; print({module}.{expression})")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def with_home(self, home: Path) -> Installation:
        """The same for another user, whose cache holds nothing but CMSIS-DSP's sources: no test needs a network."""
        home.mkdir()
        other = Installation(self.venv, home)
        cmsis = cmsis_dsp_dir()
        work_dir = Path(other.call("harness.build.paths", "work_dir()"))
        assert work_dir.is_relative_to(home)
        (work_dir / cmsis.name).symlink_to(cmsis)
        shutil.copytree(ROOT / "examples" / "user_project", home / "project", ignore=_ignored)
        return other

    def pytest(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the user's project."""
        return self.run("python", "-m", "pytest", "-v", "-p", "no:cacheprovider", *options, "project", **variables)


def build(folder: Path) -> tuple[Path, Path]:
    """(source distribution, wheel made from it), from a copy of the tree: a build writes where the sources are."""
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=_ignored)
    _build("sdist", tree, folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    _build("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def install(wheel: Path, folder: Path) -> Path:
    """A virtual environment with this wheel.

    Its dependencies are the ones of the Python that runs us, seen through a .pth file, because TensorFlow is 600 MB:
    that the dependencies are complete is not proved by this.
    """
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site_packages,) = venv.glob("lib/python3*/site-packages")
    theirs = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site_packages / "parent.pth").write_text("\n".join([*theirs, _LOG_STARTS, ""]))
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    for path in (site_packages / "harness").rglob("*"):  # as where an administrator has installed it
        path.chmod(0o555 if path.is_dir() else 0o444)
    return venv


def need_programs() -> None:
    """Skip where a target cannot run."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on the PATH")


def _build(what: str, tree: Path, target: Path) -> None:
    code = f"import sys; from setuptools import build_meta; build_meta.build_{what}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, target], cwd=tree, check=True, capture_output=True)


def _ignored(folder: str, names: list[str]) -> list[str]:
    """What a fresh clone does not have. An old egg-info would add what it lists to a source distribution."""
    made = {"build", "dist"} if Path(folder) == ROOT else set()
    return [
        name
        for name in names
        if name in made or name == "__pycache__" or name.startswith(".") or name.endswith(".egg-info")
    ]
