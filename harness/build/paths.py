"""Where the sources and the things made of them lie."""

from __future__ import annotations

from pathlib import Path

from harness.errors import TargetUnavailable

_TREE = Path(__file__).resolve().parents[2]


def project_root() -> Path:
    """The directory that holds platformio.ini and firmware/.

    Raises:
        TargetUnavailable: this harness was installed without them.
    """
    if not (_TREE / "platformio.ini").is_file():
        raise TargetUnavailable(
            f"the firmware's sources are not in {_TREE}", code="no_sources", remedy="run from a clone of the repository"
        )
    return _TREE


def work_dir() -> Path:
    """The directory for everything that is made and may be deleted: in a clone .hil, else the user's cache."""
    path = _TREE / ".hil" if (_TREE / "platformio.ini").is_file() else _cache_dir()
    path.mkdir(parents=True, exist_ok=True)
    return path


def _cache_dir() -> Path:
    import platformdirs  # not where PlatformIO's extra script runs, which is always a clone

    return Path(platformdirs.user_cache_dir("lstm-hil"))
