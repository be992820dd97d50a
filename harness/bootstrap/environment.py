"""Makes .venv: the locked packages by hash, and this project itself, editable.

A set-up may be killed at any point. The stamp is removed first and written last, so the next start sees what is
unfinished and makes it anew.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.bootstrap import stamp
from harness.bootstrap.console import print_to_stderr
from harness.bootstrap.system import base_python, ensure_system_parts
from harness.endings import signals_wait, wait_for
from harness.errors import TargetUnavailable

DOWNLOAD_MB: Final = 650
"""What pip fetches for run.lock on Linux x86-64, nine tenths of it TensorFlow. dev.lock adds 30."""

DISK_MB: Final = 2300
"""What .venv takes with dev.lock."""

PIP_SETTINGS_KEPT: Final = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR"),
    *("PIP_PROXY", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_TRUSTED_HOST", "PIP_KEYRING_PROVIDER", "PIP_CONFIG_FILE"),
    *("PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "PIP_USE_FEATURE", "PIP_USE_DEPRECATED"),
)
"""Where packages come from is the user's business. What is installed, and into what, is ours: PIP_TARGET, PIP_USER,
PIP_CONSTRAINT, PIP_NO_BINARY and their like would put something else in .venv, or the packages somewhere else."""

Say = Callable[[str], None]


def prepare(root: str, *, dev: bool = False, say: Say = print_to_stderr) -> None:
    """Make or repair .venv under `root`; at once done if it is as the locks say.

    Raises:
        TargetUnavailable: this machine cannot have it: no right to write, no packages for it, no network.
    """
    _refuse_machines_without_packages()
    try:
        (Path(root) / ".hil").mkdir(exist_ok=True)
        with _set_up_lock(Path(root), say) as lock:
            if stamp.is_satisfied(root, dev):  # another start has just made it
                return
            _make(Path(root), dev or "dev" in stamp.read(root), lock, say)
    except OSError as refused:
        if refused.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise TargetUnavailable(
            f"{refused.filename} cannot be written, and the set-up keeps everything inside the project's folder.",
            code="folder_not_writable",
            remedy=f"Make it yours (sudo chown -R {os.getuid()}:{os.getgid()} '{root}') or clone into your own folder.",
        ) from refused


def _make(root: Path, dev: bool, lock: int, say: Say) -> None:
    venv = root / ".venv"
    if in_place := stamp.can_update_in_place(str(root)):
        say(".venv is not what the locks say any more: bringing it up to date.")
    else:
        _check_disk(root)
        ensure_system_parts(("python3-venv",), say)
        if venv.exists():
            say(".venv is unfinished or was made by another Python: making it anew.")
        megabytes = DOWNLOAD_MB + 30 * dev
        say(
            f"setting up .venv, once: about {megabytes} MB of Python packages to download unless pip has them cached, "
            f"{DISK_MB / 1000:.1f} GB on disk, a few minutes."
        )
    stamp.remove(str(root))

    scratch = root / ".hil" / "tmp"  # not /tmp: there it may be memory, and TensorFlow's package is 600 MB
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    environ = environment_for_pip(os.environ) | {"TMPDIR": str(scratch)}
    python = stamp.venv_python(str(root))
    try:
        if not in_place:
            _remove_venv(venv)
            base = base_python()  # sys.executable may be in the .venv that we have just removed
            if _run([base, "-m", "venv", str(venv)], environ, lock):
                raise TargetUnavailable(
                    f"{base} could not make a virtual environment; its own words are above.",
                    code="venv_failed",
                    remedy="Start hil with another Python, for example `/usr/bin/python3 ./hil`.",
                )
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-compile"]
        lock_file = root / "requirements" / ("dev.lock" if dev else "run.lock")
        packages = ["--require-hashes", "--only-binary=:all:", "-r", str(lock_file)]
        packages += [] if sys.stderr.isatty() else ["--quiet"]
        project = ["--no-deps", "--no-build-isolation", "--no-index", "--editable", str(root), "-qq"]
        for arguments in (packages, project):
            if _run([*pip, *arguments], environ, lock):
                raise TargetUnavailable(
                    "pip could not install the packages; its own words are above.",
                    code="packages_unavailable",
                    remedy="If the network is to blame, set HTTPS_PROXY or PIP_INDEX_URL, and start ./hil again: "
                    "it goes on with what pip has cached.",
                )
        stamp.write(str(root), dev)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    say("set up.")


def environment_for_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without what would lead Python or pip astray."""
    ours = {
        name: value
        for name, value in environ.items()
        if not name.startswith(("PYTHON", "PIP_", "VIRTUAL_ENV", "__PYVENV")) or name in PIP_SETTINGS_KEPT
    }
    # The same settings may come from pip's configuration files, which a variable overrides.
    return ours | {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_DRY_RUN": "0"}


def _refuse_machines_without_packages() -> None:
    system, machine = platform.system(), platform.machine().lower()
    known = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",)}
    wide = sys.maxsize > 2**32
    glibc = system != "Linux" or platform.libc_ver()[0] == "glibc"
    if machine not in known.get(system, ()) or not wide or not glibc:
        kind = "" if wide else "32-bit Python on "
        kind += "" if glibc else "musl-based "
        raise TargetUnavailable(
            f"TensorFlow, which every result is compared with, has no package for {kind}{system} on {machine}.",
            code="machine_unsupported",
            remedy="Use 64-bit Linux with glibc (x86-64 or ARM), or macOS on Apple silicon.",
        )


def _check_disk(root: Path) -> None:
    free_mb = shutil.disk_usage(root).free // 10**6
    if free_mb < DISK_MB and not (root / ".venv").exists():
        raise TargetUnavailable(
            f"the set-up needs {DISK_MB} MB under {root}, and {free_mb} MB are free.",
            code="disk_full",
            remedy="Free some space, or clone the project onto a larger disk.",
        )


def _remove_venv(venv: Path) -> None:
    if venv.is_symlink():
        venv.unlink()
    elif venv.exists():
        shutil.rmtree(venv)


@contextmanager
def _set_up_lock(root: Path, say: Say) -> Iterator[int]:
    """Hold .hil/setup.lock.

    Children inherit it: if this process is killed outright, the lock is free once pip has ended too.
    """
    with open(root / ".hil" / "setup.lock", "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another start is setting up .venv: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _run(command: Sequence[str], environ: Mapping[str, str], lock: int) -> int:
    """Run a step with its output on stderr, and take it with us if we are interrupted.

    It has a session of its own, so that Ctrl-C reaches this process only and ends in one line.
    """
    child = None
    try:
        with signals_wait():  # or one that comes while it starts would leave it alone
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                stderr=sys.stderr,
                env=environ,
                start_new_session=True,
                pass_fds=(lock,),
            )
        return wait_for(child)
    except BaseException:
        if child is not None and child.poll() is None:
            _end(child)
        raise


def _end(child: subprocess.Popen[bytes]) -> None:
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
