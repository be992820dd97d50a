"""In how many passes a network runs, and what it keeps."""

from __future__ import annotations

import pytest

import networks
import seeds
from harness.model.nodes import Source, as_source, sources_of
from harness.model.pack import pack_model
from harness.model.plan import Pass, make_plan
from harness.model.spec import ModelSpec
from harness.protocol.wire import Operation, Phase

FORWARD, BACKWARD = False, True
X = frozenset({0})


def kept(spec: ModelSpec, *, masked: bool = True) -> list[str]:
    plan = make_plan(spec, masked=masked)
    return [spec.nodes[index].name for index in sorted(plan.kept)]


def passes(spec: ModelSpec, *, masked: bool = True) -> list[list[str]]:
    plan = make_plan(spec, masked=masked)
    return [
        [node.name for node, place in zip(spec.nodes, plan.pass_of, strict=True) if place == number]
        for number in range(len(plan.passes))
    ]


@pytest.mark.parametrize("spec", [seeds.rows_of_an_image(), networks.residual()], ids=lambda spec: spec.name)
def test_a_forward_network_is_one_pass_and_keeps_nothing(spec: ModelSpec) -> None:
    plan = make_plan(spec)
    assert plan.passes == (Pass(spec.steps, FORWARD, FORWARD, reads=X),)
    assert not plan.kept
    assert pack_model(spec, 2).data == pack_model(spec, 2000).data
    assert pack_model(spec).work_bytes == pack_model(spec, 65535).work_bytes


def test_a_layer_that_reads_the_input_backwards_is_sent_it_so() -> None:
    plan = make_plan(networks.backwards())
    assert plan.passes == (Pass(None, BACKWARD, BACKWARD, reads=X),)
    assert not plan.kept


def test_of_a_bidirectional_only_the_backward_half_is_kept() -> None:
    """The backward half runs first, and the forward one beside the merge."""
    spec = networks.bidirectional()
    assert passes(spec) == [["bi.backward"], ["bi.forward", "merge"]]
    assert kept(spec) == ["bi.backward"]
    assert make_plan(spec).passes == (
        Pass(None, BACKWARD, BACKWARD, reads=X),
        Pass(None, FORWARD, FORWARD, reads=X),
    )


def test_a_bidirectional_that_returns_the_last_step_keeps_nothing() -> None:
    spec = networks.bidirectional(sequences=False)
    assert passes(spec) == [["bi.forward"], ["bi.backward", "merge"]]
    assert kept(spec) == []


def test_a_stack_of_bidirectionals() -> None:
    spec = networks.bidirectional_stack()
    assert passes(spec) == [
        ["one.backward"],
        ["one.forward", "merge"],
        ["two.backward"],
        ["two.forward", "merge2", "dense", "softmax"],
    ]
    assert kept(spec) == ["one.backward", "merge", "two.backward"]


def test_a_mask_has_a_direction_of_its_own() -> None:
    """Behind a layer that went backwards, Keras hands the mask on as it was."""
    spec = networks.network(
        "stack", networks.lstm(3, 4, Source(reverse=True), "a"), networks.lstm(4, 2, 0, "b", return_sequences=False)
    )
    assert passes(spec, masked=False) == [["a", "b"]]
    assert kept(spec, masked=False) == []
    assert passes(spec, masked=True) == [["a"], ["b"]]
    assert kept(spec, masked=True) == ["a"]


def test_repeat_vector_runs_for_its_own_number_of_steps() -> None:
    plan = make_plan(networks.encoder_decoder(repeat=9))
    assert plan.passes == (Pass(None, FORWARD, FORWARD, reads=X), Pass(9))
    assert not plan.kept
    assert [plan.steps_of(index, 4) for index in (0, 1, 2)] == [4, 9, 9]


def test_an_input_of_other_steps_has_a_pass_of_its_own() -> None:
    """Inputs of equally many fixed steps share one."""
    plan = make_plan(networks.several_inputs())
    assert [(item.steps, item.length_of, set(item.reads)) for item in plan.passes] == [(6, 0, {0, 1}), (None, 2, {2})]
    spec = networks.several_inputs()
    assert [spec.offset_of(place) for place in range(5)] == [0, 3, 5, 7, 11]


def test_reshape_and_flatten_keep_what_they_read() -> None:
    assert kept(networks.flatten()) == ["lstm"]
    assert passes(networks.flatten()) == [["lstm", "dense"]]
    assert kept(networks.reshape()) == ["lstm"]
    assert [item.steps for item in make_plan(networks.reshape()).passes] == [6, 8, 2, 3]


def test_work_memory_counts_what_is_kept() -> None:
    spec = networks.bidirectional()
    image = pack_model(spec, 50)
    assert image.work_bytes == 4 * (3 + 2 * (3 + 3 * 4) + 8 + 4 * 4 + 50 * 4)
    assert (image.max_steps, image.step_bytes) == (50, 16)


def test_a_model_that_keeps_sequences_must_say_how_long_they_are() -> None:
    with pytest.raises(ValueError, match="how many steps"):
        pack_model(networks.bidirectional())
    assert pack_model(networks.with_fixed_steps(networks.bidirectional(), 9)).step_bytes == 0


@pytest.mark.parametrize("name", networks.ALL)
def test_whatever_is_read_was_there_before(name: str) -> None:
    """A node reads a value of its own step, or one that is final."""
    spec = networks.ALL[name]()
    plan = make_plan(spec)
    for index, node in enumerate(spec.nodes):
        for source in sources_of(node):
            if source.node is None:
                continue
            assert source.node < index
            earlier = plan.pass_of[source.node] < plan.pass_of[index]
            same_step = spec.gives_sequence(source.node) and not (source.reverse or source.rows or source.repeat)
            at_end = node.phase is Phase.AFTER_LAST_STEP and plan.pass_of[source.node] == plan.pass_of[index]
            assert earlier or at_end or same_step, node.name


def test_the_input_in_both_directions_at_one_step_is_no_network() -> None:
    node = networks.merge(Operation.ADD, Phase.EVERY_STEP, 3, Source(), Source(reverse=True))
    with pytest.raises(ValueError, match="both directions"):
        make_plan(networks.network("both", node))
    assert as_source(None) == Source()
