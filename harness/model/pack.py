"""Makes the weight image of a `ModelSpec`: the bytes that the device runs in place. docs/PROTOCOL.md has the layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from harness.errors import ModelRefused, UsageError
from harness.model import packed
from harness.model.array_types import Float32Array
from harness.model.nodes import (
    GATES,
    ActivationNode,
    DenseNode,
    LstmNode,
    MergeNode,
    Node,
    PoolNode,
    ScaleNode,
    Source,
    obeys_mask,
    sources_of,
)
from harness.model.plan import Plan, make_plan
from harness.model.spec import ModelSpec
from harness.protocol.image import CRC_BYTES, ImageHeader, NodeRecord, SourceRecord
from harness.protocol.wire import (
    IMAGE_MAGIC,
    IMAGE_VERSION,
    MAX_NODES,
    MAX_SOURCES,
    NO_NODE,
    Activation,
    Kernel,
    NodeFlags,
    NodeKind,
    Operation,
    Phase,
    Read,
    Tap,
    WeightLayout,
    crc32,
)

MAX_ROWS = 65535
"""Most rows and columns of a weight matrix: CMSIS-DSP counts them in 16 bits."""

_FLOAT_BYTES = 4
_KINDS: dict[type, NodeKind] = {
    LstmNode: NodeKind.LSTM,
    DenseNode: NodeKind.DENSE,
    ActivationNode: NodeKind.ACTIVATION,
    MergeNode: NodeKind.MERGE,
    ScaleNode: NodeKind.SCALE,
    PoolNode: NodeKind.POOL,
}


@dataclass(frozen=True)
class ModelImage:
    """An image and what it needs.

    Attributes:
        data: the whole image.
        work_bytes: memory that it needs beside itself on the device.
        crc32: the CRC-32 that ends it.
        plan: the passes that it runs in.
        max_steps: steps of the longest run that its work memory is for; 0: of any length.
        step_bytes: bytes of `work_bytes` that each of these steps takes.
        kernel: what computes its LSTMs.
    """

    data: bytes = field(repr=False)
    work_bytes: int
    crc32: int
    plan: Plan
    max_steps: int = 0
    step_bytes: int = 0
    kernel: Kernel = Kernel.ARM_MATH


def kernel_named(name: str) -> Kernel:
    """A kernel by the name that people call it by.

    Raises:
        UsageError: there is none of this name.
    """
    names = {kernel.name.lower(): kernel for kernel in Kernel}
    if name not in names:
        raise UsageError(f"there is no kernel {name!r}", remedy=f"the kernels are {', '.join(names)}")
    return names[name]


def pack_model(
    spec: ModelSpec,
    max_steps: int | None = None,
    *,
    masked: bool = True,
    kernel: Kernel = Kernel.ARM_MATH,
    keep_gates: bool = False,
) -> ModelImage:
    """The image of a model.

    Args:
        spec: the model.
        max_steps: the longest run that is to come. Wanted only of a model that keeps whole sequences.
        masked: runs may have a mask.
        kernel: what computes the LSTMs.
        keep_gates: the values of the LSTMs' gates are to be had after each step; this costs memory and time.

    Raises:
        ModelRefused: more nodes or sources than an image holds, or a matrix too large for the engine.
        ValueError: the model keeps sequences, and neither it nor `max_steps` says how long they are.
    """
    plan = make_plan(spec, masked=masked)
    sources = [[_source_record(spec, plan, index, item) for item in sources_of(node)] for index, node in _nodes(spec)]
    source_count = sum(map(len, sources))
    _check_counts(spec, source_count)
    steps = _kept_steps(spec, plan, max_steps)
    header_bytes = ImageHeader.size_bytes() + len(spec.nodes) * NodeRecord.size_bytes()
    header_bytes += source_count * SourceRecord.size_bytes()
    records: list[NodeRecord] = []
    tensors = bytearray()

    def append(tensor: Float32Array | None) -> int:
        if tensor is None:
            return 0
        offset = header_bytes + len(tensors)
        tensors.extend(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
        return offset

    for index, node in _nodes(spec):
        _check_size(node)
        is_packed = isinstance(node, LstmNode) and kernel is not Kernel.ARM_MATH
        weights, bias = _tensors(node, is_packed=is_packed)
        records.append(
            NodeRecord(
                kind=_KINDS[type(node)],
                phase=node.phase,
                activation=node.activation,
                recurrent_activation=(node.recurrent_activation if isinstance(node, LstmNode) else Activation.LINEAR),
                flags=_flags(spec, index, is_packed=is_packed, keep_gates=keep_gates),
                first_source=sum(map(len, sources[:index])),
                source_count=len(sources[index]),
                pass_index=plan.pass_of[index],
                operation=node.operation if isinstance(node, MergeNode | PoolNode) else Operation.CONCATENATE,
                input_size=node.input_size,
                units=node.units,
                weights_offset=append(weights),
                bias_offset=append(bias),
                weight_layout=WeightLayout.PACKED if is_packed else WeightLayout.ROWS,
                kernel=kernel if is_packed else Kernel.ARM_MATH,
                keep_steps=steps.get(index, 0),
                name=node.name,
            )
        )

    kept_floats = sum(spec.nodes[index].units * count for index, count in steps.items())
    work_bytes = _state_bytes(spec, kernel, keep_gates=keep_gates) + kept_floats * _FLOAT_BYTES
    header = ImageHeader(
        magic=IMAGE_MAGIC,
        version=IMAGE_VERSION,
        node_count=len(records),
        image_bytes=header_bytes + len(tensors) + CRC_BYTES,
        work_bytes=work_bytes,
        input_size=spec.stream_size,
        static_size=spec.static_size,
        source_count=source_count,
        name=spec.name,
    )
    tables: list[NodeRecord | SourceRecord] = [*records, *(record for of_node in sources for record in of_node)]
    data = header.pack() + b"".join(record.pack() for record in tables) + bytes(tensors)
    checksum = crc32(data)
    open_ended = [index for index in steps if plan.passes[plan.pass_of[index]].steps is None]
    return ModelImage(
        data=data + checksum.to_bytes(CRC_BYTES, "little"),
        work_bytes=work_bytes,
        crc32=checksum,
        plan=plan,
        max_steps=(max_steps or 0) if open_ended else 0,
        step_bytes=sum(spec.nodes[index].units for index in open_ended) * _FLOAT_BYTES,
        kernel=kernel,
    )


def _nodes(spec: ModelSpec) -> Iterator[tuple[int, Node]]:
    return iter(enumerate(spec.nodes))


def _check_counts(spec: ModelSpec, source_count: int) -> None:
    if len(spec.nodes) > MAX_NODES or source_count > MAX_SOURCES:
        raise ModelRefused(
            f"{spec.name} has {len(spec.nodes)} layers to compute, which read {source_count} values; "
            f"the device holds {MAX_NODES} and {MAX_SOURCES}",
            remedy="split the model in two",
        )


def _kept_steps(spec: ModelSpec, plan: Plan, max_steps: int | None) -> dict[int, int]:
    """Steps to keep of each node that is kept."""
    if max_steps is None and any(plan.passes[plan.pass_of[index]].steps is None for index in plan.kept):
        raise ValueError(f"{spec.name} keeps whole sequences: say of how many steps")
    return {index: plan.steps_of(index, max_steps or 0) for index in plan.kept}


def _flags(spec: ModelSpec, index: int, *, is_packed: bool, keep_gates: bool) -> NodeFlags:
    node = spec.nodes[index]
    flags = NodeFlags.OUTPUT if index in spec.output_nodes else NodeFlags.NONE
    has_bias = isinstance(node, LstmNode | DenseNode) and node.bias is not None and not is_packed
    if isinstance(node, ScaleNode) or has_bias:
        flags |= NodeFlags.BIAS
    if isinstance(node, LstmNode | PoolNode) and not obeys_mask(node):
        flags |= NodeFlags.IGNORE_MASK
    if isinstance(node, LstmNode):
        flags |= NodeFlags.ZERO_OUTPUT_FOR_MASK if node.zero_output_for_mask else NodeFlags.NONE
        flags |= NodeFlags.NONE if node.initial is None else NodeFlags.INITIAL_STATE
        flags |= NodeFlags.KEEP_GATES if keep_gates else NodeFlags.NONE
    return flags


def _source_record(spec: ModelSpec, plan: Plan, reader: int, source: Source) -> SourceRecord:
    """Keras' terms in the device's. Of the input nothing is said: it is sent in the order that is wanted."""
    if source.node is None:
        return SourceRecord(node=NO_NODE, offset=spec.offset_of(source.input), size=spec.inputs[source.input].size)
    units = spec.nodes[source.node].units
    at_steps = spec.nodes[reader].phase is Phase.EVERY_STEP
    direction = Read.REVERSED if source.reverse else Read.FORWARD
    if source.rows:
        stride = source.rows if at_steps else 0
        return SourceRecord(node=source.node, read=direction, stride=stride, size=source.rows)
    is_sequence = source.tap is Tap.OUTPUT and spec.gives_sequence(source.node) and not source.repeat
    is_earlier = plan.pass_of[source.node] < plan.pass_of[reader]
    if at_steps and is_sequence and is_earlier:
        return SourceRecord(node=source.node, read=direction, stride=units, size=units)
    return SourceRecord(node=source.node, tap=source.tap, size=units)


def _tensors(node: Node, *, is_packed: bool) -> tuple[Float32Array | None, Float32Array | None]:
    """A stream; or weights with one row per output and columns h, then x: one dot product per row on the device."""
    if isinstance(node, LstmNode) and is_packed:
        return packed.stream(node), None
    if isinstance(node, LstmNode):
        return np.concatenate([node.recurrent_kernel, node.kernel]).T, node.bias
    if isinstance(node, DenseNode):
        return node.kernel.T, node.bias
    if isinstance(node, ScaleNode):
        return node.scale, node.offset
    return None, None


def _state_bytes(spec: ModelSpec, kernel: Kernel, *, keep_gates: bool) -> int:
    """Work memory without kept steps: docs/PROTOCOL.md; mirrors node_floats and scratch_floats of image_layout.c."""
    floats = spec.stream_size + spec.static_size
    scratch = 0
    for node in spec.nodes:
        if isinstance(node, LstmNode) and kernel is not Kernel.ARM_MATH:
            floats += packed.state_floats(node)
            scratch = max(scratch, packed.scratch_floats(node, keep_gates=keep_gates))
        elif isinstance(node, LstmNode):
            floats += node.input_size + 3 * node.units
            scratch = max(scratch, 4 * node.units)
        else:
            floats += node.units * (2 if isinstance(node, PoolNode) else 1)
        if isinstance(node, LstmNode) and keep_gates:
            floats += 2 * len(GATES) * node.units
    return (floats + scratch) * _FLOAT_BYTES


def _check_size(node: Node) -> None:
    rows, columns = node.units, node.input_size
    if isinstance(node, LstmNode):
        rows, columns = 4 * node.units, node.input_size + node.units
    if max(rows, columns) > MAX_ROWS:
        raise ModelRefused(
            f"layer {node.name} has a weight matrix of {rows} x {columns}, the engine takes up to {MAX_ROWS} each way",
            remedy="make the layer smaller",
        )
