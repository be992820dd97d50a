"""What the replies to a run hold of a pass: which values, in which order, for which trace. docs/PROTOCOL.md, "Running".

The order is that of firmware/lib/image/image_records.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.array_types import Float32Array
from harness.model.nodes import GATES, LstmNode, as_source
from harness.model.plan import Plan
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.protocol.wire import Phase, Region, Tap, Trace


@dataclass(frozen=True)
class Part:
    """A piece of a record: `size` floats of tensor `name`, also to be had from a region of a node, from `start` on."""

    name: str
    region: Region
    node: int
    size: int
    start: int = 0


@dataclass(frozen=True)
class ReplyRecord:
    """What the reply holds of a step or of an end: the trace that asks for it, and its parts in their order."""

    trace: Trace
    parts: tuple[Part, ...]

    @property
    def floats(self) -> int:
        """Its size."""
        return sum(part.size for part in self.parts)

    def split(self, values: Float32Array) -> dict[str, Float32Array]:
        """Cut the last axis into the parts."""
        arrays: dict[str, Float32Array] = {}
        start = 0
        for part in self.parts:
            arrays[part.name] = values[..., start : start + part.size]
            start += part.size
        return arrays


def step_record(spec: ModelSpec, plan: Plan, pass_index: int, level: TraceLevel) -> ReplyRecord:
    """The record of a pass' step, in the order of image_copy_step."""
    trace = Trace.NONE
    parts = []
    for index, node in _lstms_of(spec, plan, pass_index):
        if level >= TraceLevel.H:
            trace |= Trace.H
            parts.append(Part(f"{node.name}.h", Region.OUTPUT, index, node.units))
        if level >= TraceLevel.HC:
            trace |= Trace.C
            parts.append(Part(f"{node.name}.c", Region.STATE_C, index, node.units))
        if level >= TraceLevel.GATES:
            trace |= Trace.GATES
            size = len(GATES) * node.units
            parts.append(Part(f"{node.name}.z", Region.GATES, index, size))
            parts.append(Part(f"{node.name}.gates", Region.GATES, index, size, start=size))
    if _outputs_stream(spec, plan, pass_index):
        trace |= Trace.OUTPUT
        parts += _output_parts(spec, plan, pass_index, Phase.EVERY_STEP)
    return ReplyRecord(trace, tuple(parts))


def end_record(spec: ModelSpec, plan: Plan, pass_index: int, level: TraceLevel) -> ReplyRecord:
    """The record of a pass' end, in the order of image_copy_end."""
    trace = Trace.OUTPUT
    parts = []
    if not _outputs_stream(spec, plan, pass_index):
        trace |= Trace.LAST_OUTPUT
        parts += _output_parts(spec, plan, pass_index, Phase.EVERY_STEP)
    parts += _output_parts(spec, plan, pass_index, Phase.AFTER_LAST_STEP)
    returns_states = any(as_source(output).tap is not Tap.OUTPUT for output in spec.outputs)
    if level >= TraceLevel.LAST or returns_states:
        trace |= Trace.FINAL_STATE
        for index, node in _lstms_of(spec, plan, pass_index):
            parts.append(Part(f"{node.name}.h_last", Region.STATE_H, index, node.units))
            parts.append(Part(f"{node.name}.c_last", Region.STATE_C, index, node.units))
    return ReplyRecord(trace, tuple(parts))


def _lstms_of(spec: ModelSpec, plan: Plan, pass_index: int) -> list[tuple[int, LstmNode]]:
    return [(index, node) for index, node in spec.lstm_nodes() if plan.pass_of[index] == pass_index]


def _outputs_stream(spec: ModelSpec, plan: Plan, pass_index: int) -> bool:
    """Whether an output of a pass is wanted of every step, and not of the last one alone."""
    return any(plan.pass_of[index] == pass_index and spec.gives_sequence(index) for index in spec.output_nodes)


def _output_parts(spec: ModelSpec, plan: Plan, pass_index: int, phase: Phase) -> list[Part]:
    return [
        Part(value_name(index), Region.OUTPUT, index, spec.nodes[index].units)
        for index in spec.output_nodes
        if spec.nodes[index].phase == phase and plan.pass_of[index] == pass_index
    ]


def value_name(index: int) -> str:
    """A name for a node's output that no layer's tensor can have: those end in .h and the like."""
    return f"output of node {index}"
