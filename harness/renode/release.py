"""The release of Renode that the target is made for. The only place that knows where it comes from."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.errors import TargetUnavailable, UsageError
from harness.renode.download import SCHEMES

VERSION = "1.16.1"

_ADDRESS = f"https://github.com/renode/renode/releases/download/v{VERSION}"

_PACKAGES = {
    "x86_64": (
        f"renode-{VERSION}.linux-portable-dotnet.tar.gz",
        "00e113cdbd0f5354cf2f64bbe3f5a070d8958409542fca66e45ac97d982938c0",
    ),
    "aarch64": (
        f"renode-{VERSION}.linux-arm64-portable-dotnet.tar.gz",
        "fff3a098c96ed0a4ffbdff3f028c9c5fde432db09587c7bd7c99406180f90007",
    ),
}
"""Name and SHA-256 of the portable package by the machine, as platform.machine() calls it.

Both were taken from other projects that install these packages, not from the release page: still to be confirmed there.
A wrong one here installs nothing.
"""


@dataclass(frozen=True)
class Package:
    """A package of Renode.

    Attributes:
        source: an address (https, http, file), or the path of a file.
        sha256: of the package, in hexadecimal.
    """

    source: str
    sha256: str


def release_package() -> Package:
    """The package for this machine.

    Raises:
        TargetUnavailable: the release has no portable package for it.
    """
    known = _PACKAGES.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        raise TargetUnavailable(
            f"Renode {VERSION} has no portable package for {sys.platform} on {platform.machine()}",
            code="no_renode_package",
            remedy="install Renode by hand and put it on the PATH, or set RENODE_PATH to its folder",
        )
    name, sha256 = known
    return Package(f"{_ADDRESS}/{name}", sha256)


def package_from(source: str | None, sha256: str | None) -> Package:
    """The package that a person named: a mirror's, or a file that was brought along.

    Args:
        source: address or path.
        sha256: 64 hexadecimal digits. Without it nothing would tell a package from half of one, or from another one.

    Raises:
        UsageError: one of the two is missing or is no such thing.
    """
    if source is None or sha256 is None:
        raise UsageError(
            "--from and --sha256 go together" if source is None else f"--from {source} without --sha256",
            remedy="give the package's SHA-256 as its publisher states it; `sha256sum FILE` prints that of a file",
        )
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise UsageError(f"--sha256 is {sha256}", remedy="a SHA-256 has 64 hexadecimal digits")
    scheme, is_address, _ = source.partition("://")
    if is_address and scheme.lower() not in SCHEMES:
        raise UsageError(f"--from is {source}", remedy=f"give a file, or an address with {', '.join(SCHEMES)}")
    if not is_address and not Path(source).is_file():
        raise UsageError(f"there is no file {source}", remedy="give the path of the package, or its address")
    return Package(source, sha256.lower())
