"""The locks against pyproject.toml and each other."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bootstrap_fakes import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PINNED = re.compile(
    r"^([a-z0-9][a-z0-9.-]*==[^\\\n]*?) \\((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", re.MULTILINE
)


def text(name: str) -> str:
    return (ROOT / name).read_text()


def pins(name: str) -> list[Requirement]:
    return [Requirement(match[1]) for match in PINNED.finditer(text(f"requirements/{name}.lock"))]


def versions(name: str, python: str) -> dict[str, str]:
    """What the lock installs on Linux with this Python."""
    surroundings = {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "platform_machine": "x86_64",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
    }
    chosen = [pin for pin in pins(name) if pin.marker is None or pin.marker.evaluate(surroundings)]
    assert len({pin.name for pin in chosen}) == len(chosen), "one version of each"
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in chosen}


def wanted(section: str) -> list[Requirement]:
    """The requirements that pyproject.toml lists. Read by hand: Python 3.10 has no tomllib."""
    block = re.search(rf"^{section} = \[\n(.*?)^\]", text("pyproject.toml"), re.MULTILINE | re.DOTALL)
    assert block, section
    return [Requirement(entry) for entry in re.findall(r'^    "([^"]+)"', block[1], re.MULTILINE)]


@pytest.mark.parametrize("name", ["run", "dev"])
def test_every_entry_has_hashes(name: str) -> None:
    entries = [line for line in text(f"requirements/{name}.lock").splitlines() if re.match(r"[A-Za-z]", line)]
    assert len(entries) == len(pins(name)) > 50


@pytest.mark.parametrize("name", ["run", "dev"])
def test_says_nothing_of_where_packages_come_from(name: str) -> None:
    lock = text(f"requirements/{name}.lock")
    for word in ("http", "file:", "--index", "--find-links", "/tmp", "@ "):
        assert word not in lock


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("lock", "sections"), [("run", ["dependencies"]), ("dev", ["dependencies", "dev"])])
def test_what_the_project_asks_for_is_locked(lock: str, sections: list[str], python: str) -> None:
    locked = versions(lock, python)
    for requirement in (requirement for section in sections for requirement in wanted(section)):
        if requirement.marker is not None and not requirement.marker.evaluate({"python_version": python}):
            continue
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_the_development_lock_adds_to_the_other(python: str) -> None:
    assert versions("run", python).items() < versions("dev", python).items()


def test_the_launcher_and_the_project_take_the_same_pythons() -> None:
    assert 'requires-python = ">=3.10,<3.14"' in text("pyproject.toml")
    assert "OLDEST, NEWEST = (3, 10), (3, 13)" in text("hil")
