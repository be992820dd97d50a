"""Every board: what is known of it is what its program is made for, and the program runs."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import numpy as np
import pytest

import seeds
from build_helpers import or_skip
from harness.build.elf import build_id, sizes, symbol_names
from harness.build.native import native_executable
from harness.build.paths import project_root
from harness.build.platformio import firmware_elf
from harness.errors import BuildFailed, TargetUnavailable
from harness.loading import load_model
from harness.model.inputs import random_inputs
from harness.protocol.baud import COMMON_BAUDS, baud_error, is_possible
from harness.protocol.messages import HelloReply
from harness.protocol.wire import Kernel
from harness.targets.base import Target
from harness.targets.boards import Board, board, board_names, boards_with
from harness.targets.native import NativeTarget
from harness.targets.qemu import QemuTarget
from harness.validation import run_batch
from harness.workbench import Workbench
from test_chip_elf import FORBIDDEN

KIB = 1024
FIRMWARE = project_root() / "firmware"


@pytest.fixture(params=board_names())
def one(request: pytest.FixtureRequest) -> Board:
    return board(request.param)


@pytest.fixture
def elf(one: Board) -> Path:
    return or_skip(lambda: firmware_elf(environment=one.platformio_environment))


def test_what_is_known_of_it_is_what_is_built(one: Board) -> None:
    assert one.name == one.platformio_environment, "the firmware's name for it is the environment's"
    header = (FIRMWARE / "boards" / one.name / "chip.h").read_text()
    numbers = {
        name: int(value, 0)
        for name, value in re.findall(r"#define (CHIP_\w+) (\w+?)u?\b", header)
        if value[0].isdigit()
    }
    assert numbers["CHIP_DEV_ID"] == one.device_id
    assert numbers["CHIP_PLL_HZ"] == one.sysclk_hz
    assert numbers["CHIP_WAIT_STATES"] == one.flash_wait_states
    assert numbers["CHIP_PLL_HZ"] == one.uart_clock_hz * numbers["CHIP_APB1_DIVIDER"]
    ini = configparser.ConfigParser()
    ini.read(project_root() / "platformio.ini")
    assert ini[f"env:{one.name}"]["board"] == one.name
    local = FIRMWARE / "platformio" / "local_platform" / "boards" / f"{one.name}.json"
    data = json.loads(local.read_text())
    assert data["upload"] == {"maximum_ram_size": one.sram_bytes, "maximum_size": one.flash_bytes}
    assert data["build"]["f_cpu"] == f"{one.sysclk_hz}L"
    assert data["build"]["mcu"].upper().startswith(one.chip)


def test_no_two_have_one_chip() -> None:
    for name in board_names():
        assert boards_with(board(name).device_id) == (board(name),)


def test_its_memory_is_the_chips(one: Board, elf: Path) -> None:
    taken = sizes(elf)
    assert taken.ram_bytes + taken.arena_bytes == one.sram_bytes
    assert 64 * KIB + taken.store_bytes == one.flash_bytes
    assert taken.flash_bytes <= 64 * KIB
    assert taken.ram_bytes <= 28 * KIB
    assert symbol_names(elf) & FORBIDDEN == set()


def test_its_line_can_have_the_bauds_that_it_is_given(one: Board) -> None:
    assert is_possible(one.uart_clock_hz, one.baud)
    assert is_possible(one.uart_clock_hz, one.link_baud)


def test_the_table_of_bauds_is_what_the_clocks_give() -> None:
    text = (project_root() / "docs" / "NEW_BOARD.md").read_text()
    head, rows = re.search(r"^\| baud \|(.*)\n\|[-:|]+\n((?:\|.*\n)+)", text, re.MULTILINE).groups()  # type: ignore[union-attr]
    clocks_hz = [int(mhz) * 1_000_000 for mhz in re.findall(r"(\d+) MHz", head)]
    assert sorted(clocks_hz) == sorted(board(name).uart_clock_hz for name in board_names())
    told = {}
    for row in rows.splitlines():
        baud, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        told[int(baud)] = cells
    assert tuple(told) == COMMON_BAUDS
    for baud, cells in told.items():
        for clock_hz, cell in zip(clocks_hz, cells, strict=True):
            error = baud_error(clock_hz, baud)
            assert error is not None
            assert cell == (f"{error * 100:+.2f} %" if is_possible(clock_hz, baud) else "refused"), (baud, clock_hz)


def run_on(target: Target) -> tuple[HelloReply, list[dict[str, np.ndarray]]]:
    reason = target.unavailable()
    if reason is not None:
        pytest.skip(reason.message)
    spec = seeds.random_lstm(5, 19, seed=3)
    inputs = random_inputs(spec, batch=2, steps=12, seed=4)
    results = []
    with Workbench(target) as bench:
        device = bench.device()
        for kernel in Kernel:
            load_model(device, spec, kernel=kernel)
            results.append(run_batch(device, spec, inputs)[0])
        return device.info, results


def test_it_computes_the_same_bits_on_qemu_as_on_the_host(one: Board, elf: Path, tmp_path: Path) -> None:
    """QEMU's machine has 128 KB of SRAM and a Cortex-M4F: room for every one of these programs."""
    try:
        host = NativeTarget(native_executable(), tmp_path / "native.log")
    except BuildFailed:
        raise
    except TargetUnavailable as error:
        pytest.skip(error.message)
    said, got = run_on(QemuTarget(elf, tmp_path / "qemu.log"))
    assert said.board == one.name
    assert said.build_id == build_id(elf)
    assert said.arena_bytes == sizes(elf).arena_bytes
    for ours, theirs in zip(got, run_on(host)[1], strict=True):
        assert ours.keys() == theirs.keys()
        for name, values in theirs.items():
            assert ours[name].tobytes() == values.tobytes(), name
