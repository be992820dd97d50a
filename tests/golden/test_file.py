"""Golden files: what goes in comes out, old ones stay readable, and what does not belong together is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import networks
import seeds
from goldens import OLD, PATH, golden_of, head_of, members_of, npy_of, small_file, with_head
from harness.errors import ModelRefused, OracleError, UsageError
from harness.golden.file import Golden, golden_bytes, golden_from_bytes, read_golden
from harness.golden.oracle import GoldenOracle
from harness.model.inputs import Inputs
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.protocol.wire import Kernel


def assert_same(golden: Golden, again: Golden) -> None:
    assert repr(again.spec) == repr(golden.spec)
    assert again.inputs.sha256 == golden.inputs.sha256
    assert (again.inputs.seed, again.inputs.notes) == (golden.inputs.seed, golden.inputs.notes)
    assert list(again.expected.tensors) == list(golden.expected.tensors)
    for name, array in golden.expected.tensors.items():
        assert again.expected.tensors[name].tobytes() == array.tobytes()
        assert again.expected.tensors[name].shape == array.shape
    assert again.expected.versions == golden.expected.versions
    assert again.max_abs_to_float64 == golden.max_abs_to_float64
    assert again.tolerances == golden.tolerances
    assert (again.kernel, again.level, again.origin) == (golden.kernel, golden.level, golden.origin)


@pytest.mark.parametrize("spec", [seeds.random_lstm(2, 3), seeds.random_lstm(1, 2, bias=False)], ids=["bias", "none"])
def test_what_goes_in_comes_out(spec: ModelSpec) -> None:
    golden = golden_of(spec)
    content = golden_bytes(golden)
    again = golden_from_bytes(content, PATH)
    assert_same(golden, again)
    assert golden_bytes(replace(again, sha256="")) == content, "the same golden is the same bytes"
    assert len(again.sha256) == 64


def test_everything_that_inputs_can_have_comes_out() -> None:
    golden = golden_of(seeds.random_lstm(2, 3))
    given = golden.inputs
    mask = np.ones((2, 3), dtype=np.bool_)
    mask[0, 1] = False
    states = {f"lstm.{state}": np.full((2, 3), 0.25, dtype=np.float32) for state in ("h0", "c0")}
    labels = {"output": np.array([[0, 1, 2], [2, 1, -1]])}
    inputs = Inputs(given.x, mask, states, seed=None, notes=("'x' was float64 and is cast to float32",), labels=labels)
    golden = golden_of(golden.spec, inputs)
    origin = replace(golden.origin, layer="lstm", weights_file="w.weights.h5", made_on=date(2026, 1, 31), notes=("a",))
    golden = replace(golden, kernel=Kernel.PACKED_FMA, origin=origin)
    again = golden_from_bytes(golden_bytes(golden), PATH)
    assert_same(golden, again)
    assert again.inputs.mask is not None
    np.testing.assert_array_equal(again.inputs.mask, mask)
    np.testing.assert_array_equal(again.inputs.labels["output"], labels["output"])


def test_calls_of_a_stateful_model_come_out() -> None:
    node = seeds.random_lstm_node(2, 3)
    spec = replace(seeds.random_lstm(2, 3), nodes=(replace(node, stateful=True),), batch=2)
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 2)).astype(np.float32)
    golden = golden_of(spec, Inputs(x, reset_before=np.array([False, True, False])))
    again = golden_from_bytes(golden_bytes(golden), PATH)
    assert_same(golden, again)
    assert again.inputs.reset_before is not None
    assert again.inputs.reset_before.tolist() == [False, True, False]
    assert again.expected.tensors["lstm.h"].shape == (3, 2, 4, 3)


def test_inputs_that_are_masks_and_states_come_out() -> None:
    node = seeds.random_lstm_node(2, 3)
    with_states = replace(node, h0_input="before/h", c0_input="before/c")
    spec = replace(seeds.random_lstm(2, 3), nodes=(with_states,), mask_input="counts")
    golden = golden_of(spec)
    assert set(golden.inputs.initial) == {"lstm.h0", "lstm.c0"}
    content = golden_bytes(golden)
    assert_same(golden, golden_from_bytes(content, PATH))
    assert "input.before%2Fh.npy" in members_of(content), "a name is no path"


@pytest.mark.parametrize("name", networks.ALL)
def test_networks_of_every_kind_come_out(name: str) -> None:
    golden = golden_of(networks.ALL[name]())
    assert_same(golden, golden_from_bytes(golden_bytes(golden), PATH))


def test_a_file_of_the_first_version_stays_readable() -> None:
    """Made once by `hil golden make`, of a model of Keras 3.15.1 with masked, gated and backward LSTMs; never again."""
    golden = read_golden(OLD)
    assert golden.sha256 == "70febd4d56c8bc86bce33280d55576e8160194012e9bde3d574dd790f228e9d4"
    assert [node.name for _, node in golden.spec.lstm_nodes()] == ["first", "both.forward", "both.backward"]
    assert golden.spec.mask_value == 0.0
    assert golden.inputs.masked_steps(golden.spec) == 1
    assert golden.inputs.labels["output"].tolist() == [0, 1]
    assert (golden.kernel, golden.level) == (Kernel.PACKED, TraceLevel.GATES)
    assert golden.origin.model_file == "old.keras"
    assert golden.origin.made_on == date(2026, 11, 21)
    assert golden.expected.versions["keras"] == "3.15.1"
    assert golden.expected.tensors["first.gates"].shape == (2, 4, 16)
    assert golden.tolerances["output"].atol == 5e-7


def test_expected_values_of_other_weights_are_told() -> None:
    content = small_file()
    head = head_of(content)
    kernel = golden_from_bytes(content, PATH).spec.nodes[0].kernel  # type: ignore[union-attr]
    with pytest.raises(OracleError) as caught:
        golden_from_bytes(
            with_head(content, head, **{"weights.0.kernel.npy": npy_of(kernel * np.float32(1.001))}), PATH
        )
    assert caught.value.code == "golden_inconsistent"


def test_a_newer_version_is_told_before_anything_else_is_read() -> None:
    content = small_file()
    with pytest.raises(ModelRefused) as caught:
        golden_from_bytes(with_head(content, {"format": head_of(content)["format"], "version": 2, "new": []}), PATH)
    assert caught.value.code == "golden_version"
    assert "Update" in caught.value.remedy


def test_what_could_not_be_read_again_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = golden_of(seeds.random_lstm(2, 3))
    monkeypatch.setattr(
        "harness.golden.spec_check._MAX_FLOATS", 71
    )  # two sequences of three steps have 72 in the gates
    with pytest.raises(UsageError) as caught:
        golden_bytes(golden)
    assert caught.value.code == "golden_too_large"


def test_what_a_file_does_not_say_is_not_answered(tmp_path: Path) -> None:
    path = tmp_path / "some.golden"
    path.write_bytes(small_file())
    oracle = GoldenOracle.open(path)
    loaded = oracle.load(path)
    assert oracle.answer(loaded, oracle.inputs).tolerances is not None
    with pytest.raises(UsageError, match="its own inputs only"):
        oracle.answer(loaded, replace(oracle.inputs))
    with pytest.raises(UsageError, match="has no gates") as caught:
        oracle.answer(loaded, oracle.inputs, gates=True)
    assert "hil golden make --trace gates" in str(caught.value.remedy), "hil bisect has no --trace to leave out"
    with pytest.raises(UsageError, match="--layer"):
        oracle.load(path, layer="lstm")
    with pytest.raises(UsageError, match="has its own inputs"):
        GoldenOracle.open(path, inputs_given=True)


def test_a_file_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="There is no file"):
        read_golden(tmp_path / "none.golden")
    with pytest.raises(ModelRefused, match="cannot be read"):
        read_golden(tmp_path)
