"""What fits, and what it costs; the numbers of seed 003's network are those of its tutorial."""

from __future__ import annotations

from dataclasses import replace

import pytest

import seeds
from harness.model.fit import fit
from harness.model.memory import Memory, aligned
from harness.model.nodes import Source
from harness.model.pack import pack_model
from harness.model.spec import ModelSpec
from harness.protocol.wire import Kernel

F446 = Memory(arena_bytes=114280, store_bytes=448 * 1024)


def backwards(units: int = 8) -> ModelSpec:
    """Two LSTMs, the second one reads the first one's sequence from its end: that is kept."""
    nodes = (seeds.random_lstm_node(3, units, name="a"), seeds.random_lstm_node(units, units, name="b"))
    return ModelSpec("m", "x", 3, None, (nodes[0], replace(nodes[1], source=Source(0, reverse=True))), (1,))


def test_an_lstm_of_75_units_on_28_features() -> None:
    found = fit(seeds.rows_of_an_image(), F446, steps=16, kernel=Kernel.ARM_MATH)
    lstm, dense, _ = found.layers
    assert lstm.parameters == {"i": 7800, "f": 7800, "c": 7800, "o": 7800, "total": 31200}
    assert (lstm.macs, lstm.runs) == (30900, 28), "the model's own steps, not those asked for"
    assert (dense.macs, dense.runs, dense.parameters) == (750, 1, {"total": 760})
    assert found.macs == 28 * 30900 + 750
    assert found.place == "flash"


@pytest.mark.parametrize(("units", "place"), [(32, "RAM"), (100, "flash"), (140, None)])
def test_where_it_runs_from(units: int, place: str | None) -> None:
    assert fit(seeds.random_lstm(64, units), F446, 16, Kernel.ARM_MATH).place == place


def test_a_forward_network_streams() -> None:
    image = pack_model(seeds.random_lstm(16, 32), 100000)
    assert F446.most_steps(image, in_flash=False) is None
    assert image.work_bytes == pack_model(seeds.random_lstm(16, 32), 1).work_bytes


@pytest.mark.parametrize("arena_bytes", [8192, 8196, 50000, 114280])
@pytest.mark.parametrize("in_flash", [False, True])
def test_one_step_more_than_the_most_does_not_fit(arena_bytes: int, in_flash: bool) -> None:
    spec, memory = backwards(), Memory(arena_bytes, 448 * 1024)
    most = memory.most_steps(pack_model(spec, 10), in_flash=in_flash)
    assert most is not None
    assert most > 0
    holds = memory.holds_in_flash if in_flash else memory.holds_in_ram
    assert holds(pack_model(spec, most))
    assert not holds(pack_model(spec, most + 1))


def test_no_steps_where_the_weights_do_not_fit() -> None:
    image = pack_model(backwards(units=64), 10)
    assert Memory(10000, 10000).most_steps(image, in_flash=False) == 0
    assert Memory(10000, 10000).most_steps(image, in_flash=True) == 0


def test_options_are_said() -> None:
    _, second = fit(backwards(), F446, 5, Kernel.PACKED).layers
    assert "reads backwards" in second.options
    assert "return_sequences" in second.options


def test_sizes_are_rounded_up_as_in_the_arena() -> None:
    assert [aligned(size) for size in (0, 1, 8, 9)] == [0, 8, 8, 16]
