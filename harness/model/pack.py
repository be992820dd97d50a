"""Makes the weight image of a `ModelSpec`: the bytes that the device runs in place. docs/PROTOCOL.md has the layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.errors import ModelRefused
from harness.model.spec import ActivationNode, DenseNode, Float32Array, LstmNode, ModelSpec, Node
from harness.protocol.image import CRC_BYTES, ImageHeader, NodeRecord
from harness.protocol.wire import (
    IMAGE_MAGIC,
    IMAGE_VERSION,
    MAX_NODES,
    NO_NODE,
    Activation,
    NodeFlags,
    NodeKind,
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
}


@dataclass(frozen=True)
class ModelImage:
    """An image and what it needs.

    Attributes:
        data: the whole image.
        work_bytes: memory that it needs beside itself on the device.
        crc32: the CRC-32 that ends it.
    """

    data: bytes
    work_bytes: int
    crc32: int


def pack_model(spec: ModelSpec) -> ModelImage:
    """The image of a model.

    Raises:
        ModelRefused: more nodes than an image holds, or a matrix too large for the engine.
    """
    if len(spec.nodes) > MAX_NODES:
        raise ModelRefused(
            f"{spec.name} has {len(spec.nodes)} layers to compute, the device holds {MAX_NODES}",
            remedy="split the model in two",
        )
    header_bytes = ImageHeader.size_bytes() + len(spec.nodes) * NodeRecord.size_bytes()
    records: list[NodeRecord] = []
    tensors = bytearray()

    def append(tensor: Float32Array | None) -> int:
        if tensor is None:
            return 0
        offset = header_bytes + len(tensors)
        tensors.extend(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
        return offset

    for index, node in enumerate(spec.nodes):
        _check_size(node)
        weights, bias = _weight_rows(node)
        flags = NodeFlags.NONE if bias is None else NodeFlags.BIAS
        if index in spec.outputs:
            flags |= NodeFlags.OUTPUT
        if isinstance(node, LstmNode) and node.zero_output_for_mask:
            flags |= NodeFlags.ZERO_OUTPUT_FOR_MASK
        if isinstance(node, LstmNode) and not node.masked:
            flags |= NodeFlags.IGNORE_MASK
        records.append(
            NodeRecord(
                kind=_KINDS[type(node)],
                phase=node.phase,
                activation=node.activation,
                recurrent_activation=(node.recurrent_activation if isinstance(node, LstmNode) else Activation.LINEAR),
                flags=flags,
                source=NO_NODE if node.source is None else node.source,
                input_size=node.input_size,
                units=node.units,
                weights_offset=append(weights),
                bias_offset=append(bias),
                weight_layout=WeightLayout.ROWS,
                name=node.name,
            )
        )

    work_bytes = _work_bytes(spec)
    header = ImageHeader(
        magic=IMAGE_MAGIC,
        version=IMAGE_VERSION,
        node_count=len(records),
        image_bytes=header_bytes + len(tensors) + CRC_BYTES,
        work_bytes=work_bytes,
        input_size=spec.input_size,
        name=spec.name,
    )
    data = header.pack() + b"".join(record.pack() for record in records) + bytes(tensors)
    checksum = crc32(data)
    return ModelImage(data + checksum.to_bytes(CRC_BYTES, "little"), work_bytes, checksum)


def _weight_rows(node: Node) -> tuple[Float32Array | None, Float32Array | None]:
    """Weights with one row per output and columns x, then h: one dot product per row on the device."""
    if isinstance(node, LstmNode):
        return np.concatenate([node.kernel, node.recurrent_kernel]).T, node.bias
    if isinstance(node, DenseNode):
        return node.kernel.T, node.bias
    return None, None


def _work_bytes(spec: ModelSpec) -> int:
    """docs/PROTOCOL.md, "Work memory"; mirrors node_floats and scratch_floats of image_layout.c."""
    floats = spec.input_size
    scratch = 0
    for node in spec.nodes:
        if isinstance(node, LstmNode):
            floats += node.input_size + 3 * node.units
            scratch = max(scratch, 4 * node.units)
        else:
            floats += node.units
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
