"""Images that are wrong: each is refused with its own code, and the model in force stays in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import seeds
from asked import asked_of
from harness.device import Device
from harness.errors import ModelRefused
from harness.inference import SequenceRunner
from harness.loading import load_image, load_model
from harness.model.pack import ModelImage, pack_model
from harness.protocol.image import ImageHeader, NodeRecord, SourceRecord
from harness.protocol.messages import ImageBegin, ImageCommit, Read, Run, StateReset, Write
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import Activation, BeginFlags, ErrorCode, Kernel, NodeFlags, Region, RunFlags, Trace, crc32

GOOD = seeds.random_lstm(3, 5, seed=1)
BIAS_OUTPUT = NodeFlags.BIAS | NodeFlags.OUTPUT
HEADER_BYTES = ImageHeader.size_bytes()
NODE_BYTES = NodeRecord.size_bytes()


def sealed(body: bytes) -> ModelImage:
    """An image with a right CRC over wrong contents."""
    checksum = crc32(body)
    return replace(pack_model(GOOD), data=body + checksum.to_bytes(4, "little"), crc32=checksum)


def with_header(**changes: object) -> ModelImage:
    image = pack_model(GOOD)
    header = replace(ImageHeader.unpack(image.data), **changes)  # type: ignore[arg-type]
    return sealed(header.pack() + image.data[HEADER_BYTES:-4])


def with_node(made_for: Kernel = Kernel.ARM_MATH, **changes: object) -> ModelImage:
    image = pack_model(GOOD, kernel=made_for)
    node = replace(NodeRecord.unpack(image.data[HEADER_BYTES:]), **changes)  # type: ignore[arg-type]
    body = image.data[:HEADER_BYTES] + node.pack() + image.data[HEADER_BYTES + NODE_BYTES : -4]
    return sealed(body)


def with_source(**changes: object) -> ModelImage:
    image = pack_model(GOOD)
    source = replace(SourceRecord.unpack(image.data[HEADER_BYTES + NODE_BYTES :]), **changes)  # type: ignore[arg-type]
    start = HEADER_BYTES + NODE_BYTES
    return sealed(image.data[:start] + source.pack() + image.data[start + SourceRecord.size_bytes() : -4])


def truncated() -> ModelImage:
    image = pack_model(GOOD)
    return replace(image, data=image.data[:-40])


def flipped() -> ModelImage:
    image = pack_model(GOOD)
    data = bytearray(image.data)
    data[200] ^= 1
    return replace(image, data=bytes(data))


BAD_IMAGES: dict[str, tuple[Callable[[], ModelImage], ErrorCode]] = {
    "magic": (lambda: with_header(magic=1), ErrorCode.BAD_MAGIC),
    "version": (lambda: with_header(version=9), ErrorCode.BAD_IMAGE_VERSION),
    "size in the header": (lambda: with_header(image_bytes=16), ErrorCode.BAD_SIZE),
    "cut short": (truncated, ErrorCode.BAD_SIZE),
    "a flipped bit": (flipped, ErrorCode.CRC_MISMATCH),
    "no nodes": (lambda: with_header(node_count=0), ErrorCode.BAD_SIZE),
    "too many nodes": (lambda: with_header(node_count=33), ErrorCode.BAD_SIZE),
    "nodes beyond the image": (lambda: with_header(node_count=32), ErrorCode.BAD_SIZE),
    "no input": (lambda: with_header(input_size=0), ErrorCode.BAD_SOURCE),
    "reserved field of the header": (lambda: with_header(reserved=1), ErrorCode.BAD_SIZE),
    "input beyond all bounds": (lambda: with_header(input_size=65536), ErrorCode.BAD_SIZE),
    "second part of the input beyond all bounds": (lambda: with_header(static_size=65536), ErrorCode.BAD_SIZE),
    "no sources": (lambda: with_header(source_count=0), ErrorCode.BAD_SIZE),
    "too many sources": (lambda: with_header(source_count=65), ErrorCode.BAD_SIZE),
    "sources beyond the image": (lambda: with_header(source_count=64), ErrorCode.BAD_SIZE),
    "work memory": (lambda: with_header(work_bytes=8), ErrorCode.BAD_WORK_SIZE),
    "kind": (lambda: with_node(kind=77), ErrorCode.BAD_NODE),
    "phase": (lambda: with_node(phase=2), ErrorCode.BAD_NODE),
    "an LSTM after the last step": (lambda: with_node(phase=1), ErrorCode.BAD_NODE),
    "activation": (lambda: with_node(activation=200), ErrorCode.BAD_NODE),
    "an activation with tensors": (lambda: with_node(kind=3, input_size=3, units=3), ErrorCode.BAD_NODE),
    "recurrent activation": (lambda: with_node(recurrent_activation=max(Activation) + 1), ErrorCode.BAD_NODE),
    "layout of the weights": (lambda: with_node(weight_layout=3), ErrorCode.BAD_NODE),
    "a kernel that reads another layout": (lambda: with_node(kernel=1), ErrorCode.BAD_NODE),
    "a layout for another kernel": (lambda: with_node(Kernel.PACKED, kernel=0), ErrorCode.BAD_NODE),
    "a kernel that is not known": (lambda: with_node(Kernel.PACKED, kernel=3), ErrorCode.BAD_NODE),
    "a packed Dense": (lambda: with_node(Kernel.PACKED, kind=2), ErrorCode.BAD_NODE),
    "a packed LSTM with biases of its own": (lambda: with_node(Kernel.PACKED, flags=3), ErrorCode.BAD_NODE),
    "a packed LSTM without room for biases": (
        lambda: with_node(Kernel.PACKED, weights_offset=124),
        ErrorCode.BAD_TENSOR,
    ),
    "work memory of another kernel": (
        lambda: with_node(Kernel.PACKED, weight_layout=0, kernel=0),
        ErrorCode.BAD_WORK_SIZE,
    ),
    "flags": (lambda: with_node(flags=0x8000), ErrorCode.BAD_NODE),
    "reserved field of a node": (lambda: with_node(reserved=1), ErrorCode.BAD_NODE),
    "reads itself": (lambda: with_source(node=0), ErrorCode.BAD_SOURCE),
    "a source behind the table": (lambda: with_node(first_source=1), ErrorCode.BAD_SOURCE),
    "sources behind the table": (lambda: with_node(first_source=0xFFFF, source_count=255), ErrorCode.BAD_SOURCE),
    "a node without source": (lambda: with_node(source_count=0), ErrorCode.BAD_SOURCE),
    "a pass for which there is no node": (lambda: with_node(pass_index=1), ErrorCode.BAD_NODE),
    "an operation of an LSTM": (lambda: with_node(operation=1), ErrorCode.BAD_NODE),
    "an unknown operation": (lambda: with_node(kind=4, operation=7), ErrorCode.BAD_NODE),
    "a state to begin with that is not there": (lambda: with_node(flags=BIAS_OUTPUT | 16), ErrorCode.BAD_SOURCE),
    "kept steps that no memory holds": (lambda: with_node(keep_steps=0xFFFFFFFF), ErrorCode.BAD_WORK_SIZE),
    "kept steps that the work memory leaves out": (lambda: with_node(keep_steps=1), ErrorCode.BAD_WORK_SIZE),
    "a tap": (lambda: with_source(tap=3), ErrorCode.BAD_SOURCE),
    "a state of the input": (lambda: with_source(tap=1), ErrorCode.BAD_SOURCE),
    "a way to read": (lambda: with_source(read=3), ErrorCode.BAD_SOURCE),
    "the kept steps of the input": (lambda: with_source(read=1), ErrorCode.BAD_SOURCE),
    "beyond the input": (lambda: with_source(offset=1), ErrorCode.BAD_SOURCE),
    "far beyond the input": (lambda: with_source(offset=0xFFFFFFFE), ErrorCode.BAD_SOURCE),
    "a stride in the input": (lambda: with_source(stride=3), ErrorCode.BAD_SOURCE),
    "a source of nothing": (lambda: with_source(size=0), ErrorCode.BAD_SOURCE),
    "a source of too much": (lambda: with_source(size=0xFFFFFFFF), ErrorCode.BAD_SOURCE),
    "a node that is not there": (lambda: with_source(node=1), ErrorCode.BAD_SOURCE),
    "input size": (lambda: with_node(input_size=4), ErrorCode.BAD_SOURCE),
    "no output": (lambda: with_node(flags=NodeFlags.BIAS), ErrorCode.BAD_NODE),
    "no units": (lambda: with_node(units=0), ErrorCode.BAD_SIZE),
    "units beyond all bounds": (lambda: with_node(units=0xFFFFFFFF), ErrorCode.BAD_SIZE),
    "units whose product overflows": (lambda: with_node(units=16383), ErrorCode.BAD_TENSOR),
    "weights beyond the image": (lambda: with_node(weights_offset=0xFFFFFFF0), ErrorCode.BAD_TENSOR),
    "weights in the header": (lambda: with_node(weights_offset=0), ErrorCode.BAD_TENSOR),
    "weights not aligned": (lambda: with_node(weights_offset=HEADER_BYTES + NODE_BYTES + 1), ErrorCode.BAD_TENSOR),
    "bias beyond the image": (lambda: with_node(bias_offset=0x10000), ErrorCode.BAD_TENSOR),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_leaves_the_old_one_in_force(device: Device, name: str) -> None:
    make, code = BAD_IMAGES[name]
    load_model(device, GOOD)
    x = np.ones((4, 3), dtype=np.float32)
    before = SequenceRunner(device, GOOD).run(x).arrays["lstm.h"]
    with pytest.raises(DeviceRefused) as refused:
        load_image(device, make())
    assert refused.value.reply.code == code
    after = SequenceRunner(device, GOOD).run(x).arrays["lstm.h"]
    assert after.tobytes() == before.tobytes()


def test_the_crc_of_the_commit_must_be_the_images(device: Device) -> None:
    image = pack_model(GOOD)
    with pytest.raises(DeviceRefused) as refused:
        load_image(device, replace(image, crc32=image.crc32 ^ 1))
    assert refused.value.reply.code == ErrorCode.CRC_MISMATCH


def test_models_replace_each_other_many_times(device: Device) -> None:
    """The two ends of the arena take turns; each model works where it lies."""
    for seed in range(6):
        spec = seeds.random_lstm(4, 20 + 7 * seed, seed=seed)
        load_model(device, spec)
        device.request(StateReset())
        SequenceRunner(device, spec).run(np.ones((2, 4), dtype=np.float32))


def test_a_large_model_takes_the_place_of_another_large_one(device: Device) -> None:
    large = seeds.random_lstm(20, 66, seed=1)
    assert 2 * len(pack_model(large).data) > device.info.arena_bytes
    load_model(device, large)
    load_model(device, seeds.random_lstm(20, 66, seed=2))


def test_too_large_is_refused_with_the_numbers_before_anything_is_sent(device: Device) -> None:
    """For the arena, and for the flash store, where there is one."""
    load_model(device, GOOD)
    with (
        asked_of(device) as asked,
        pytest.raises(ModelRefused, match=rf"needs \d+ bytes.*has {device.info.arena_bytes}") as refused,
    ):
        load_model(device, seeds.random_lstm(64, 140))
    assert refused.value.code == "model_too_large"
    assert asked.requests == 1, "whether it fits"
    SequenceRunner(device, GOOD).run(np.ones((2, 3), dtype=np.float32))


def test_sizes_that_overflow_are_too_large(device: Device) -> None:
    for image_bytes, work_bytes in ((2**32 - 1, 2**32 - 1), (2**32 - 1, 8), (8, 2**32 - 1)):
        with pytest.raises(DeviceRefused) as refused:
            device.request(ImageBegin(image_bytes=image_bytes, work_bytes=work_bytes))
        assert refused.value.reply.code == ErrorCode.TOO_LARGE


def test_a_refused_begin_changes_nothing(device: Device) -> None:
    load_model(device, GOOD)
    image = pack_model(GOOD)
    device.request(ImageBegin(image_bytes=len(image.data), work_bytes=image.work_bytes))
    device.request(Write(region=Region.IMAGE, data=image.data))
    for begin in (
        ImageBegin(image_bytes=2**31, flags=BeginFlags.DROP_OLD),
        ImageBegin(image_bytes=2**31),
        ImageBegin(image_bytes=2**31, flags=BeginFlags.IN_STORE | BeginFlags.DROP_OLD),
        ImageBegin(image_bytes=8, flags=BeginFlags(0x80)),
    ):
        with pytest.raises(DeviceRefused):
            device.request(begin)
    SequenceRunner(device, GOOD).run(np.ones((2, 3), dtype=np.float32))
    assert device.request(ImageCommit(crc32=image.crc32)).crc32 == image.crc32, "the load was still under way"


def test_a_new_model_starts_from_zeroed_memory(device: Device) -> None:
    """Whatever lay in the arena before, the input too."""
    for value in (0x3F, 0xC1):  # the two ends of the arena
        image = pack_model(seeds.random_lstm(200, 2, seed=value))
        device.request(ImageBegin(image_bytes=20000, work_bytes=8, flags=BeginFlags.DROP_OLD))
        for offset in range(0, 20000, 1000):
            device.request(Write(region=Region.IMAGE, offset=offset, data=bytes([value]) * 1000))
        load_image(device, image)
        assert device.request(Read(region=Region.INPUT, length=800)).data == bytes(800)
        assert device.request(Read(region=Region.STATE_C, length=8)).data == bytes(8)


def test_an_image_shorter_than_its_head(device: Device) -> None:
    for size in (0, 4, 67):
        device.request(ImageBegin(image_bytes=size, work_bytes=0))
        with pytest.raises(DeviceRefused) as refused:
            device.request(ImageCommit(crc32=0))
        assert refused.value.reply.code == ErrorCode.BAD_SIZE


def test_writing_and_committing_without_a_load(device: Device) -> None:
    load_model(device, GOOD)
    with pytest.raises(DeviceRefused) as refused:
        device.request(ImageCommit(crc32=0))
    assert refused.value.reply.code == ErrorCode.NO_LOAD
    with pytest.raises(DeviceRefused) as refused:
        device.request(Write(region=Region.IMAGE, data=b"x"))
    assert refused.value.reply.code == ErrorCode.BAD_REGION


def test_an_image_in_the_store_must_be_there(device: Device) -> None:
    begin = ImageBegin(image_bytes=128, work_bytes=64, flags=BeginFlags.IN_STORE)
    if device.info.store_bytes:
        device.request(begin)
        with pytest.raises(DeviceRefused) as refused:
            device.request(ImageCommit(crc32=0))
        # What lies there, if anything, is another test's, and larger.
        assert refused.value.reply.code in (ErrorCode.BAD_MAGIC, ErrorCode.BAD_SIZE)
    else:
        with pytest.raises(DeviceRefused) as refused:
            device.request(begin)
        assert refused.value.reply.code == ErrorCode.TOO_LARGE


def test_what_was_loaded_reads_back(device: Device) -> None:
    image = load_model(device, GOOD).image
    data = b""
    while len(data) < len(image.data):
        length = min(700, len(image.data) - len(data))
        data += device.request(Read(region=Region.IMAGE, offset=len(data), length=length)).data
    assert data == image.data


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (Read(region=Region.IMAGE, offset=0, length=10**6), ErrorCode.OUT_OF_RANGE),
        (Read(region=Region.IMAGE, offset=2**32 - 1, length=1), ErrorCode.OUT_OF_RANGE),
        (Read(region=Region.INPUT, offset=8, length=2**32 - 4), ErrorCode.OUT_OF_RANGE),
        (Read(region=Region.STATE_C, node=1, length=4), ErrorCode.BAD_REGION),
        (Read(region=200, length=4), ErrorCode.BAD_REGION),  # type: ignore[arg-type]
        (Write(region=Region.OUTPUT, data=b"abcd"), ErrorCode.BAD_REGION),
        (Write(region=Region.STATE_H, offset=17, data=b"abcd"), ErrorCode.OUT_OF_RANGE),
        (Run(steps=1, data=bytes(8)), ErrorCode.BAD_LENGTH),
        (Run(steps=0), ErrorCode.BAD_RUN),
        (Run(steps=2, flags=RunFlags.STAGED_INPUT), ErrorCode.BAD_RUN),
        (Run(steps=1, flags=128, data=bytes(12)), ErrorCode.BAD_RUN),  # type: ignore[arg-type]
        (Run(steps=65535, flags=RunFlags.MASK, data=b""), ErrorCode.BAD_LENGTH),
        (Run(steps=80, trace=Trace.H | Trace.C, data=bytes(960)), ErrorCode.REPLY_TOO_LARGE),
    ],
)
def test_requests_that_ask_for_what_is_not_there(device: Device, message: Run, code: ErrorCode) -> None:
    load_model(device, GOOD)
    with pytest.raises(DeviceRefused) as refused:
        device.request(message)
    assert refused.value.reply.code == code
