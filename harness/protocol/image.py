"""The weight image: a self-describing block of bytes that holds a model as the device runs it.

    ImageHeader | NodeRecord x node_count | SourceRecord x source_count | tensors (float32, each 4-byte aligned)
    | CRC-32 of all before it

A node is one computation. Nodes stand in the order in which they run; its sources say what it reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.protocol.records import Record, text, u8, u16, u32
from harness.protocol.wire import (
    Activation,
    Kernel,
    NodeFlags,
    NodeKind,
    Operation,
    Phase,
    Read,
    Tap,
    WeightLayout,
)


@dataclass(frozen=True, kw_only=True)
class ImageHeader(Record):
    """Start of an image."""

    C_NAME: ClassVar[str] = "image_header"

    magic: int = u32("IMAGE_MAGIC")
    version: int = u16("IMAGE_VERSION")
    node_count: int = u16("nodes that follow, 1 to MAX_NODES")
    image_bytes: int = u32("size of the whole image, CRC-32 included")
    work_bytes: int = u32("memory that it needs beside the image")
    input_size: int = u32("floats of the model's input that come with each step")
    static_size: int = u32("floats of the model's input behind them that do not change with the steps")
    source_count: int = u16("sources behind the nodes, 1 to MAX_SOURCES")
    reserved: int = u16("0")
    reserved2: int = u32("0")
    name: str = text(40, "name of the model")


@dataclass(frozen=True, kw_only=True)
class NodeRecord(Record):
    """One computation and where its tensors lie. Offsets count from the start of the image."""

    C_NAME: ClassVar[str] = "node_record"

    kind: NodeKind = u8("what it computes", enum=NodeKind)
    phase: Phase = u8("when it runs", enum=Phase)
    activation: Activation = u8("activation; of an LSTM the one of the candidate and of the output", enum=Activation)
    recurrent_activation: Activation = u8("LSTM: activation of the gates i, f and o", enum=Activation)
    flags: NodeFlags = u16("bits of node", enum=NodeFlags)
    first_source: int = u16("its first source")
    source_count: int = u8("its sources, which follow each other")
    pass_index: int = u8("pass that it runs in")
    operation: Operation = u8("MERGE and POOL: what is done", enum=Operation)
    weight_layout: WeightLayout = u8("how the weights lie", enum=WeightLayout)
    kernel: Kernel = u8("LSTM: what computes it", enum=Kernel)
    reserved: int = u8("0")
    reserved2: int = u16("0")
    input_size: int = u32("floats that it reads")
    units: int = u32("floats that it gives")
    weights_offset: int = u32(
        "LSTM: float32[4 units][units + input_size], or a stream; Dense: float32[units][input_size]; "
        "Scale: float32[units]"
    )
    bias_offset: int = u32(
        "LSTM: float32[4 units]; Dense, Scale: float32[units]; 0 without bias, and where it is in a stream"
    )
    keep_steps: int = u32("most steps of which the output is kept for others to read; 0: none is")
    name: str = text(28, "name of the Keras layer, cut to fit")


@dataclass(frozen=True, kw_only=True)
class SourceRecord(Record):
    """What a node reads: at its step k `size` floats of a node's value, from `offset + k stride` on."""

    C_NAME: ClassVar[str] = "source_record"

    node: int = u16("a lower node; NO_NODE: the model's input")
    tap: Tap = u8("which of its values", enum=Tap)
    read: Read = u8(
        "NOW: the value as it stands; else of the kept steps, from the first or from the last row", enum=Read
    )
    offset: int = u32("floats before the first row")
    stride: int = u32("floats from row to row; 0: always the same row")
    size: int = u32("floats of a row")


CRC_BYTES = 4
"""Size of the CRC-32 that ends an image."""
