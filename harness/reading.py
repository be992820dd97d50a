"""Files that are read: which may be opened, since a pipe would be waited for without end, and what is shown of them."""

from __future__ import annotations

import errno
from pathlib import Path


def refuse_pipe(path: Path) -> None:
    """Nothing, where a path is a file, a folder, or not there.

    Raises:
        OSError: it is a pipe, a device or a socket.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is no regular file")


def shown_name(path: Path) -> str:
    """A file's name with escapes for what no terminal shows: files that keep names refuse such characters."""
    return printable(path.name)


def printable(text: str) -> str:
    """The same, with what a terminal would obey or cannot show as an escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
