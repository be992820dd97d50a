"""Findings about serial ports and probes: whether they are there, and ours to use."""

from __future__ import annotations

from harness.errors import FlashError, TargetUnavailable, UsageError
from harness.findings.kinds import Finding

PORT_FINDINGS = (
    Finding(
        "no_board",
        "port",
        TargetUnavailable,
        "no board is connected",
        "no {board} is connected: looked for a serial port with USB id {usb_ids}{number}; found {found}",
        "plug the board in with a cable that carries data (many only charge), look at its red power light; in a "
        "virtual machine or container hand the USB device through; another kind of port is named with --port",
        {
            "board": "ST Nucleo-F446RE",
            "usb_ids": "0483:374B or 0483:374A or 0483:3752",
            "number": "",
            "found": "/dev/ttyUSB0 (1A86:7523, USB Serial); without a serial port: 0483:3748 ST-LINK/V2, which has no "
            "serial port, serial number 55FF6B",
        },
    ),
    Finding(
        "several_boards",
        "port",
        UsageError,
        "several boards are connected, and none was chosen",
        "{count} boards may be a {board}: {found}",
        "choose one by its serial number, for example {option}",
        {
            "count": 2,
            "board": "nucleo_f446re",
            "found": "/dev/ttyACM0 (0483:374B, serial number 0669FF01, STM32 STLink); /dev/ttyACM1 (0483:374B, serial "
            "number 0669FF02, STM32 STLink)",
            "option": "--sn 0669FF01",
        },
    ),
    Finding(
        "no_lock_folder",
        "port",
        TargetUnavailable,
        "there is no place for the locks of boards",
        "boards are locked in {folder}, and that cannot be written: {reason}",
        "make it writable, or set XDG_RUNTIME_DIR to a folder of yours with mode 0700",
        {
            "folder": "/run/user/1000/lstm-hil",
            "reason": "[Errno 30] Read-only file system: '/run/user/1000/lstm-hil'",
        },
    ),
    Finding(
        "port_absent",
        "open",
        TargetUnavailable,
        "there is no such port",
        "there is no port {port}{reason}",
        "`hil list` shows the ports that there are; look at cable and power, and at the end of `sudo dmesg` after "
        "plugging in; a port of another machine needs its server running",
        {
            "port": "/dev/ttyACM7",
            "reason": "",
        },
    ),
    Finding(
        "port_permission",
        "open",
        TargetUnavailable,
        "this user may not open the port",
        "{port} is there, and {user} may not open it{owner}",
        "{how}",
        {
            "port": "/dev/ttyACM0",
            "user": "ann",
            "owner": ": it belongs to root:dialout, mode 660",
            "how": "`sudo usermod -aG dialout ann`, then log out and in again (until then: `newgrp dialout` in this "
            "shell)",
        },
    ),
    Finding(
        "port_busy",
        "open",
        TargetUnavailable,
        "another program has the port",
        "{port} is in use by {by}",
        "end that program: only one can talk to a board (ModemManager lets go of a new port after some 30 s; "
        "docs/HARDWARE.md says how to keep it away)",
        {
            "port": "/dev/ttyACM0",
            "by": "minicom (pid 4242)",
        },
    ),
    Finding(
        "port_unusable",
        "open",
        TargetUnavailable,
        "the port does not do what a serial port does",
        "{port} cannot be used: {reason}",
        "look whether it is a serial port at all: `hil list` shows them. Behind rfc2217:// a port without modem "
        "lines wants ?ign_set_control at the end of the URL; raw TCP is socket://",
        {
            "port": "/dev/null",
            "reason": "Could not configure port: (25, 'Inappropriate ioctl for device')",
        },
    ),
    Finding(
        "probe_permission",
        "probe",
        FlashError,
        "this user may not use the probe",
        "{probe} is there, and {user} may not use it: flashing will fail{owner}",
        'put the line SUBSYSTEM=="usb", ATTR{{idVendor}}=="0483", MODE="0660", TAG+="uaccess" into '
        "/etc/udev/rules.d/60-st-link.rules (OpenOCD and pyOCD ship such rules), run `sudo udevadm control "
        "--reload`, plug the board in again",
        {
            "probe": "the probe 0483:374B ST-LINK/V2-1, serial number 0669FF01",
            "user": "ann",
            "owner": "(/dev/bus/usb/001/007 belongs to root:root, mode 664)",
        },
    ),
)
