"""The pyOCD that is installed here, if one is: it must know the options that we use."""

from __future__ import annotations

import re
import subprocess

import pytest

from harness.build import pyocd
from harness.errors import FlashError
from harness.targets.boards import board, board_names


@pytest.fixture
def real_pyocd() -> str:
    try:
        return str(pyocd.program())
    except FlashError as error:
        pytest.skip(error.message)


def test_it_knows_our_options(real_pyocd: str) -> None:
    text = subprocess.run([real_pyocd, "load", "--help"], capture_output=True, text=True, check=True).stdout
    for option in ("-W", "-t", "-e", "--format", "-u"):
        assert re.search(rf"(^|[ ,]){option}\b", text, re.MULTILINE), option
    assert "sector" in text
    assert "elf" in text


def test_without_a_probe_it_says_so_at_once(real_pyocd: str, tmp_path: object) -> None:
    elf = f"{tmp_path}/firmware.elf"
    with open(elf, "wb") as file:
        file.write(b"\x7fELF")
    with pytest.raises(FlashError) as error:
        pyocd.upload(elf, board(board_names()[0]).pyocd_chip, "there is no such probe")  # type: ignore[arg-type]
    assert error.value.code == "no_probe"
