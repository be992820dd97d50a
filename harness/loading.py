"""Brings a model onto a device: over the link into its memory or its flash, or from where it lies in flash already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from harness.device import Call, Device
from harness.errors import DeviceReset, LinkClosed, ModelRefused
from harness.model.memory import Memory
from harness.model.pack import ModelImage, pack_model
from harness.model.spec import ModelSpec
from harness.protocol.messages import HelloReply, ImageBegin, ImageCommit, ImageCommitReply, Reply, Write, WriteReply
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import BeginFlags, Capability, ErrorCode, Kernel, Region

_WORD_BYTES = 4  # flash takes whole words

_MOST_RECOVERIES = 3
"""Of one load. A device that restarts more often, or a cable that is lost more often, wants a person."""


class CameBy(str, Enum):
    """How weights came to the device. The values stand in records."""

    LINK = "link"
    LINK_TO_FLASH = "link to flash"
    FLASH = "flash"
    PRELOADED = "preloaded in flash"


@dataclass(frozen=True)
class LoadedModel:
    """A model that is in force on a device.

    Attributes:
        spec: what was loaded.
        image: its image.
        crc32_device: the CRC-32 that the device computed over what arrived.
        came_by: how its weights came to where they are.
    """

    spec: ModelSpec
    image: ModelImage
    crc32_device: int
    came_by: CameBy


def load_model(
    device: Device,
    spec: ModelSpec,
    max_steps: int | None = None,
    *,
    masked: bool = True,
    kernel: Kernel = Kernel.ARM_MATH,
    keep_gates: bool = False,
) -> LoadedModel:
    """Make a model's image and load it: see `load_packed`.

    Args:
        device: where to.
        spec: the model.
        max_steps: steps of the longest run to come; wanted of a model that keeps sequences.
        masked: runs may have a mask.
        kernel: what computes the LSTMs.
        keep_gates: runs may trace the gates.
    """
    image = pack_model(spec, max_steps, masked=masked, kernel=kernel, keep_gates=keep_gates)
    return load_packed(device, spec, image)


def load_packed(device: Device, spec: ModelSpec, image: ModelImage) -> LoadedModel:
    """Send a model's image to the device and put it in force.

    Whether it fits is answered by the device before anything is sent. The model in force is given up only when both
    do not fit side by side. What does not fit the arena goes to the flash store, unless it lies there already.

    Raises:
        ModelRefused: too large for the device, with the numbers.
        LinkError, DeviceError, MismatchError: see `Device.request`.
    """
    try:
        return LoadedModel(spec, image, load_image(device, image), CameBy.LINK)
    except DeviceRefused as refused:
        if refused.reply.code != ErrorCode.TOO_LARGE:
            raise
    return _load_into_store(device, spec, image)


def load_image(device: Device, image: ModelImage) -> int:
    """Send an image into the arena and put it in force; returns the CRC-32 that the device computed.

    Raises:
        DeviceRefused: too large for the arena, or something is wrong with it.
    """
    return _load(device, image, BeginFlags.NONE)


def open_stored_image(device: Device, image: ModelImage) -> int:
    """Put an image in force that lies in the device's flash store already; returns the CRC-32 that the device computed.

    Raises:
        DeviceRefused: it is not there, or its work memory does not fit.
    """
    _make_room(device, image, BeginFlags.IN_STORE)
    return device.request(ImageCommit(crc32=image.crc32)).crc32


def must_be_preloaded(info: HelloReply, image: ModelImage) -> bool:
    """Whether an image runs only from a flash that the firmware cannot write: it must lie there from the start."""
    memory = _memory(info)
    writable = info.capabilities & Capability.STORE_WRITE
    return not memory.holds_in_ram(image) and memory.holds_in_flash(image) and not writable


def _memory(info: HelloReply) -> Memory:
    return Memory(arena_bytes=info.arena_bytes, store_bytes=info.store_bytes)


def _load_into_store(device: Device, spec: ModelSpec, image: ModelImage) -> LoadedModel:
    info = device.info
    fits = _memory(info).holds_in_flash(image)
    writable = bool(info.capabilities & Capability.STORE_WRITE)
    if fits:
        with suppress(DeviceRefused):  # the store holds something else
            crc32_device = open_stored_image(device, image)
            return LoadedModel(spec, image, crc32_device, CameBy.FLASH if writable else CameBy.PRELOADED)
    if not fits or not writable:
        raise _too_large(device, spec, image, fits_store=fits)
    crc32_device = _load(device, image, BeginFlags.TO_STORE | BeginFlags.DROP_OLD)
    return LoadedModel(spec, image, crc32_device, CameBy.LINK_TO_FLASH)


def _too_large(device: Device, spec: ModelSpec, image: ModelImage, *, fits_store: bool) -> ModelRefused:
    info = device.info
    needed_bytes = len(image.data) + image.work_bytes
    store = (
        f"its flash has room for {info.store_bytes} bytes of weights" if info.store_bytes else "it has no flash store"
    )
    if fits_store:
        store += ", and cannot be written here"
    buffers = "state and buffers"
    remedy = "make the model smaller, or split it into two"
    if image.step_bytes:
        buffers += f", {image.max_steps * image.step_bytes} of them to keep {image.max_steps} steps"
        in_flash = len(image.data) <= info.store_bytes and bool(info.capabilities & Capability.STORE_WRITE)
        fitting_steps = _memory(info).most_steps(image, in_flash=in_flash)
        if fitting_steps:
            remedy = f"give sequences of at most {fitting_steps} steps"
    return ModelRefused(
        f"{spec.name} needs {needed_bytes} bytes on the device ({len(image.data)} for the weights, "
        f"{image.work_bytes} for {buffers}), it has {info.arena_bytes}; {store}",
        code="model_too_large",
        remedy=remedy,
    )


def _make_room(device: Device, image: ModelImage, flags: BeginFlags) -> None:
    """Announce an image; the one in force is given up only when both do not fit."""
    begin = ImageBegin(image_bytes=len(image.data), work_bytes=image.work_bytes, flags=flags)
    try:
        device.request(begin)
    except DeviceRefused as refused:
        hopeless = refused.reply.code != ErrorCode.TOO_LARGE or refused.reply.detail > device.info.arena_bytes
        if hopeless or flags & BeginFlags.DROP_OLD:
            raise
        device.request(replace(begin, flags=flags | BeginFlags.DROP_OLD))


def _load(device: Device, image: ModelImage, flags: BeginFlags) -> int:
    """Announce an image, write it and put it in force; returns the CRC-32 that the device computed.

    A device that restarts is sent everything again. One whose line was lost goes on where it stopped, if it still can:
    whatever it holds, the image comes into force only if its CRC is right.
    """
    has_begun = False
    written = _Written()
    for left in range(_MOST_RECOVERIES, -1, -1):
        try:
            if not has_begun:
                _make_room(device, image, flags)
                has_begun, written = True, _Written()
            return _send(device, image, written, one_by_one=bool(flags & BeginFlags.TO_STORE))
        except (DeviceReset, LinkClosed) as error:
            if left == 0:
                raise
            device.recover(error)
            has_begun = has_begun and isinstance(error, LinkClosed)
        except DeviceRefused as refused:
            lost_its_load = refused.reply.code in (ErrorCode.BAD_REGION, ErrorCode.NO_LOAD)
            if left == 0 or not lost_its_load or not device.link_counters.recoveries:
                raise
            has_begun = False
    raise AssertionError("the last turn returns or raises")


@dataclass
class _Written:
    """How much of an image the device has acknowledged, from its start on."""

    size_bytes: int = 0


def _send(device: Device, image: ModelImage, written: _Written, *, one_by_one: bool) -> int:
    replies: list[ImageCommitReply] = []

    def take(reply: WriteReply) -> None:
        written.size_bytes = reply.end_offset

    def calls() -> Iterator[Call]:
        start = written.size_bytes
        yield from region_writes(device, Region.IMAGE, 0, image.data[start:], start, take)
        yield ImageCommit(crc32=image.crc32), replies.append

    device.exchange(calls(), one_by_one=one_by_one)
    return replies[0].crc32


def ignore_reply(_: Reply) -> None:
    """That a write was answered is all that there is to know."""


def region_writes(
    device: Device, region: Region, node: int, data: bytes, start: int = 0, take: Callable[[Any], None] = ignore_reply
) -> Iterator[Call]:
    """Writes to a region from an offset on, as large as the line is good for."""
    offset = 0
    while offset < len(data):
        room_bytes = device.payload_limit_bytes - Write.size_bytes()
        chunk = data[offset : offset + room_bytes - room_bytes % _WORD_BYTES]
        yield Write(region=region, node=node, offset=start + offset, data=chunk), take
        offset += len(chunk)
