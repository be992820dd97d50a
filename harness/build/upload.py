"""Writes the chip's ELF to a board: PlatformIO's `upload`, which starts OpenOCD."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.build import flasher, pio_local
from harness.build.platformio import ENVIRONMENT, run_command, run_environment
from harness.findings import found

_OPENOCD = flasher.Flasher(
    "OpenOCD",
    (
        (r"LIBUSB_ERROR_ACCESS|[Pp]ermission denied", "probe_permission"),
        (r"open failed|no device found|unable to (open|find)", "no_probe"),
        (r"init mode failed|not examined|unable to connect to the target|target voltage|UNEXPECTED idcode", "no_chip"),
        (r"[Vv]erify failed|checksum mismatch", "flash_verify"),
        (r"openocd: (command )?not found|No such file or directory: .*openocd", "no_openocd"),
    ),
    by_hand="pio run -t upload -v",
    timeout_s=600.0,  # OpenOCD takes some 5 s; the rest is for PlatformIO, which may have to fetch it first
)


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
    argv = [*run_command("nobuild", "upload", environment=environment), "--disable-auto-clean"]
    flasher.run(_OPENOCD, argv, serial_number, variables)


def openocd() -> Path | None:
    """The OpenOCD that PlatformIO starts; None where it will fetch one of its own.

    Raises:
        FlashError: PlatformIO takes what is installed here, and there is none.
    """
    if pio_local.is_installed():
        on_path = shutil.which("openocd")
        if on_path is None:
            raise found("no_openocd")
        return Path(on_path)
    core = Path(os.environ.get("PLATFORMIO_CORE_DIR") or "~/.platformio").expanduser()
    program = core / "packages" / "tool-openocd" / "bin" / "openocd"
    return program if program.is_file() else None
