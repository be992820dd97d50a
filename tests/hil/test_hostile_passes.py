"""Images whose sources and passes are wrong: refused by name; and whatever passes the checks does no harm."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import networks
from harness.device import Device
from harness.loading import load_image
from harness.model.pack import ModelImage, pack_model
from harness.protocol.messages import Run
from harness.protocol.records import Record
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import ErrorCode, NodeFlags, Read, RunFlags, Tap, Trace
from harness.workbench import Workbench
from image_tables import joined, tables


def changed(name: str, *changes: tuple[str, int, dict[str, Any]]) -> ModelImage:
    """The image of a network with fields of its records changed."""
    image = pack_model(networks.ALL[name](), 9)
    header, nodes, sources, tensors = tables(image)
    for table, index, fields in changes:
        records: list[Any] = nodes if table == "node" else sources
        records[index] = replace(records[index], **fields)
    return joined(image, (header, nodes, sources, tensors))


BAD: dict[str, Callable[[], ModelImage]] = {
    "more than a row holds": lambda: changed("backwards stack", ("source", 1, {"offset": 9 * 4 - 3})),
    "backwards without a stride": lambda: changed("backwards stack", ("source", 1, {"stride": 0})),
    "a stride beyond what is kept": lambda: changed("backwards stack", ("source", 1, {"stride": 9 * 4 + 1})),
    "what its own pass keeps": lambda: changed("backwards stack", ("node", 1, {"pass_index": 0})),
    "a pass before its source's": lambda: changed(
        "backwards stack", ("node", 0, {"pass_index": 2}), ("node", 1, {"pass_index": 1})
    ),
    "the state of a node that has none": lambda: changed("reshape", ("source", 4, {"tap": Tap.STATE_C})),
    "a state at a step": lambda: changed("residual", ("source", 1, {"tap": Tap.STATE_H})),
    "kept states": lambda: changed("encoder decoder", ("source", 2, {"read": Read.FORWARD})),
    "states of its own pass": lambda: changed("encoder decoder", ("node", 1, {"pass_index": 0})),
    "a state of another size": lambda: changed("encoder decoder", ("source", 2, {"size": 3})),
    "the input of a step as a state": lambda: changed("encoder decoder", ("source", 2, {"node": 0xFFFF})),
    "the input of a step behind the last one": lambda: changed(
        "flatten", ("source", 1, {"node": 0xFFFF, "read": Read.NOW, "size": 3}), ("node", 1, {"input_size": 3})
    ),
    "a stride behind the last step": lambda: changed("flatten", ("source", 1, {"stride": 1})),
    "one source for a difference": lambda: changed("merges", ("node", 5, {"source_count": 1})),
    "three sources for a difference": lambda: changed("merges", ("node", 5, {"source_count": 3})),
    "sources of two sizes": lambda: changed("merges", ("source", 6, {"size": 3})),
    "a sum of sizes that is not the node's": lambda: changed("merges", ("source", 3, {"size": 3})),
    "two sources for a Dense": lambda: changed("flatten", ("node", 1, {"first_source": 0, "source_count": 2})),
}
BAD_KINDS: dict[str, Callable[[], ModelImage]] = {
    "steps kept behind the last one": lambda: changed("flatten", ("node", 1, {"keep_steps": 1})),
    "a pool behind the last step": lambda: changed("pools and scales", ("node", 4, {"phase": 1})),
    "a pool that keeps steps": lambda: changed("pools and scales", ("node", 4, {"keep_steps": 2})),
    "a pool of products": lambda: changed("pools and scales", ("node", 4, {"operation": 3})),
    "a pool with weights": lambda: changed("pools and scales", ("node", 4, {"weights_offset": 1000})),
    "a scale without an offset": lambda: changed("pools and scales", ("node", 1, {"flags": NodeFlags.OUTPUT})),
    "a scale of another size": lambda: changed("pools and scales", ("node", 1, {"units": 3})),
    "a merge with an activation": lambda: changed("merges", ("node", 3, {"activation": 1})),
    "a merge with a bias": lambda: changed("merges", ("node", 3, {"flags": NodeFlags.BIAS})),
    "a Dense that begins with a state": lambda: changed("flatten", ("node", 1, {"flags": NodeFlags.INITIAL_STATE})),
}


@pytest.mark.parametrize("name", BAD)
def test_a_source_that_is_not_there_in_time_is_refused(device: Device, name: str) -> None:
    with pytest.raises(DeviceRefused) as refused:
        load_image(device, BAD[name]())
    assert refused.value.reply.code == ErrorCode.BAD_SOURCE


@pytest.mark.parametrize("name", BAD_KINDS)
def test_a_node_with_what_its_kind_has_not_is_refused(device: Device, name: str) -> None:
    with pytest.raises(DeviceRefused) as refused:
        load_image(device, BAD_KINDS[name]())
    assert refused.value.reply.code == ErrorCode.BAD_NODE


def test_the_images_that_were_changed_are_sound(device: Device) -> None:
    """Else a refusal above might be about something else."""
    for name in networks.ALL:
        image = pack_model(networks.ALL[name](), 9)
        assert joined(image, tables(image)).data == image.data
        load_image(device, image)


EDGES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 24, 36, 255, 0x7FFFFFFF, 0xFFFFFFFC, 0xFFFFFFFF)


def mutated(generator: random.Random, image: ModelImage) -> ModelImage:
    """One to three fields of the tables have another value, a likely or an extreme one."""
    header, nodes, sources, tensors = tables(image)
    for _ in range(generator.choice((1, 1, 2))):
        table: list[Any] = generator.choice([nodes, sources, sources])
        place = generator.randrange(len(table))
        record: Record = table[place]
        name, width = generator.choice([item for item in record.layout() if item[1].kind == "int"])
        near = getattr(record, name) + generator.choice((-1, 1))
        value = generator.choice((near, near, *EDGES)) % 2 ** (8 * width.size_bytes)
        table[place] = replace(record, **{name: value})
    return joined(image, (header, nodes, sources, tensors))


def test_whatever_passes_the_checks_does_no_harm(hil_workbenches: Callable[[str], Workbench]) -> None:
    """Under the sanitizers of native: a read or a write outside of its memory would end the process."""
    device = hil_workbenches("native").device()
    generator = random.Random(2)
    images = [pack_model(make(), 9) for make in networks.ALL.values()]
    accepted = steps_run = 0
    for _ in range(900):
        image = mutated(generator, generator.choice(images))
        try:
            load_image(device, image)
        except DeviceRefused:
            continue
        accepted += 1
        for _ in range(12):
            try:
                steps = generator.choice((0, 1, 3, 9))
                flags = RunFlags.END if generator.random() < 0.6 else RunFlags.NONE
                pass_index = generator.randrange(len(image.plan.passes))
                rows = bytes(12 * steps) if generator.random() < 0.7 else b""
                trace = generator.choice([Trace.H | Trace.C | Trace.OUTPUT | Trace.FINAL_STATE, Trace.NONE])
                device.request(Run(steps=steps, flags=flags, pass_index=pass_index, trace=trace, data=rows))
                steps_run += steps
            except DeviceRefused:
                pass
    assert accepted > 60
    assert steps_run > 500
