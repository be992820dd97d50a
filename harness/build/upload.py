"""Writes the chip's ELF to a board: PlatformIO's `upload`, which starts OpenOCD."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence

from harness.build import pio_local
from harness.build.paths import project_root
from harness.build.platformio import ENVIRONMENT, run_command, run_environment
from harness.errors import FlashError

_TIMEOUT_S = 600.0
"""OpenOCD takes some 5 s; the rest is for PlatformIO, which may have to fetch it first."""

_SHOWN_LINES = 12

_CAUSES = (
    (
        r"LIBUSB_ERROR_ACCESS|[Pp]ermission denied",
        "probe_permission",
        "this user may not use the probe",
        "install OpenOCD's udev rules (60-openocd.rules), then plug the board in again",
    ),
    (
        r"open failed|no device found|unable to (open|find)",
        "no_probe",
        "OpenOCD found no such probe",
        "look at the cable, and whether another debugger or a virtual machine has the probe",
    ),
    (
        r"init mode failed|not examined|unable to connect to the target|target voltage|UNEXPECTED idcode",
        "no_chip",
        "the probe is there and cannot reach the chip",
        "look at the board's power and at the jumpers of its probe (CN2, JP5 on a Nucleo-64), then plug it in again",
    ),
    (r"[Vv]erify failed|checksum mismatch", "flash_verify", "what was read back is not what was written", "run again"),
    (
        r"openocd: (command )?not found|No such file or directory: .*openocd",
        "no_openocd",
        "there is no OpenOCD",
        "install it; Debian calls it openocd",
    ),
)
"""What OpenOCD writes, as a pattern, with the code, what it means, and what to do. The first that is found counts."""


def upload(serial_number: str | None, environment: str = ENVIRONMENT) -> None:
    """Write the ELF that is built to the board behind a probe, verify it there, and start it.

    Args:
        serial_number: of the probe; None where the only one there has none.
        environment: section of platformio.ini, named after the board.

    Raises:
        FlashError: it could not be written.
    """
    variables = run_environment(from_registry=not pio_local.is_installed())
    if serial_number is not None:
        # upload_flags by environment variable. PlatformIO puts them in front of OpenOCD's other arguments, before any
        # driver is chosen: there `adapter serial` (OpenOCD 0.12) is understood, the older hla_serial is not.
        variables["PLATFORMIO_UPLOAD_FLAGS"] = f"-c\nadapter serial {serial_number}"
    # The variable counts as a change of the project, after which PlatformIO would remove what was built.
    status, output = _run(
        [*run_command("nobuild", "upload", environment=environment), "--disable-auto-clean"], variables
    )
    if status != 0:
        raise _failure(serial_number, status, output)


def _run(argv: Sequence[str], environment: dict[str, str]) -> tuple[int | None, str]:
    """Exit status, None if it took too long, and output."""
    process = subprocess.Popen(
        argv,
        cwd=project_root(),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # so that OpenOCD can be ended with PlatformIO: it would keep the probe
    )
    try:
        output, _ = process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        return None, process.communicate()[0]
    except BaseException:
        _kill_group(process)
        raise
    return process.returncode, output


def _kill_group(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _failure(serial_number: str | None, status: int | None, output: str) -> FlashError:
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("===")]
    tail = "\n".join(lines[-_SHOWN_LINES:])
    probe = f"the ST-LINK with serial number {serial_number}" if serial_number else "an ST-LINK"
    if status is None:
        return FlashError(
            f"flashing did not end within {_TIMEOUT_S:g} s (looked for {probe}):\n{tail}",
            code="flash_hangs",
            remedy="plug the board in again",
        )
    for pattern, code, meaning, remedy in _CAUSES:
        if re.search(pattern, output):
            return FlashError(f"flashing failed: {meaning}; looked for {probe}:\n{tail}", code=code, remedy=remedy)
    return FlashError(
        f"flashing failed with status {status}; looked for {probe}:\n{tail}",
        remedy="plug the board in again; `pio run -t upload -v` shows more",
    )
