"""Loads a model into a device and runs sequences on it: splits both into requests that fit, puts the results together.

A request carries as many time steps as its reply has room for; state stays on the device in between. What does not fit
one frame (a very wide input, record or output) goes by offset-addressed writes and reads instead. A model of several
passes is run pass after pass, and each of them is sent the input in the order in which it reads it, if it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from harness.device import Device
from harness.errors import MismatchError, ModelRefused
from harness.model.memory import Memory
from harness.model.pack import ModelImage, pack_model
from harness.model.plan import Pass, Plan, make_plan
from harness.model.replies import Part, end_record, step_record, value_name
from harness.model.spec import BoolArray, Float32Array, ModelSpec, as_source
from harness.model.trace import TraceLevel
from harness.protocol.messages import (
    HelloReply,
    ImageBegin,
    ImageCommit,
    Read,
    Run,
    RunReply,
    StateReset,
    Write,
)
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import BeginFlags, Capability, ErrorCode, Kernel, Region, RunFlags, Tap, Trace

_FLOAT_BYTES = 4
_MASK_WORD_STEPS = 32  # a mask bit a step, padded to 4 bytes
_MAX_STEPS = 65535  # of a request: 16 bits

Progress = Callable[[int, int], None]
"""Called with (done, total) of whatever takes time."""


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


@dataclass
class SequenceResult:
    """What the device computed for one sequence.

    Attributes:
        arrays: what was traced, by the names of OUT.npz, without the batch axis: `<layer>.h` (T, units), `<layer>.c`
            (T, units), `<layer>.h_last` (units), `<layer>.c_last` (units), `<layer>.z` and `<layer>.gates`
            (T, 4 units), `output`.
        ticks: ticks spent in the steps, of the device's tick source.
    """

    arrays: dict[str, Float32Array]
    ticks: int


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
    _make_room(device, image, BeginFlags.NONE)
    return _send(device, image)


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
    _make_room(device, image, BeginFlags.TO_STORE | BeginFlags.DROP_OLD)
    return LoadedModel(spec, image, _send(device, image), CameBy.LINK_TO_FLASH)


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


def _send(device: Device, image: ModelImage) -> int:
    _write(device, Region.IMAGE, 0, image.data)
    return device.request(ImageCommit(crc32=image.crc32)).crc32


def _write(device: Device, region: Region, node: int, data: bytes, start: int = 0) -> None:
    """Write to a region from an offset on, in as few requests as it takes."""
    chunk_bytes = device.info.max_payload_bytes - Write.size_bytes()
    chunk_bytes -= chunk_bytes % _FLOAT_BYTES  # flash takes whole words
    for offset in range(0, len(data), chunk_bytes):
        chunk = data[offset : offset + chunk_bytes]
        device.request(Write(region=region, node=node, offset=start + offset, data=chunk))


class SequenceRunner:
    """Runs sequences of one loaded model.

    Args:
        device: a device on which `spec` is in force.
        spec: the model.
        plan: how its image runs it; None: as one that was loaded for runs with or without a mask.
        level: what is traced; what is not is not sent either, but for states that are outputs of the model. GATES wants
            an image that keeps them.
    """

    def __init__(
        self, device: Device, spec: ModelSpec, plan: Plan | None = None, level: TraceLevel = TraceLevel.HC
    ) -> None:
        self._device = device
        self._spec = spec
        self._plan = make_plan(spec) if plan is None else plan
        self._level = level
        self._payload_bytes = device.info.max_payload_bytes
        passes = range(len(self._plan.passes))
        self._step_records = [step_record(spec, self._plan, pass_index, level) for pass_index in passes]
        self._end_records = [end_record(spec, self._plan, pass_index, level) for pass_index in passes]

    def run(
        self,
        x: Float32Array,
        mask: BoolArray | None = None,
        initial: Mapping[str, Float32Array] | None = None,
        beside: Sequence[Float32Array] = (),
    ) -> SequenceResult:
        """Run one sequence from a fresh state.

        Args:
            x: float32 (T, input_size).
            beside: the model's other inputs, float32 (T, size) or (size).
            mask: (T,), False at a step that is to be skipped.
            initial: `<layer>.h0` and `<layer>.c0`, float32 (units), zero where not given.
        """
        arrays: dict[str, Float32Array] = {}
        ticks = 0
        flags = RunFlags.RESET_STATE
        if initial:
            self._write_initial(initial)
            flags = RunFlags.NONE
        inputs = [x, *beside]
        self._write_vectors(inputs)
        for pass_index in range(len(self._plan.passes)):
            ticks += self._run_pass(pass_index, inputs, mask, flags, arrays)
            flags = RunFlags.NONE
        values = {index: arrays.pop(value_name(index)) for index in self._spec.output_nodes}
        for name, output in zip(self._spec.output_names, map(as_source, self._spec.outputs), strict=True):
            if output.tap is not Tap.OUTPUT:
                arrays[name] = arrays[self._spec.state_name(output)]
                continue
            assert output.node is not None
            value, is_sequence = values[output.node], self._spec.gives_sequence(output.node)
            arrays[name] = value[-1] if value.ndim == 2 and not is_sequence else value
        return SequenceResult(self._level.of(arrays), ticks)

    def _run_pass(
        self,
        pass_index: int,
        inputs: list[Float32Array],
        mask: BoolArray | None,
        flags: RunFlags,
        arrays: dict[str, Float32Array],
    ) -> int:
        """Run one pass from its first step to its end and add what it gives to `arrays`; returns the ticks."""
        of_pass = self._plan.passes[pass_index]
        step_count = len(inputs[of_pass.length_of]) if of_pass.steps is None else of_pass.steps
        rows = self._rows(of_pass, step_count, inputs)
        mask = None if of_pass.reverse_mask is None or mask is None else mask
        mask = mask[::-1] if of_pass.reverse_mask and mask is not None else mask
        records: list[bytes] = []
        ticks = 0
        per_request = self._steps_per_request(pass_index, rows.shape[1] * _FLOAT_BYTES, with_mask=mask is not None)
        for start in range(0, step_count, per_request):
            chunk = slice(start, min(start + per_request, step_count))
            reply, values = self._run_steps(pass_index, rows[chunk], None if mask is None else mask[chunk], flags)
            records.append(values)
            ticks += reply.ticks
            flags = RunFlags.NONE
        end_reply, end = self._run_end(pass_index, flags)
        step_record, end_record = self._step_records[pass_index], self._end_records[pass_index]
        steps = np.frombuffer(b"".join(records), "<f4").reshape(step_count, step_record.floats)
        arrays.update(step_record.split(steps))
        arrays.update(end_record.split(np.frombuffer(end, "<f4")))
        return ticks + end_reply.ticks

    def _rows(self, of_pass: Pass, step_count: int, inputs: list[Float32Array]) -> Float32Array:
        """What the steps of a pass read of the model's sequences, in the order in which they are run."""
        if not of_pass.reads:
            return np.empty((step_count, 0), np.float32)
        rows = np.zeros((step_count, self._spec.stream_size), np.float32)
        for place in of_pass.reads:
            offset = self._spec.offset_of(place)
            rows[:, offset : offset + self._spec.inputs[place].size] = inputs[place]
        return rows[::-1] if of_pass.reverse_input else rows

    def _write_vectors(self, inputs: list[Float32Array]) -> None:
        """The inputs that do not change with the steps, which lie behind those that do."""
        vectors = [array for each, array in zip(self._spec.inputs, inputs, strict=True) if not each.is_sequence]
        if vectors:
            data = np.ascontiguousarray(np.concatenate(vectors), dtype="<f4").tobytes()
            _write(self._device, Region.INPUT, 0, data, self._spec.stream_size * _FLOAT_BYTES)

    def _steps_per_request(self, pass_index: int, input_bytes: int, *, with_mask: bool) -> int:
        """As many as fit both frames; 1 where not even one does, which then goes by writes and reads."""
        record_bytes = self._step_records[pass_index].floats * _FLOAT_BYTES
        room = self._payload_bytes - Run.size_bytes()
        steps = _MAX_STEPS
        if record_bytes:
            steps = min(steps, (self._payload_bytes - RunReply.size_bytes()) // record_bytes)
        if input_bytes:
            steps = min(steps, room // input_bytes)
        while with_mask and steps > 1 and _mask_bytes(steps) + steps * input_bytes > room:
            steps -= 1
        return max(1, steps)

    def _run_steps(
        self, pass_index: int, x: Float32Array, mask: BoolArray | None, flags: RunFlags
    ) -> tuple[RunReply, bytes]:
        data = b""
        if mask is not None:
            flags |= RunFlags.MASK
            data += np.packbits(mask, bitorder="little").tobytes().ljust(_mask_bytes(len(x)), b"\0")
        x_bytes = np.ascontiguousarray(x, dtype="<f4").tobytes()
        if Run.size_bytes() + len(data) + len(x_bytes) > self._payload_bytes:
            flags |= RunFlags.STAGED_INPUT  # one step whose input alone is longer than a frame
            _write(self._device, Region.INPUT, 0, x_bytes)
        else:
            data += x_bytes
        record = self._step_records[pass_index]
        record_bytes = len(x) * record.floats * _FLOAT_BYTES
        fits = RunReply.size_bytes() + record_bytes <= self._payload_bytes
        trace = record.trace if fits else Trace.NONE
        run = Run(steps=len(x), flags=flags, trace=trace, pass_index=pass_index, data=data)
        reply = self._device.request(run)
        return reply, self._checked(reply, record_bytes) if fits else self._read_parts(record.parts)

    def _run_end(self, pass_index: int, flags: RunFlags) -> tuple[RunReply, bytes]:
        record = self._end_records[pass_index]
        end_bytes = record.floats * _FLOAT_BYTES
        fits = RunReply.size_bytes() + end_bytes <= self._payload_bytes
        trace = record.trace if fits else Trace.NONE
        reply = self._device.request(Run(steps=0, flags=flags | RunFlags.END, trace=trace, pass_index=pass_index))
        return reply, self._checked(reply, end_bytes) if fits else self._read_parts(record.parts)

    def _checked(self, reply: RunReply, size_bytes: int) -> bytes:
        if len(reply.data) != size_bytes:
            raise MismatchError(
                f"the device sent {len(reply.data)} bytes of results, {size_bytes} were due",
                code="wrong_reply_size",
                remedy="flash the firmware that belongs to this version of hil",
            )
        return reply.data

    def _read_parts(self, parts: tuple[Part, ...]) -> bytes:
        data = bytearray()
        for part in parts:
            end = (part.start + part.size) * _FLOAT_BYTES
            for offset in range(part.start * _FLOAT_BYTES, end, self._payload_bytes):
                length = min(self._payload_bytes, end - offset)
                read = Read(region=part.region, node=part.node, offset=offset, length=length)
                data += self._device.request(read).data
        return bytes(data)

    def _write_initial(self, initial: Mapping[str, Float32Array]) -> None:
        self._device.request(StateReset())
        for index, node in self._spec.lstm_nodes():
            for suffix, region in (("h0", Region.STATE_H), ("c0", Region.STATE_C)):
                state = initial.get(f"{node.name}.{suffix}")
                if state is not None:
                    _write(self._device, region, index, np.ascontiguousarray(state, dtype="<f4").tobytes())


def _mask_bytes(steps: int) -> int:
    return -(-steps // _MASK_WORD_STEPS) * 4
