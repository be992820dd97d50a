"""The image of a model: what lies where, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import seeds
from harness.errors import ModelRefused
from harness.model.pack import pack_model
from harness.protocol.image import ImageHeader, NodeRecord, SourceRecord
from harness.protocol.wire import IMAGE_MAGIC, NO_NODE, NodeFlags, NodeKind, Phase, crc32


def records(data: bytes) -> tuple[ImageHeader, list[NodeRecord]]:
    header = ImageHeader.unpack(data)
    size = NodeRecord.size_bytes()
    start = ImageHeader.size_bytes()
    return header, [NodeRecord.unpack(data[start + i * size :]) for i in range(header.node_count)]


def sources(data: bytes) -> list[SourceRecord]:
    header = ImageHeader.unpack(data)
    size = SourceRecord.size_bytes()
    start = ImageHeader.size_bytes() + header.node_count * NodeRecord.size_bytes()
    return [SourceRecord.unpack(data[start + i * size :]) for i in range(header.source_count)]


def test_the_seed_model_node_by_node() -> None:
    spec = seeds.rows_of_an_image()
    image = pack_model(spec)
    header, (lstm, dense, activation) = records(image.data)
    assert header.magic == IMAGE_MAGIC
    assert header.image_bytes == len(image.data)
    assert int.from_bytes(image.data[-4:], "little") == image.crc32 == crc32(image.data[:-4])
    assert (lstm.kind, lstm.first_source, lstm.units, lstm.input_size) == (NodeKind.LSTM, 0, 75, 28)
    assert (dense.kind, dense.first_source, dense.phase) == (NodeKind.DENSE, 1, Phase.AFTER_LAST_STEP)
    assert [(source.node, source.size) for source in sources(image.data)] == [(NO_NODE, 28), (0, 75), (1, 10)]
    assert (activation.kind, activation.flags) == (NodeKind.ACTIVATION, NodeFlags.OUTPUT)
    assert image.work_bytes == 4 * (28 + (28 + 3 * 75) + 10 + 10 + 4 * 75)


def test_a_row_holds_the_weights_of_one_gate_of_one_unit() -> None:
    spec = seeds.random_lstm(3, 5)
    node = seeds.random_lstm_node(3, 5)
    image = pack_model(spec)
    _, (record,) = records(image.data)
    rows = np.frombuffer(image.data, "<f4", 20 * 8, record.weights_offset).reshape(20, 8)
    np.testing.assert_array_equal(rows[7, 5:], node.kernel[:, 7])
    np.testing.assert_array_equal(rows[7, :5], node.recurrent_kernel[:, 7])
    bias = np.frombuffer(image.data, "<f4", 20, record.bias_offset)
    assert node.bias is not None
    np.testing.assert_array_equal(bias, node.bias)


def test_an_lstm_that_does_not_obey_the_mask_says_so() -> None:
    for masked in (True, False):
        spec = replace(seeds.random_lstm(2, 3), nodes=(seeds.random_lstm_node(2, 3, masked=masked),))
        _, (record,) = records(pack_model(spec).data)
        assert bool(record.flags & NodeFlags.IGNORE_MASK) is not masked


def test_parameter_counts() -> None:
    """4 ((in + u) u + u)"""
    for input_size, units in ((28, 75), (16, 32), (1, 3)):
        (node,) = seeds.random_lstm(input_size, units).nodes
        assert node.parameters == 4 * ((input_size + units) * units + units)
    assert seeds.rows_of_an_image().parameters == 31200 + 760


def test_too_many_nodes_and_too_large_matrices_are_refused() -> None:
    spec = seeds.random_lstm(2, 2)
    with pytest.raises(ModelRefused, match="40 layers"):
        pack_model(replace(spec, nodes=spec.nodes * 40))
    zero = np.float32(0)  # broadcast, so that no matrix of that size has to exist
    kernel, recurrent_kernel = np.broadcast_to(zero, (1, 65540)), np.broadcast_to(zero, (16385, 65540))
    node = seeds.random_lstm_node(2, 2, kernel=kernel, recurrent_kernel=recurrent_kernel, bias=None)
    with pytest.raises(ModelRefused, match="65540 x"):
        pack_model(replace(spec, input_size=1, nodes=(node,)))


def test_the_same_model_gives_the_same_bytes() -> None:
    assert pack_model(seeds.random_lstm(4, 4)).data == pack_model(seeds.random_lstm(4, 4)).data
