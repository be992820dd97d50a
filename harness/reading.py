"""What may be opened to be read: a pipe by the name of a file would be waited for, without end."""

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
