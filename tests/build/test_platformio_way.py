"""Where `pio run` takes its packages from."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import platformio
import pytest

from harness.build import pio_local
from harness.build import platformio as build
from harness.errors import BuildFailed, TargetUnavailable


class FakeRuns:
    """Stands in for `pio run`: each run takes the next result."""

    def __init__(self, *results: tuple[int, str]) -> None:
        self.results = list(results)
        self.from_registry: list[bool] = []

    def __call__(self, environment: str, *, from_registry: bool) -> tuple[int, str]:
        self.from_registry.append(from_registry)
        return self.results.pop(0)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way was put in place, instead of putting it in place."""
    taken: list[str] = []
    monkeypatch.setattr(pio_local, "install", lambda: taken.append("local"))
    monkeypatch.setattr(pio_local, "uninstall", lambda: taken.append("registry"))
    return taken


def machine(monkeypatch: pytest.MonkeyPatch, *, registry: bool, toolchain: bool) -> None:
    monkeypatch.setattr(pio_local, "registry_is_reachable", lambda: registry)
    monkeypatch.setattr(pio_local, "has_toolchain", lambda: toolchain)


@pytest.mark.parametrize(
    ("registry", "toolchain", "way"),
    [(True, True, "registry"), (True, False, "registry"), (False, True, "local"), (False, False, "registry")],
)
def test_prefers_the_registry(
    monkeypatch: pytest.MonkeyPatch, ways: list[str], registry: bool, toolchain: bool, way: str
) -> None:
    machine(monkeypatch, registry=registry, toolchain=toolchain)
    assert build.prepare() == (way == "registry")
    assert ways == [way]


def test_falls_back_when_packages_cannot_be_installed(monkeypatch: pytest.MonkeyPatch, ways: list[str]) -> None:
    machine(monkeypatch, registry=True, toolchain=True)
    runs = FakeRuns((1, "UnknownPackageError: Could not find the package"), (0, ""))
    monkeypatch.setattr(build, "_pio_run", runs)
    said: list[str] = []
    build._build(said.append)
    assert runs.from_registry == [True, False]
    assert ways == ["registry", "local"]
    assert "could not install" in said[0]


def test_a_compiler_error_is_no_reason_to_fall_back(monkeypatch: pytest.MonkeyPatch, ways: list[str]) -> None:
    machine(monkeypatch, registry=True, toolchain=True)
    runs = FakeRuns((1, "CONFIGURATION: board\nCompiling main.o\nmain.c:1:1: error: expected ';'\n*** Error 1"))
    monkeypatch.setattr(build, "_pio_run", runs)
    with pytest.raises(BuildFailed, match=r"main\.c:1:1: error: expected ';'") as caught:
        build._build(lambda _: None)
    assert "Compiling" not in caught.value.message


def test_no_compiler_anywhere_is_an_absent_target(monkeypatch: pytest.MonkeyPatch, ways: list[str]) -> None:
    machine(monkeypatch, registry=False, toolchain=False)
    monkeypatch.setattr(build, "_pio_run", FakeRuns((1, "UnknownPackageError: Could not find the package")))
    with pytest.raises(TargetUnavailable, match="no arm-none-eabi-gcc") as caught:
        build._build(lambda _: None)
    assert not isinstance(caught.value, BuildFailed)


@pytest.fixture
def silent_host() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "says nothing"])
def test_a_registry_that_gives_no_answer_is_not_reachable(
    monkeypatch: pytest.MonkeyPatch, silent_host: str, silent: bool
) -> None:
    monkeypatch.setattr(platformio, "__registry_mirror_hosts__", [silent_host if silent else "127.0.0.1:9"])
    monkeypatch.setattr(pio_local, "_REGISTRY_TIMEOUT_S", 0.2)
    assert not pio_local.registry_is_reachable()


def test_platformio_spells_scons_versions_in_one_number() -> None:
    assert pio_local._scons_version("4.41101.0") == "4.11.1"
    assert pio_local._scons_version("4.40801.0") == "4.8.1"


def test_a_missing_toolchain_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pio_local, "work_dir", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetUnavailable, match="arm-none-eabi-gcc"):
        pio_local.install()
    assert not pio_local.override_ini().exists()


def test_the_toolchains_folder_hides_nothing_else_on_the_path(tmp_path: Path) -> None:
    """It comes first on PlatformIO's PATH; a link to all of /usr/bin hid the OpenOCD that a person had chosen."""
    programs, package = tmp_path / "usr", tmp_path / "package"
    programs.mkdir()
    package.mkdir()
    for name in ("arm-none-eabi-gcc", "arm-none-eabi-ld", "openocd"):
        (programs / name).touch()
    (package / "bin").symlink_to(programs)  # as it was made before
    for _ in range(2):
        pio_local._link_programs(programs / "arm-none-eabi-gcc", package / "bin")
        assert sorted(path.name for path in (package / "bin").iterdir()) == ["arm-none-eabi-gcc", "arm-none-eabi-ld"]
    assert (programs / "openocd").exists()
