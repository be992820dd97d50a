"""Runs sequences of a loaded model: splits them into requests that fit, puts the results together.

A request carries as many time steps as its reply has room for; state stays on the device in between. What does not fit
one frame (a very wide input, record or output) goes by offset-addressed writes and reads instead. A model of several
passes is run pass after pass, and each of them is sent the input in the order in which it reads it, if it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.device import Call, Device
from harness.errors import MismatchError
from harness.loading import ignore_reply, region_writes
from harness.model.array_types import BoolArray, Float32Array
from harness.model.inputs import Inputs
from harness.model.nodes import as_source
from harness.model.plan import Pass, Plan, make_plan
from harness.model.replies import Part, end_record, step_record, value_name
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.protocol.messages import Read, ReadReply, Run, RunReply, StateReset
from harness.protocol.wire import Region, RunFlags, Tap, Trace

_FLOAT_BYTES = 4
_MASK_WORD_STEPS = 32  # a mask bit a step, padded to 4 bytes
_MAX_STEPS = 65535  # of a request: 16 bits

Progress = Callable[[int, int], None]
"""Called with (done, total) of whatever takes time."""


@dataclass
class SequenceResult:
    """What the device computed for one sequence.

    Attributes:
        arrays: what was traced, by the names of OUT.npz, without the batch axis: `<layer>.h` (T, units), `<layer>.c`
            (T, units), `<layer>.h_last` (units), `<layer>.c_last` (units), `<layer>.z` and `<layer>.gates`
            (T, 4 units), `output`.
        ticks: ticks spent in the steps and behind the last one, of the device's tick source.
        step_ticks: ticks of the first steps that are not masked, as many as were asked alone. Of several passes the
            k-th of these steps of each is in the k-th number.
        end_ticks: ticks of what runs once behind the last step.
    """

    arrays: dict[str, Float32Array]
    ticks: int
    step_ticks: tuple[int, ...] = ()
    end_ticks: int = 0


@dataclass(frozen=True)
class SequenceInput:
    """What one sequence is run on.

    Attributes:
        x: float32 (T, input_size).
        mask: (T,), False at a step that is to be skipped.
        initial: `<layer>.h0` and `<layer>.c0`, float32 (units), zero where not given.
        beside: the model's other inputs, float32 (T, size) or (size).
    """

    x: Float32Array
    mask: BoolArray | None = None
    initial: Mapping[str, Float32Array] | None = None
    beside: Sequence[Float32Array] = ()


@dataclass
class _Collected:
    """What has come of a sequence so far: arrays of the passes that ended, bytes of the one under way."""

    arrays: dict[str, Float32Array] = field(default_factory=dict)
    ticks: int = 0
    end_ticks: int = 0
    step_ticks: list[int] = field(default_factory=list)
    whole_steps: int | None = None  # how many of step_ticks have a part of every masked pass; None: all
    steps: bytearray = field(default_factory=bytearray)
    end: bytearray = field(default_factory=bytearray)


def sequences_of(spec: ModelSpec, call: Inputs) -> Iterator[SequenceInput]:
    """What each sequence of a call is run on.

    Args:
        spec: the model.
        call: inputs of one call, each sequence with its own initial states.
    """
    (x, *beside), (_, masks) = call.arrays(spec), call.seen_by(spec)
    for row in range(call.batch):
        yield SequenceInput(
            x[row],
            None if masks is None else masks[row],
            {name: states[row] for name, states in call.initial.items()},
            [array[row] for array in beside],
        )


class SequenceRunner:
    """Runs sequences of one loaded model.

    Args:
        device: a device on which `spec` is in force.
        spec: the model.
        plan: how its image runs it; None: as one that was loaded for runs with or without a mask.
        level: what is traced; what is not is not sent either, but for states that are outputs of the model. GATES wants
            an image that keeps them.
        quiet: nothing is on the line while steps are computed: its interrupts would be among what is counted. Slower.
        alone: so many first steps of each pass that are not masked are asked in a request of their own, so that the
            ticks of each are known. What the device counts is the same: it reads its counter around every step.
    """

    def __init__(
        self,
        device: Device,
        spec: ModelSpec,
        plan: Plan | None = None,
        level: TraceLevel = TraceLevel.HC,
        *,
        quiet: bool = False,
        alone: int = 0,
    ) -> None:
        self._quiet = quiet
        self._alone = alone
        self._device = device
        self._spec = spec
        self._plan = make_plan(spec) if plan is None else plan
        self._level = level
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
        """Run one sequence from a fresh state: see `SequenceInput`."""
        results: list[SequenceResult] = []
        self.run_all([SequenceInput(x, mask, initial, beside)], results.append)
        return results[0]

    def run_all(self, sequences: Iterable[SequenceInput], done: Callable[[SequenceResult], None]) -> None:
        """Run sequences, each from a fresh state. The input of the next one is sent while one is computed.

        Args:
            sequences: taken one after another, as the line has room.
            done: given each result, in order.
        """

        def calls() -> Iterator[Call]:
            for sequence in sequences:
                yield from self._calls(sequence, done)

        self._device.exchange(calls(), one_by_one=self._quiet)

    def _calls(self, sequence: SequenceInput, done: Callable[[SequenceResult], None]) -> Iterator[Call]:
        collected = _Collected()
        flags = RunFlags.RESET_STATE
        if sequence.initial:
            yield from self._initial_calls(sequence.initial)
            flags = RunFlags.NONE
        inputs = [sequence.x, *sequence.beside]
        yield from self._vector_calls(inputs)
        last_pass = len(self._plan.passes) - 1
        for pass_index in range(len(self._plan.passes)):

            def end_of_pass(index: int = pass_index) -> None:
                self._end_pass(index, collected)
                if index == last_pass:
                    done(self._result(collected))

            yield from self._pass_calls(pass_index, inputs, sequence.mask, flags, collected, end_of_pass)
            flags = RunFlags.NONE

    def _end_pass(self, pass_index: int, collected: _Collected) -> None:
        """Make arrays of the bytes that a pass gave."""
        record = self._step_records[pass_index]
        if record.floats:
            steps = np.frombuffer(bytes(collected.steps), "<f4").reshape(-1, record.floats)
            collected.arrays.update(record.split(steps))
        collected.arrays.update(self._end_records[pass_index].split(np.frombuffer(bytes(collected.end), "<f4")))
        collected.steps.clear()
        collected.end.clear()

    def _result(self, collected: _Collected) -> SequenceResult:
        arrays = collected.arrays
        values = {index: arrays.pop(value_name(index)) for index in self._spec.output_nodes}
        for name, output in zip(self._spec.output_names, map(as_source, self._spec.outputs), strict=True):
            if output.tap is not Tap.OUTPUT:
                arrays[name] = arrays[self._spec.state_name(output)]
                continue
            assert output.node is not None
            value, is_sequence = values[output.node], self._spec.gives_sequence(output.node)
            arrays[name] = value[-1] if value.ndim == 2 and not is_sequence else value
        step_ticks = tuple(collected.step_ticks[: collected.whole_steps])
        return SequenceResult(self._level.of(arrays), collected.ticks, step_ticks, collected.end_ticks)

    def _pass_calls(
        self,
        pass_index: int,
        inputs: list[Float32Array],
        mask: BoolArray | None,
        flags: RunFlags,
        collected: _Collected,
        end_of_pass: Callable[[], None],
    ) -> Iterator[Call]:
        """The requests of one pass, from its first step to its end."""
        of_pass = self._plan.passes[pass_index]
        step_count = len(inputs[of_pass.length_of]) if of_pass.steps is None else of_pass.steps
        rows = self._rows(of_pass, step_count, inputs)
        mask = None if of_pass.reverse_mask is None or mask is None else mask
        mask = mask[::-1] if of_pass.reverse_mask and mask is not None else mask
        start = asked_alone = 0
        while start < step_count:
            count = self._steps_per_request(pass_index, rows.shape[1] * _FLOAT_BYTES, with_mask=mask is not None)
            counted = None
            if asked_alone < self._alone:
                masked = 0 if mask is None else _masked_from(mask, start)
                count = min(count, masked or 1)
                counted = None if masked else asked_alone
                asked_alone += not masked
            chunk = slice(start, min(start + count, step_count))
            yield from self._step_calls(
                pass_index, rows[chunk], None if mask is None else mask[chunk], flags, collected, counted
            )
            flags = RunFlags.NONE
            start = chunk.stop
        if mask is not None:
            before = collected.whole_steps
            collected.whole_steps = asked_alone if before is None else min(before, asked_alone)
        yield from self._end_calls(pass_index, flags, collected, end_of_pass)

    def _rows(self, of_pass: Pass, step_count: int, inputs: list[Float32Array]) -> Float32Array:
        """What the steps of a pass read of the model's sequences, in the order in which they are run."""
        if not of_pass.reads:
            return np.empty((step_count, 0), np.float32)
        rows = np.zeros((step_count, self._spec.stream_size), np.float32)
        for place in of_pass.reads:
            offset = self._spec.offset_of(place)
            rows[:, offset : offset + self._spec.inputs[place].size] = inputs[place]
        return rows[::-1] if of_pass.reverse_input else rows

    def _vector_calls(self, inputs: list[Float32Array]) -> Iterator[Call]:
        """The inputs that do not change with the steps, which lie behind those that do."""
        vectors = [array for each, array in zip(self._spec.inputs, inputs, strict=True) if not each.is_sequence]
        if vectors:
            data = np.ascontiguousarray(np.concatenate(vectors), dtype="<f4").tobytes()
            yield from region_writes(self._device, Region.INPUT, 0, data, self._spec.stream_size * _FLOAT_BYTES)

    def _steps_per_request(self, pass_index: int, input_bytes: int, *, with_mask: bool) -> int:
        """As many as fit both frames; 1 where not even one does, which then goes by writes and reads."""
        limit_bytes = self._device.payload_limit_bytes
        record_bytes = self._step_records[pass_index].floats * _FLOAT_BYTES
        room = limit_bytes - Run.size_bytes()
        steps = _MAX_STEPS
        if record_bytes:
            steps = min(steps, (limit_bytes - RunReply.size_bytes()) // record_bytes)
        if input_bytes:
            steps = min(steps, room // input_bytes)
        while with_mask and steps > 1 and _mask_bytes(steps) + steps * input_bytes > room:
            steps -= 1
        return max(1, steps)

    def _step_calls(
        self,
        pass_index: int,
        x: Float32Array,
        mask: BoolArray | None,
        flags: RunFlags,
        collected: _Collected,
        counted: int | None = None,
    ) -> Iterator[Call]:
        """The requests of some steps; `counted` is the place of one whose ticks are to be known."""
        limit_bytes = self._device.payload_limit_bytes
        data = b""
        if mask is not None:
            flags |= RunFlags.MASK
            data += np.packbits(mask, bitorder="little").tobytes().ljust(_mask_bytes(len(x)), b"\0")
        x_bytes = np.ascontiguousarray(x, dtype="<f4").tobytes()
        if Run.size_bytes() + len(data) + len(x_bytes) > limit_bytes:
            flags |= RunFlags.STAGED_INPUT  # one step whose input alone is longer than a frame
            yield from region_writes(self._device, Region.INPUT, 0, x_bytes)
        else:
            data += x_bytes
        record = self._step_records[pass_index]
        record_bytes = len(x) * record.floats * _FLOAT_BYTES
        fits = RunReply.size_bytes() + record_bytes <= limit_bytes
        trace = record.trace if fits else Trace.NONE

        def take(reply: RunReply) -> None:
            collected.ticks += reply.ticks
            if counted is not None:
                collected.step_ticks += [0] * (counted + 1 - len(collected.step_ticks))
                collected.step_ticks[counted] += reply.ticks
            collected.steps += _checked(reply.data, record_bytes if fits else 0)

        yield Run(steps=len(x), flags=flags, trace=trace, pass_index=pass_index, data=data), take
        if not fits:
            yield from self._read_calls(record.parts, collected.steps)

    def _end_calls(
        self, pass_index: int, flags: RunFlags, collected: _Collected, end_of_pass: Callable[[], None]
    ) -> Iterator[Call]:
        record = self._end_records[pass_index]
        end_bytes = record.floats * _FLOAT_BYTES
        fits = RunReply.size_bytes() + end_bytes <= self._device.payload_limit_bytes
        trace = record.trace if fits else Trace.NONE

        def take(reply: RunReply) -> None:
            collected.ticks += reply.ticks
            collected.end_ticks += reply.ticks
            collected.end += _checked(reply.data, end_bytes if fits else 0)
            if fits:
                end_of_pass()

        yield Run(steps=0, flags=flags | RunFlags.END, trace=trace, pass_index=pass_index), take
        if not fits:
            yield from self._read_calls(record.parts, collected.end, end_of_pass)

    def _read_calls(
        self, parts: tuple[Part, ...], into: bytearray, at_end: Callable[[], None] | None = None
    ) -> Iterator[Call]:
        for part in parts:
            offset, end = part.start * _FLOAT_BYTES, (part.start + part.size) * _FLOAT_BYTES
            while offset < end:
                length = min(self._device.payload_limit_bytes, end - offset)
                is_last = part is parts[-1] and offset + length == end

                def take(reply: ReadReply, length: int = length, is_last: bool = is_last) -> None:
                    into.extend(_checked(reply.data, length))
                    if is_last and at_end is not None:
                        at_end()

                yield Read(region=part.region, node=part.node, offset=offset, length=length), take
                offset += length

    def _initial_calls(self, initial: Mapping[str, Float32Array]) -> Iterator[Call]:
        yield StateReset(), ignore_reply
        for index, node in self._spec.lstm_nodes():
            for suffix, region in (("h0", Region.STATE_H), ("c0", Region.STATE_C)):
                state = initial.get(f"{node.name}.{suffix}")
                if state is not None:
                    data = np.ascontiguousarray(state, dtype="<f4").tobytes()
                    yield from region_writes(self._device, region, index, data)


def _checked(data: bytes, size_bytes: int) -> bytes:
    if len(data) != size_bytes:
        raise MismatchError(
            f"the device sent {len(data)} bytes of results, {size_bytes} were due",
            code="wrong_reply_size",
            remedy="flash the firmware that belongs to this version of hil",
        )
    return data


def _masked_from(mask: BoolArray, start: int) -> int:
    """How many steps from this one on are masked in a row."""
    computed = np.flatnonzero(mask[start:])
    return int(computed[0]) if len(computed) else len(mask) - start


def _mask_bytes(steps: int) -> int:
    return -(-steps // _MASK_WORD_STEPS) * 4
