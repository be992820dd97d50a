from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import Installation, build, install


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(source distribution, wheel made from it)."""
    return build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def venv(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    venv = install(built[1], tmp_path_factory.mktemp("install"))
    yield venv
    for folder in venv.glob("lib/python3*/site-packages/harness/**/"):
        folder.chmod(0o755)
    shutil.rmtree(venv)


@pytest.fixture(scope="session")
def installation(venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The package as one user has it, for all tests that may find the firmware built already."""
    return Installation(venv, Path()).with_home(tmp_path_factory.mktemp("user") / "home")
