"""Findings about this machine: its disk and its tools."""

from __future__ import annotations

from harness.errors import FlashError, TargetUnavailable
from harness.findings.kinds import Finding

MACHINE_FINDINGS = (
    Finding(
        "disk_full",
        "disk",
        TargetUnavailable,
        "too little room on a disk",
        "there is too little room for {path}: {reason}",
        "free some space there: `df -h` shows how full each disk is (`df -i`, `quota -s`: where it is not bytes that "
        "lack), `du -xh --max-depth=2 ~ | sort -h | tail` the largest folders; or name a place on another disk",
        {
            "path": "~/lstm-hil/.hil (what is built, and the oracle's cache)",
            "reason": "3 MB free on its disk, 64 MB needed",
        },
    ),
    Finding(
        "cache_not_writable",
        "disk",
        TargetUnavailable,
        "a folder that must be written cannot be",
        "{folder} ({purpose}) cannot be written: {reason}",
        "make it writable for {user} (`ls -ld {folder}` shows whose it is; a run with sudo may have left it to "
        "root); an installed package builds in another place if XDG_CACHE_HOME names one",
        {
            "folder": "~/.cache/lstm-hil",
            "purpose": "what is built, and the oracle's cache",
            "reason": "Permission denied",
            "user": "ann",
        },
    ),
    Finding(
        "no_toolchain",
        "arm-gcc",
        TargetUnavailable,
        "there is no cross compiler",
        "there is no arm-none-eabi-gcc on the PATH: the firmware for the chip cannot be built",
        "run `hil setup`, or install it (Debian: gcc-arm-none-eabi and libnewlib-arm-none-eabi)",
        {},
    ),
    Finding(
        "toolchain_too_old",
        "arm-gcc",
        TargetUnavailable,
        "the cross compiler is too old",
        "{program} is version {version}; the firmware is built with {least} or later",
        "install a newer one and put it first on the PATH",
        {
            "program": "/usr/bin/arm-none-eabi-gcc",
            "version": "7.3.1",
            "least": "10.3",
        },
    ),
    Finding(
        "no_qemu",
        "qemu",
        TargetUnavailable,
        "there is no QEMU",
        "there is no qemu-system-arm on the PATH: --qemu cannot run",
        "run `hil setup`, or install it (Debian: qemu-system-arm)",
        {},
    ),
    Finding(
        "qemu_too_old",
        "qemu",
        TargetUnavailable,
        "QEMU is too old",
        "{program} is version {version}; {least} or later is needed",
        "install a newer one and put it first on the PATH, or use --native",
        {
            "program": "/usr/bin/qemu-system-arm",
            "version": "3.1.0",
            "least": "6.2",
        },
    ),
    Finding(
        "no_renode",
        "renode",
        TargetUnavailable,
        "there is no Renode",
        "there is no Renode: not on the PATH, not where RENODE_PATH says, and none was installed",
        "run `hil setup renode` (without a network: `hil setup renode --from FILE --sha256 HEX`), or set "
        "RENODE_PATH to the program or its folder",
        {},
    ),
    Finding(
        "renode_too_old",
        "renode",
        TargetUnavailable,
        "Renode is too old",
        "{program} is version {version}; {least} or later is needed: 1.15.3 computes wrong results",
        "run `hil setup renode`, and take RENODE_PATH away if it names the old one",
        {
            "program": "/opt/renode/renode",
            "version": "1.15.3",
            "least": "1.16",
        },
    ),
    Finding(
        "no_platformio",
        "platformio",
        TargetUnavailable,
        "there is no PlatformIO",
        "PlatformIO is not installed beside hil: the firmware can neither be built nor flashed",
        "run `hil setup`, or `{python} -m pip install 'platformio>=6.2,<6.3'`",
        {
            "python": "~/lstm-hil/.venv/bin/python",
        },
    ),
    Finding(
        "platformio_too_old",
        "platformio",
        TargetUnavailable,
        "PlatformIO is too old",
        "PlatformIO beside hil is version {version}; {least} or later is needed",
        "`{python} -m pip install 'platformio>=6.2,<6.3'`",
        {
            "version": "6.1.18",
            "least": "6.2",
            "python": "~/lstm-hil/.venv/bin/python",
        },
    ),
    Finding(
        "no_openocd",
        "openocd",
        FlashError,
        "there is no OpenOCD",
        "there is no OpenOCD: a board cannot be flashed",
        "install it (Debian: openocd); or flash with `hil flash --tool pyocd`; or leave what is on the board, "
        "with --flash never",
        {},
    ),
    Finding(
        "openocd_too_old",
        "openocd",
        FlashError,
        "OpenOCD is too old",
        "{program} is version {version}; {least} or later is needed: older ones cannot choose a probe by its "
        "serial number",
        "install a newer one and put it first on the PATH, or flash with `hil flash --tool pyocd`",
        {
            "program": "/usr/bin/openocd",
            "version": "0.11.0",
            "least": "0.12",
        },
    ),
    Finding(
        "no_pyocd",
        "pyocd",
        FlashError,
        "there is no pyOCD",
        "there is no pyocd, neither beside hil nor on the PATH",
        "install it: `{python} -m pip install pyocd` (in a project of yours: `pip install 'lstm-hil[pyocd]'`)",
        {
            "python": "~/lstm-hil/.venv/bin/python",
        },
    ),
    Finding(
        "pyocd_too_old",
        "pyocd",
        FlashError,
        "the pyOCD here is too old",
        "{program} is version {version}; {least} or later is needed",
        "`{python} -m pip install --upgrade pyocd`",
        {
            "program": "~/lstm-hil/.venv/bin/pyocd",
            "version": "0.29.0",
            "least": "0.36",
            "python": "~/lstm-hil/.venv/bin/python",
        },
    ),
    Finding(
        "tool_broken",
        "arm-gcc",
        TargetUnavailable,
        "a tool is there and does not run",
        "{program} is there and does not run: {reason}",
        "run `{program} --version` by hand to see what it lacks (a library, a right, a Mono), then install it anew",
        {
            "program": "/opt/gcc/bin/arm-none-eabi-gcc",
            "reason": "Exec format error",
        },
    ),
)
