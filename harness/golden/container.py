"""The bytes of a golden file: a zip of plain members, a head in JSON and arrays as NumPy stores them.

    golden.json          the head; `arrays` in it has dtype, shape and SHA-256 of every array
    golden.json.sha256   its SHA-256 in hex, which so stands for the whole file
    <name>.npy           the arrays, their names percent-encoded

Nothing is compressed, so that a file unpacks to no more than itself and the same golden gives the same bytes anywhere;
nothing is pickled, and nothing is ever unpacked to a path. `numpy.load` opens it as it opens any .npz.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from math import prod
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

FORMAT = "lstm-hil golden file"
VERSION = 1
"""Raised when a file can no longer be read by what read those before it."""

MAX_FILE_BYTES = 256 << 20
"""Largest file, as of inputs: at 921600 baud so much would take 48 minutes to send."""

_MAX_HEAD_BYTES = 4 << 20
"""Largest head: 32 nodes with some names and reasons take 50 KB."""

_MAX_MEMBERS = 1024
"""32 nodes have at most 64 arrays of weights and 192 tensors."""

_MAX_DIRECTORY_BYTES = 1 << 20
"""Largest directory of a zip of so many members."""

_HEAD, _HEAD_HASH = "golden.json", "golden.json.sha256"
_DTYPES = ("<f4", "|b1", "<i8")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A zip has dates, from here on; ours says nothing of when it was made."""

_END = struct.Struct("<4s4H2LH")
_END_MAGIC, _LOCATOR_MAGIC, _LOCATOR_BYTES = b"PK\5\6", b"PK\6\7", 20


class NewerVersion(ValueError):
    """The file is of a version that did not exist yet."""


def pack(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """A file of a head and arrays; `format`, `version` and `arrays` are put into the head.

    Raises:
        ValueError: it would be larger than what is read, or an array is of a type that is not stored.
    """
    members = {name: _npy_bytes(array) for name, array in arrays.items()}
    listed = {
        name: {"dtype": _stored(array).dtype.str, "shape": list(array.shape), "sha256": _sha256(members[name])}
        for name, array in arrays.items()
    }
    full = {"format": FORMAT, "version": VERSION, **head, "arrays": listed}
    text = json.dumps(full, indent=1, allow_nan=False).encode()
    parts = {_HEAD: text, _HEAD_HASH: _sha256(text).encode(), **{_member(name): members[name] for name in arrays}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16  # the same on every system
            archive.writestr(info, content)
    if len(file.getvalue()) > MAX_FILE_BYTES or len(text) > _MAX_HEAD_BYTES or len(parts) > _MAX_MEMBERS:
        raise ValueError(f"the file would have {len(file.getvalue())} bytes, and {MAX_FILE_BYTES} are read at most")
    return file.getvalue()


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]], str]:
    """Head, arrays, and the SHA-256 that stands for both, in hex.

    Raises:
        NewerVersion: it is of a later version.
        ValueError: it is no such file, or damaged; the text says why. Nothing else, whatever the bytes are.
    """
    try:
        members = _members(content)
        head, sha256 = _head(members)
        return head, _arrays(head, members), sha256
    except NewerVersion:
        raise
    # Whatever zipfile, json and NumPy find wrong with a file is the file's fault.
    except Exception as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _members(content: bytes) -> dict[str, bytes]:
    """The members of a zip that has nothing but plain ones, which lie nowhere twice."""
    _check_end(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in infos):
            raise ValueError("it is compressed")
        if sum(info.file_size for info in infos) > len(content) or len({info.filename for info in infos}) < len(infos):
            raise ValueError("it has a part twice")
        return {info.filename: archive.read(info) for info in infos}


def _check_end(content: bytes) -> None:
    """The end of the zip, before anything is made of what it says."""
    if len(content) < _END.size:
        raise ValueError("it is cut off, or no golden file")
    magic, *_, members, directory_bytes, _, comment_bytes = _END.unpack(content[-_END.size :])
    if magic != _END_MAGIC or comment_bytes:
        raise ValueError("it is cut off, or no golden file")
    before = content[-_END.size - _LOCATOR_BYTES : -_END.size]
    if members > _MAX_MEMBERS or directory_bytes > _MAX_DIRECTORY_BYTES or before.startswith(_LOCATOR_MAGIC):
        raise ValueError("it has more parts than any golden file")


def _head(members: Mapping[str, bytes]) -> tuple[dict[str, Any], str]:
    text = members.get(_HEAD, b"")
    if not text or len(text) > _MAX_HEAD_BYTES:
        raise ValueError(f"it has no {_HEAD}, or one beyond {_MAX_HEAD_BYTES} bytes")
    head = json.loads(text)
    if not isinstance(head, dict) or head.get("format") != FORMAT or type(head.get("version")) is not int:
        raise ValueError(f"its {_HEAD} is none of a golden file")
    if head["version"] > VERSION:
        raise NewerVersion(f"it is of version {head['version']}, and {VERSION} is read")
    sha256 = _sha256(text)
    if members.get(_HEAD_HASH) != sha256.encode():
        raise ValueError(f"{_HEAD} is not what its SHA-256 says")
    return head, sha256


def _arrays(head: Mapping[str, Any], members: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    listed = head["arrays"]
    unknown = members.keys() - {_HEAD, _HEAD_HASH} - {_member(name) for name in listed}
    if unknown:
        raise ValueError(f"it has a part {min(unknown)!r} that its {_HEAD} does not name")
    return {name: _array(name, facts, members) for name, facts in listed.items()}


def _array(name: str, facts: Mapping[str, Any], members: Mapping[str, bytes]) -> NDArray[Any]:
    content = members.get(_member(name))
    if content is None:
        raise ValueError(f"the array {name!r} is missing")
    if _sha256(content) != facts["sha256"]:
        raise ValueError(f"the array {name!r} is not what its SHA-256 says")
    file = io.BytesIO(content)
    if npy.read_magic(file) != (1, 0):
        raise ValueError(f"the array {name!r} is stored in another way")
    shape, is_fortran, dtype = npy.read_array_header_1_0(file)
    if dtype.str not in _DTYPES or is_fortran or dtype.str != facts["dtype"] or list(shape) != facts["shape"]:
        raise ValueError(f"the array {name!r} is {dtype}{list(shape)}, which is not what {_HEAD} says, or not stored")
    if min(shape, default=1) < 1 or len(content) - file.tell() != prod(shape) * dtype.itemsize:
        raise ValueError(f"the array {name!r} has not as many bytes as its shape says")
    array = np.frombuffer(content, dtype, offset=file.tell()).reshape(shape)
    if dtype == np.bool_ and array.view(np.uint8).max() > 1:
        raise ValueError(f"the array {name!r} has values that no bool has")
    return array.astype(dtype.newbyteorder("="))


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    stored = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    if stored.dtype.str not in _DTYPES or stored.size == 0:
        raise ValueError(f"an array of {array.dtype}{list(array.shape)} is not stored")
    return stored


def _npy_bytes(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    npy.write_array(file, _stored(array), version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _member(name: str) -> str:
    return f"{quote(name, safe='')}.npy"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
