from __future__ import annotations

from pathlib import Path

import pytest

from build_helpers import TreeCopy, or_skip
from harness.build.native import native_executable
from harness.build.platformio import firmware_elf


@pytest.fixture(scope="session")
def chip_elf() -> Path:
    return or_skip(firmware_elf)


@pytest.fixture(scope="session")
def native_program() -> Path:
    return or_skip(native_executable)


@pytest.fixture(scope="module")
def tree_copy(tmp_path_factory: pytest.TempPathFactory) -> TreeCopy:
    return TreeCopy(tmp_path_factory.mktemp("a-path-of-another-length"))
