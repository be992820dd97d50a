from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from harness.build import cmsis, recipe
from harness.errors import BuildFailed

PIN = dataclasses.replace(recipe.load().cmsis_dsp, version="0.0.1")
TOP = f"{PIN.distribution}-{PIN.version}"


def archive_of(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
        link = tarfile.TarInfo(f"{TOP}/Source/link.c")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        tar.addfile(link)
    return buffer.getvalue()


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A work directory to which a small archive was brought by hand, with the pin that goes with it."""
    archive = archive_of([f"{TOP}/Source/a.c", f"{TOP}/Include/a.h", f"{TOP}/setup.py", f"{TOP}/../out.c", "/abs.c"])
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    (downloads / f"{TOP}.tar.gz").write_bytes(archive)
    pin = dataclasses.replace(PIN, sha256=hashlib.sha256(archive).hexdigest())
    parts = dataclasses.replace(recipe.load(), cmsis_dsp=pin)
    monkeypatch.setattr(recipe, "load", lambda: parts)
    monkeypatch.setattr(cmsis, "work_dir", lambda: tmp_path)
    return tmp_path


def test_unpacks_the_sources_and_nothing_else(bring: Path) -> None:
    home = cmsis.cmsis_dsp_dir()
    found = sorted(path.relative_to(bring).as_posix() for path in bring.rglob("*") if not path.is_dir())
    assert found == [f"{home.name}/Include/a.h", f"{home.name}/Source/a.c", f"downloads/{TOP}.tar.gz"]


def test_is_unpacked_once(bring: Path) -> None:
    home = cmsis.cmsis_dsp_dir()
    (bring / "downloads" / f"{TOP}.tar.gz").unlink()
    assert cmsis.cmsis_dsp_dir() == home


def test_refuses_another_archive(bring: Path) -> None:
    (bring / "downloads" / f"{TOP}.tar.gz").write_bytes(archive_of([f"{TOP}/Source/evil.c"]))
    with pytest.raises(BuildFailed, match="SHA-256"):
        cmsis.cmsis_dsp_dir()
    assert not list(bring.glob("cmsis-dsp-*"))


def test_says_what_to_do_where_it_cannot_be_fetched(bring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bring / "downloads" / f"{TOP}.tar.gz").unlink()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(bring), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    with pytest.raises(BuildFailed) as caught:
        cmsis.cmsis_dsp_dir(said.append)
    assert said == [f"fetching CMSIS-DSP {PIN.version}"]
    assert f"{TOP}.tar.gz" in caught.value.remedy
