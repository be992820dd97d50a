"""Images taken apart and put together again, for tests of wrong ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.model.pack import ModelImage
from harness.protocol.image import ImageHeader, NodeRecord, SourceRecord
from harness.protocol.records import Record
from harness.protocol.wire import crc32

Tables = tuple[ImageHeader, list[NodeRecord], list[SourceRecord], bytes]


def tables(image: ModelImage) -> Tables:
    """An image taken apart: header, nodes, sources, tensors."""
    header = ImageHeader.unpack(image.data)
    place = ImageHeader.size_bytes()
    parts: list[list[Any]] = []
    kinds: tuple[tuple[type[Record], int], ...] = (
        (NodeRecord, header.node_count),
        (SourceRecord, header.source_count),
    )
    for record, count in kinds:
        size = record.size_bytes()
        parts.append([record.unpack(image.data[place + i * size :]) for i in range(count)])
        place += count * size
    return header, parts[0], parts[1], image.data[place:-4]


def joined(image: ModelImage, parts: Tables) -> ModelImage:
    """The image again, with a right CRC, and right work memory unless it is beyond all bounds."""
    _, nodes, sources, tensors = parts
    header = parts[0]
    old = ImageHeader.unpack(image.data)
    before = tables(image)[1]
    more = sum(
        node.keep_steps * node.units - was.keep_steps * was.units for node, was in zip(nodes, before, strict=True)
    )
    more += header.input_size + header.static_size - old.input_size - old.static_size
    header = replace(header, work_bytes=max(0, header.work_bytes + 4 * more) % 2**32)
    body = b"".join(record.pack() for record in (header, *nodes, *sources)) + tensors
    return replace(
        image, data=body + crc32(body).to_bytes(4, "little"), crc32=crc32(body), work_bytes=header.work_bytes
    )
