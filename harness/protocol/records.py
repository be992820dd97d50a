"""Fixed binary layouts as frozen dataclasses: the one place where a wire layout is described.

A field's helper (`u8`, `u16`, `u32`, `u64`, `raw`, `text`, `tail`) states its width once. From that one statement come
Python's `pack` and `unpack` here, the C structs (`cgen`) and the tables of docs/PROTOCOL.md.
Little-endian. Every field is naturally aligned, so that the C struct has the same layout without packing.
May import nothing but value types of the standard library and `harness.errors`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, TypeVar

from harness.errors import LocalProtocolError

RecordT = TypeVar("RecordT", bound="Record")


@dataclass(frozen=True)
class Width:
    """How one field lies on the wire.

    Attributes:
        code: its `struct` code.
        size_bytes: its size; 0 for the tail.
        kind: "int", "raw" (bytes), "text" (UTF-8, NUL padded) or "tail" (whatever follows the fixed part).
        doc: what the field means, with its unit.
        enum: for an integer, the type of its values.
    """

    code: str
    size_bytes: int
    kind: str
    doc: str
    enum: type[IntEnum | IntFlag] | None = None


def _field(width: Width, default: Any) -> Any:
    return field(default=default, metadata={"wire": width})


def u8(doc: str, *, enum: type[IntEnum | IntFlag] | None = None, default: int = 0) -> Any:
    """An unsigned byte."""
    return _field(Width("B", 1, "int", doc, enum), default)


def u16(doc: str, *, enum: type[IntEnum | IntFlag] | None = None, default: int = 0) -> Any:
    """An unsigned 16-bit integer."""
    return _field(Width("H", 2, "int", doc, enum), default)


def u32(doc: str, *, default: int = 0) -> Any:
    """An unsigned 32-bit integer."""
    return _field(Width("I", 4, "int", doc), default)


def u64(doc: str, *, default: int = 0) -> Any:
    """An unsigned 64-bit integer."""
    return _field(Width("Q", 8, "int", doc), default)


def raw(size_bytes: int, doc: str) -> Any:
    """A fixed number of bytes."""
    return _field(Width(f"{size_bytes}s", size_bytes, "raw", doc), bytes(size_bytes))


def text(size_bytes: int, doc: str) -> Any:
    """A NUL-padded UTF-8 string; a longer one is cut at a character's border."""
    return _field(Width(f"{size_bytes}s", size_bytes, "text", doc), "")


def tail(doc: str) -> Any:
    """All bytes after the fixed part. Only as the last field."""
    return _field(Width("", 0, "tail", doc), b"")


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of everything with a fixed layout."""

    C_NAME: ClassVar[str] = ""
    LEAST_BYTES: ClassVar[int] = 0
    """Size before fields were appended, if any were: one that ends there reads as if they were 0."""
    _layout: ClassVar[tuple[tuple[str, Width], ...]]
    _struct: ClassVar[struct.Struct]

    @classmethod
    def layout(cls) -> tuple[tuple[str, Width], ...]:
        """(field name, width) in wire order."""
        if "_layout" not in cls.__dict__:
            cls._layout = tuple((f.name, f.metadata["wire"]) for f in fields(cls) if "wire" in f.metadata)
            cls._struct = struct.Struct("<" + "".join(width.code for _, width in cls._layout))
        return cls._layout

    @classmethod
    def size_bytes(cls) -> int:
        """Size of the fixed part."""
        cls.layout()
        return cls._struct.size

    def pack(self) -> bytes:
        """The record's bytes.

        Raises:
            LocalProtocolError: a value does not fit its field.
        """
        values: list[Any] = []
        rest = b""
        for name, width in self.layout():
            value = getattr(self, name)
            if width.kind == "tail":
                rest = value
            elif width.kind == "text":
                values.append(_cut_utf8(value, width.size_bytes))
            elif width.kind == "raw" and len(value) != width.size_bytes:
                raise LocalProtocolError(f"{type(self).__name__}.{name} is {len(value)} bytes, not {width.size_bytes}")
            else:
                values.append(value)
        try:
            return self._struct.pack(*values) + rest
        except struct.error as error:
            raise LocalProtocolError(f"{self!r} does not fit its layout: {error}") from error

    @classmethod
    def unpack(cls: type[RecordT], data: bytes) -> RecordT:
        """Read a record from the start of `data`.

        Bytes after the fixed part are the tail where the record has one; else they are left alone, so that a later
        minor version may append fields.

        Raises:
            ValueError: too short, or a value that its enumeration does not know.
        """
        size_bytes = cls.size_bytes()
        if cls.LEAST_BYTES and cls.LEAST_BYTES <= len(data) < size_bytes:
            data += bytes(size_bytes - len(data))
        if len(data) < size_bytes:
            raise ValueError(f"{cls.__name__} needs {size_bytes} bytes, got {len(data)}")
        values: dict[str, Any] = {}
        unpacked = iter(cls._struct.unpack_from(data))
        for name, width in cls.layout():
            if width.kind == "tail":
                values[name] = data[size_bytes:]
                continue
            value = next(unpacked)
            if width.kind == "text":
                value = value.split(b"\0", 1)[0].decode("utf-8", "replace")
            elif width.enum is not None:
                value = width.enum(value)
            values[name] = value
        return cls(**values)


def _cut_utf8(value: str, size_bytes: int) -> bytes:
    return value.encode()[:size_bytes].decode("utf-8", "ignore").encode()
