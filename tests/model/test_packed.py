"""The packed kernels' stream of weights and table of tanh, and the images that carry them."""

from __future__ import annotations

import numpy as np
import pytest

import seeds
from harness.model import packed, tanh_table
from harness.model.pack import pack_model
from harness.protocol.image import ImageHeader, NodeRecord
from harness.protocol.wire import Activation, Kernel, NodeFlags, WeightLayout

GATE_C = 2


def scale(gate: int, *, table: bool) -> float:
    return 0.5 if table and gate != GATE_C else 1.0


@pytest.mark.parametrize("units", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("activation", [Activation.TANH, Activation.LINEAR])
def test_every_weight_is_where_the_kernels_read_it(units: int, activation: Activation) -> None:
    node = seeds.random_lstm_node(2, units, activation=activation)
    table = packed.has_table(node)
    assert table == (activation is Activation.TANH)
    rows = [*node.recurrent_kernel, *node.kernel, node.bias]
    expected = []
    for start in range(0, units, 3):
        for row in rows:
            for unit in range(start, min(start + 3, units)):
                expected += [row[gate * units + unit] * np.float32(scale(gate, table=table)) for gate in range(4)]
    np.testing.assert_array_equal(packed.stream(node), expected)


def test_without_biases_they_are_zeros() -> None:
    node = seeds.random_lstm_node(2, 3, bias=None)
    np.testing.assert_array_equal(packed.stream(node)[-12:], 0)


@pytest.mark.parametrize("kernel", [Kernel.PACKED, Kernel.PACKED_FMA])
def test_the_image_says_what_computes_it(kernel: Kernel) -> None:
    image = pack_model(seeds.random_lstm(28, 75), kernel=kernel)
    record = NodeRecord.unpack(image.data[ImageHeader.size_bytes() :])
    assert (record.kernel, record.weight_layout) == (kernel, WeightLayout.PACKED)
    assert (record.bias_offset, record.flags & NodeFlags.BIAS) == (0, 0)
    assert len(image.data) == record.weights_offset + 4 * 300 * (28 + 75 + 1) + 4
    assert image.work_bytes == 4 * (28 + (75 + 75 + 75 + 28 + 15) + 16)
    assert image.work_bytes <= 2400


def test_a_layer_of_128_units_fits_the_store() -> None:
    assert len(pack_model(seeds.random_lstm(64, 128), kernel=Kernel.PACKED).data) <= 448 * 1024


def test_the_committed_table_is_the_generators() -> None:
    for name, text in zip(tanh_table.FILES, (tanh_table.header(), tanh_table.source()), strict=True):
        assert (tanh_table.DIRECTORY / name).read_text() == text, "run python -m harness.model.tanh_table"


def test_errors_of_the_table_are_as_stated() -> None:
    """docs/ACCURACY.md states them."""
    inside = np.linspace(-7.9, 7.9, 2_000_001, dtype=np.float32)
    assert np.abs(tanh_table.interpolated(inside) - np.tanh(inside.astype(np.float64))).max() < 6.5e-8
    beyond = np.concatenate([np.linspace(7.9, 20, 100_001), np.geomspace(20, 3.4e38, 10_000)]).astype(np.float32)
    for x in (beyond, -beyond):
        assert np.abs(tanh_table.interpolated(x) - np.tanh(x.astype(np.float64))).max() < 2.8e-7
    far = beyond[beyond > 7.91]
    np.testing.assert_array_equal(tanh_table.interpolated(far), 1)
    np.testing.assert_array_equal(tanh_table.interpolated(-far), -1)


def test_the_table_is_odd_and_keeps_small_values() -> None:
    x = np.concatenate([np.linspace(0, 9, 100_001), np.geomspace(1e-38, 1, 10_000)]).astype(np.float32)
    np.testing.assert_array_equal(tanh_table.interpolated(-x), -tanh_table.interpolated(x))
    small = np.geomspace(1e-38, 1e-2, 10_000).astype(np.float32)
    np.testing.assert_allclose(tanh_table.interpolated(small), np.tanh(small.astype(np.float64)), rtol=2e-7)
