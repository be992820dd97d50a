"""PlatformIO on a machine that cannot reach its registry: the same program, with what is installed here.

PlatformIO needs three packages to build: a platform, a toolchain and SCons. Here they are the small platform in
firmware/platformio/local_platform, the arm-none-eabi-gcc on the PATH, and the SCons of our own environment. They live
in a PlatformIO directory of their own, which a generated ini file points to.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import queue
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import platformio
from platformio.dependencies import get_core_dependencies

from harness.build.paths import hil_command, project_root, work_dir
from harness.errors import TargetUnavailable

GCC = "arm-none-eabi-gcc"

_REGISTRY_TIMEOUT_S = 3.0
"""Well above a slow answer, well below the minute that PlatformIO itself tries for."""


def registry_is_reachable() -> bool:
    """Whether one of the hosts that PlatformIO would ask gives any answer, through a proxy if one is set."""
    answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
    hosts = list(platformio.__registry_mirror_hosts__)
    for host in hosts:  # in threads that are left behind: looking up a name has no time-out
        threading.Thread(target=lambda name: answers.put(_gives_answer(name)), args=(host,), daemon=True).start()
    deadline_s = time.monotonic() + _REGISTRY_TIMEOUT_S
    for _ in hosts:
        try:
            if answers.get(timeout=max(deadline_s - time.monotonic(), 0.0)):
                return True
        except queue.Empty:
            return False
    return False


def has_toolchain() -> bool:
    """Whether there is a compiler to build with."""
    return shutil.which(GCC) is not None


def core_dir() -> Path:
    """PlatformIO's directory for the local way."""
    return work_dir() / "platformio-core"


def install() -> None:
    """Make the local way the one that `pio run` takes in this project. Does no harm the second time.

    Raises:
        TargetUnavailable: something that it needs is not installed.
    """
    core = core_dir()
    _install_scons(core / "packages" / "tool-scons")
    _install_toolchain(core / "toolchain")
    platform = project_root() / "firmware" / "platformio" / "local_platform"
    _write(
        override_ini(),
        "; Made by the harness since PlatformIO's registry could not be reached. Delete it to try the registry again.\n"
        f"[platformio]\ncore_dir = {core}\n\n"
        f"[env]\nplatform = symlink://{platform}\n"
        f"platform_packages = toolchain-gccarmnoneeabi@symlink://{core / 'toolchain'}\n",
    )


def uninstall() -> None:
    """Make PlatformIO's own packages the ones that `pio run` takes in this project."""
    override_ini().unlink(missing_ok=True)


def is_installed() -> bool:
    """Whether `pio run` takes what is installed here in this project."""
    return override_ini().is_file()


def override_ini() -> Path:
    """The file that platformio.ini takes in if it is there."""
    return work_dir() / "platformio_override.ini"


def _gives_answer(host: str) -> bool:
    try:
        request = urllib.request.Request(f"https://{host}", method="HEAD")
        with urllib.request.urlopen(request, timeout=_REGISTRY_TIMEOUT_S):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _install_scons(package: Path) -> None:
    version = get_core_dependencies()["tool-scons"].lstrip("~^=")
    scons_version = _scons_version(version)
    spec = importlib.util.find_spec("SCons")
    if spec is None or spec.origin is None or importlib.metadata.version("scons") != scons_version:
        raise TargetUnavailable(
            f"PlatformIO's registry cannot be reached, and there is no SCons {scons_version} here",
            code="no_scons",
            remedy=f"run `{hil_command()} setup`",
        )
    owner_and_name = {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}
    # Without this record, owner included, PlatformIO takes the package for another one and asks the registry.
    _write_json(package / ".piopm", {"type": "tool", "name": "tool-scons", "version": version, "spec": owner_and_name})
    _write_json(package / "package.json", {"name": "tool-scons", "version": version})
    site_packages = str(Path(spec.origin).parents[1])
    _write(
        package / "scons.py",
        f"import sys\n\nsys.path.append({site_packages!r})\n\nfrom SCons.Script import main\n\nsys.exit(main())\n",
    )


def _scons_version(package_version: str) -> str:
    """SCons' own version: PlatformIO writes 4.11.1 as 4.41101.0."""
    digits = package_version.split(".")[1]
    return ".".join(str(int(part)) for part in (digits[:-4], digits[-4:-2], digits[-2:]))


def _install_toolchain(package: Path) -> None:
    gcc = shutil.which(GCC)
    if gcc is None:
        raise TargetUnavailable(
            f"PlatformIO's registry cannot be reached, and there is no {GCC} here",
            code="no_toolchain",
            remedy=f"run `{hil_command()} setup`",
        )
    version = subprocess.run([gcc, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    major, minor, patch = (int(part) for part in version.split("."))
    _write_json(
        package / "package.json",
        {"name": "toolchain-gccarmnoneeabi", "version": f"1.{major}{minor:02d}{patch:02d}.0"},
    )
    _link_programs(Path(gcc), package / "bin")


def _link_programs(gcc: Path, folder: Path) -> None:
    """Link the compiler's own programs alone; it follows the links to where its parts are.

    PlatformIO puts this folder in front of the PATH, where all of /usr/bin would hide what else is on it, say an
    OpenOCD.
    """
    if folder.is_symlink():
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    prefix = gcc.name.removesuffix("gcc")
    for program in gcc.parent.glob(f"{prefix}*"):
        link = folder / program.name
        link.unlink(missing_ok=True)
        link.symlink_to(program)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_json(path: Path, content: object) -> None:
    _write(path, json.dumps(content) + "\n")
