"""The plugin's options, and the targets that they name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.targets.choice import TargetChoice

KINDS = ("native", "qemu")
"""Targets for which set-up gets all that they need, in the order in which tests run: the fast one first."""

ALL_KINDS = (*KINDS, "renode", "board")

OPTIONS: dict[str, dict[str, Any]] = {
    "native": {
        "action": "store_true",
        "dest": "hil_native",
        "help": "run on the firmware as a process of this machine",
    },
    "qemu": {"action": "store_true", "dest": "hil_qemu", "help": "run on the firmware under QEMU"},
    "renode": {"action": "store_true", "dest": "hil_renode", "help": "run on the firmware under Renode"},
    "board": {"action": "append", "dest": "hil_board", "metavar": "NAME", "help": "run on a board, or on several"},
    "port": {
        "action": "append",
        "dest": "hil_port",
        "metavar": "URL",
        "help": "the board's port; write it with =, or pytest takes a device's name for a path to tests",
    },
    "sn": {
        "action": "append",
        "dest": "hil_sn",
        "metavar": "SERIAL",
        "help": "the board's USB serial number; once for each board",
    },
    "labgrid": {
        "action": "append",
        "dest": "hil_labgrid",
        "metavar": "PLACE",
        "help": "run on the board of a labgrid place; once for each",
    },
    "flash": {"dest": "hil_flash", "metavar": "if-changed|always|never", "help": "when to flash the board"},
    "baud": {
        "type": int,
        "dest": "hil_baud",
        "metavar": "N",
        "help": "of the board's line; default: 1000000 over an ST-LINK, else 115200",
    },
    "wait": {
        "type": float,
        "dest": "hil_wait",
        "metavar": "SECONDS",
        "help": "wait for a board that somebody else uses; default: 0, in workers of pytest-xdist an hour",
    },
}
"""Options by their name behind --hil-."""

SHORT_OPTIONS: dict[str, dict[str, Any]] = {
    **{
        f"--{name}": {**OPTIONS[name], "help": f"the same as --hil-{name}"}
        for name in ("native", "qemu", "renode", "board", "port", "labgrid", "baud")
    },
    "--no-flash": {"action": "store_const", "const": "never", "dest": "hil_flash", "help": "--hil-flash=never"},
}
"""The same by short names, as far as no other plugin has them."""

_XDIST_WAIT_S = 3600.0
"""A worker holds its board until it has no tests left, and another one may wait for all that time."""


def asked_for(config: pytest.Config) -> tuple[str, ...]:
    """The kinds of targets that the command line names."""
    kinds = [kind for kind in (*KINDS, "renode") if config.getoption(f"hil_{kind}")]
    board_options = (
        config.getoption(f"hil_{name}") for name in ("board", "port", "sn", "labgrid", "flash", "baud", "wait")
    )
    return (*kinds, *(["board"] if any(value is not None for value in board_options) else []))


def choices_of(config: pytest.Config) -> dict[str, tuple[TargetChoice, ...]]:
    """The targets of this run by their kinds; several boards are a pool of which every worker has one."""
    from harness.targets.choice import TargetChoice, chosen_targets

    wait_s = config.getoption("hil_wait")
    boards = chosen_targets(
        boards=config.getoption("hil_board") or (),
        ports=config.getoption("hil_port") or (),
        serial_numbers=config.getoption("hil_sn") or (),
        labgrid_places=config.getoption("hil_labgrid") or (),
        flash=config.getoption("hil_flash"),
        wait_s=wait_s,
        baud=config.getoption("hil_baud"),
    )
    if wait_s is None and hasattr(config, "workerinput"):  # in a worker of pytest-xdist
        boards = tuple(replace(choice, wait_s=_XDIST_WAIT_S) for choice in boards)
    return {kind: boards if kind == "board" else (TargetChoice(kind),) for kind in asked_for(config) or KINDS}
