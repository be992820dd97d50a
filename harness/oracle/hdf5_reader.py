"""What an HDF5 file holds, read by a process that may crash: `python -m harness.oracle.hdf5_reader`.

A damaged file can bring libhdf5 to crash or to loop for ever. So files are first read here, wholly, in a process of its
own that `hdf5_file.py` starts and watches; only what this process came through is given to Keras.

A line with a path on standard input gives a line of JSON on standard output: what `describe` returns, or
{"refused": why}. It ends when its input ends.
"""

from __future__ import annotations

import json
import sys
from math import prod
from typing import Any

import h5py

MAX_DATA_BYTES = 256 << 20
"""Most bytes of all arrays of a file. The device holds 0.5 MB; an optimizer's state may be twice the weights."""

MAX_ATTRIBUTE_BYTES = 16 << 20
"""Longest attribute that is read: the description of a model with 32 layers has about 50 KB."""

MAX_OBJECTS = 10_000
"""Most groups and arrays of a file."""

MAX_DEPTH = 32
"""Deepest group: Keras nests about 6 deep, and 4 more for a model inside the model."""

MEMORY_BYTES = 2 << 30
"""Address space of this process: what libraries map at their start is most of it."""

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
"""Filters that libhdf5 has itself. Others would be loaded as plug-ins from a folder."""

_MOST_DEFLATED = 1032
"""No deflated byte stands for more: zlib's own limit."""

_TEXTS = ("model_config", "keras_version", "backend")
"""The attributes of a model's file that are looked at."""


class Refused(Exception):
    """A file that Keras would not have written so."""


def describe(path: str) -> dict[str, Any]:
    """Reads all of a file.

    Returns:
        `texts`: those of `_TEXTS` that are there. `layers`: for files that name layers and weights in attributes, a
        list of [layer, [path of an array, ...]]; else null. `arrays`: {path: [shape, dtype]} of all arrays.

    Raises:
        Refused: something in it is not plain data, or too large.
    """
    with h5py.File(path, "r") as file:
        walk = _Walk()
        walk.group(file, "", 0)
        texts = {name: _text(file.attrs[name]) for name in _TEXTS if name in file.attrs}
        group = file["model_weights"] if isinstance(file.get("model_weights"), h5py.Group) else file
        prefix = "model_weights/" if group is not file else ""
        layers = None
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            layers = [
                [name, [f"{prefix}{name}/{weight}" for weight in _names(group[name], "weight_names")]]
                for name in _names(group, "layer_names")
            ]
        return {"texts": texts, "layers": layers, "arrays": walk.arrays}


class _Walk:
    """Goes through all groups, once each."""

    def __init__(self) -> None:
        self.arrays: dict[str, tuple[list[int], str]] = {}
        self._seen: set[int] = set()
        self._data_bytes = 0

    def group(self, group: Any, path: str, depth: int) -> None:
        self._enter(group, path)
        if depth > MAX_DEPTH:
            raise Refused(f"groups are nested more than {MAX_DEPTH} deep")
        for name in group:
            inside = f"{path}/{name}".lstrip("/")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"'{inside}' is a link to somewhere else")
            value = group[name]
            if isinstance(value, h5py.Group):
                self.group(value, inside, depth + 1)
            elif isinstance(value, h5py.Dataset):
                self._array(value, inside)
            else:
                raise Refused(f"'{inside}' is neither a group nor an array")

    def _enter(self, value: Any, path: str) -> None:
        address = h5py.h5o.get_info(value.id).addr
        if address in self._seen:
            raise Refused(f"'{path}' is in it twice")
        self._seen.add(address)
        if len(self._seen) > MAX_OBJECTS:
            raise Refused(f"it holds more than {MAX_OBJECTS} objects")
        for name in value.attrs:
            _check_attribute(value.attrs.get_id(name), f"{path}@{name}")
            value.attrs[name]

    def _array(self, array: Any, path: str) -> None:
        self._enter(array, path)
        if array.external or array.is_virtual:
            raise Refused(f"the values of '{path}' are in another file")
        if array.shape is None or array.dtype.kind not in "fiub":
            raise Refused(f"'{path}' is {array.dtype}, no array of numbers")
        self._data_bytes += array.nbytes
        if self._data_bytes > MAX_DATA_BYTES:
            raise Refused(f"its arrays have more than {MAX_DATA_BYTES} bytes ('{path}' has the shape {array.shape})")
        properties = array.id.get_create_plist()
        filters = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
        if filters - _FILTERS:
            raise Refused(f"'{path}' is compressed by something else than deflate")
        stored_bytes = array.id.get_storage_size()
        if array.nbytes > stored_bytes * (_MOST_DEFLATED if h5py.h5z.FILTER_DEFLATE in filters else 1):
            raise Refused(f"'{path}' has the shape {array.shape}, and {stored_bytes} bytes of values")
        array[()]
        self.arrays[path] = (list(array.shape), str(array.dtype))


def _check_attribute(attribute: Any, name: str) -> None:
    is_text = h5py.check_string_dtype(attribute.dtype) is not None
    if attribute.shape is None or not (is_text or attribute.dtype.kind in "fiub"):
        raise Refused(f"the attribute '{name}' is {attribute.dtype}, neither text nor numbers")
    # A text of any length counts with the size of its reference here; its bytes are in the file.
    if prod(attribute.shape) * attribute.dtype.itemsize > MAX_ATTRIBUTE_BYTES:
        raise Refused(f"the attribute '{name}' is longer than {MAX_ATTRIBUTE_BYTES} bytes")


def _text(value: Any) -> str:
    text = value.decode() if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise Refused("an attribute that should be text is an array")
    return text


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras cuts into several attributes where it is long."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    return [name.decode() if isinstance(name, bytes) else str(name) for part in parts for name in group.attrs[part]]


def _answer(path: str) -> dict[str, Any]:
    try:
        return describe(path)
    except Refused as error:
        return {"refused": str(error)}
    # Whatever else h5py finds wrong with a file is the file's fault.
    except Exception as error:  # noqa: BLE001
        return {"refused": (str(error).splitlines() or [type(error).__name__])[0]}


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        return  # macOS knows no such limit; sizes are checked all the same


def main() -> None:
    """Answer until the input ends."""
    _limit_memory()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
