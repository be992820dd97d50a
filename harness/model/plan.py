"""In which order a network runs on the device: as passes over its steps.

A pass runs its nodes step by step. Forward-only networks are one pass, which streams: nothing grows with the number of
steps. Whoever reads a sequence from its end, or a value that is there only after the last step, runs in a later pass;
what it reads is kept for all steps, unless it is the model's input, which is sent again in the order that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.model.nodes import LstmNode, Source, obeys_mask, sources_of
from harness.model.spec import ModelSpec
from harness.protocol.wire import Phase, Tap


@dataclass(frozen=True)
class Pass:
    """What all nodes of a pass that run at every step agree in.

    Attributes:
        steps: fixed by the model; None: as many as an input of the run has.
        reverse_input: the sequences are read from their last step; None: none is read.
        reverse_mask: the mask is read from its last step; None: no node obeys one.
        length_of: which input that is, where the steps are open.
        reads: the sequences among the model's inputs that are read.
    """

    steps: int | None
    reverse_input: bool | None = None
    reverse_mask: bool | None = None
    length_of: int = 0
    reads: frozenset[int] = frozenset()

    def joined(self, other: Pass) -> Pass | None:
        """One pass for both, None where they do not agree."""
        if (self.steps, self.length_of) != (other.steps, other.length_of):
            return None
        for mine, others in ((self.reverse_input, other.reverse_input), (self.reverse_mask, other.reverse_mask)):
            if None not in (mine, others) and mine != others:
                return None
        return Pass(
            self.steps,
            other.reverse_input if self.reverse_input is None else self.reverse_input,
            other.reverse_mask if self.reverse_mask is None else self.reverse_mask,
            self.length_of,
            self.reads | other.reads,
        )


@dataclass(frozen=True)
class Plan:
    """How a network runs.

    Attributes:
        passes: in the order in which they run.
        pass_of: the pass of each node.
        kept: nodes whose outputs are kept for all steps of their pass.
    """

    passes: tuple[Pass, ...]
    pass_of: tuple[int, ...]
    kept: frozenset[int]

    def steps_of(self, index: int, run_steps: int) -> int:
        """Steps of the pass of node `index`, in a run of `run_steps` steps."""
        steps = self.passes[self.pass_of[index]].steps
        return run_steps if steps is None else steps


@dataclass(frozen=True)
class _Edge:
    """A node reads another one: in a pass at least `gap` after it, and at once in the step where `streams`."""

    source: int
    reader: int
    gap: int
    streams: bool


def make_plan(spec: ModelSpec, *, masked: bool = True) -> Plan:
    """The plan that keeps the fewest values, of two: each node as early as it can, or as late as its readers allow.

    Args:
        spec: the network.
        masked: runs may have a mask. It has a direction of its own, and so may want a pass more.
    """
    demands = [_demand(spec, index, masked=masked) for index in range(len(spec.nodes))]
    edges = list(_edges(spec))
    early = _as_early_as_possible(demands, edges)
    late = _as_late_as_possible(demands, edges, early)
    return min((_numbered(spec, demands, passes) for passes in (early, late)), key=lambda plan: _cost(spec, plan))


def node_length(spec: ModelSpec, index: int) -> tuple[int | None, int]:
    """Steps at which a node of EVERY_STEP runs; None: those of the input that the second number says."""
    for source in sources_of(spec.nodes[index]):
        if source.repeat:
            return source.repeat, 0
        if source.rows:
            assert source.node is not None
            steps = node_length(spec, source.node)[0] if spec.gives_sequence(source.node) else 1
            assert steps is not None
            return steps * spec.nodes[source.node].units // source.rows, 0
        if source.node is None and spec.inputs[source.input].is_sequence:
            steps = spec.inputs[source.input].steps
            return steps, 0 if steps is not None or spec.one_length else source.input
        if source.node is not None and source.tap is Tap.OUTPUT and spec.gives_sequence(source.node):
            return node_length(spec, source.node)
    raise ValueError(f"node {spec.nodes[index].name} runs at every step and reads no sequence")


def _demand(spec: ModelSpec, index: int, *, masked: bool) -> Pass | None:
    """What a node asks of its pass; None of a node of AFTER_LAST_STEP, which fits into any."""
    node = spec.nodes[index]
    if node.phase is Phase.AFTER_LAST_STEP:
        return None
    read = [source for source in sources_of(node) if source.node is None and spec.inputs[source.input].is_sequence]
    directions = {source.reverse for source in read}
    if len(directions) > 1:
        raise ValueError(f"node {node.name} reads the model's input in both directions")
    steps, length_of = node_length(spec, index)
    return Pass(
        steps=steps,
        reverse_input=directions.pop() if directions else None,
        reverse_mask=sources_of(node)[0].reverse if masked and obeys_mask(node) else None,
        length_of=length_of,
        reads=frozenset(source.input for source in read),
    )


def _edges(spec: ModelSpec) -> Iterator[_Edge]:
    for index, node in enumerate(spec.nodes):
        at_steps = node.phase is Phase.EVERY_STEP
        for place, source in enumerate(sources_of(node)):
            if source.node is None:
                continue
            is_initial_state = isinstance(node, LstmNode) and place > 0
            streams = at_steps and not is_initial_state and _is_step_of(spec, source)
            yield _Edge(source.node, index, int((at_steps and not streams) or is_initial_state), streams)


def _is_step_of(spec: ModelSpec, source: Source) -> bool:
    """Whether a source is a sequence, first step first: it can be read in the very step that makes it."""
    assert source.node is not None
    is_sequence = source.tap is Tap.OUTPUT and spec.gives_sequence(source.node)
    return is_sequence and not (source.reverse or source.rows or source.repeat)


_Passes = list[int]
"""The pass of each node, some numbers perhaps unused."""


def _as_early_as_possible(demands: list[Pass | None], edges: list[_Edge]) -> _Passes:
    made: list[Pass | None] = []
    placed: _Passes = []
    for index, demand in enumerate(demands):
        earliest = max((placed[edge.source] + edge.gap for edge in edges if edge.reader == index), default=0)
        place = earliest
        while len(made) <= place:
            made.append(None)
        while demand is not None:
            there = made[place]
            joined = demand if there is None else there.joined(demand)
            if joined is not None:
                made[place] = joined
                break
            place += 1
            if place == len(made):
                made.append(None)
        placed.append(place)
    return placed


def _as_late_as_possible(demands: list[Pass | None], edges: list[_Edge], early: _Passes) -> _Passes:
    placed = list(early)
    for index in reversed(range(len(placed))):
        latest = min((placed[edge.reader] - edge.gap for edge in edges if edge.source == index), default=placed[index])
        for place in range(latest, placed[index], -1):
            others = [demands[other] for other in range(len(placed)) if placed[other] == place]
            if demands[index] is None or _all_joined([*others, demands[index]]) is not None:
                placed[index] = place
                break
    return placed


def _all_joined(demands: list[Pass | None]) -> Pass | None:
    """One pass for all, None where they do not agree. A None among them agrees with all."""
    wanted = [demand for demand in demands if demand is not None]
    joined: Pass | None = wanted[0]
    for demand in wanted[1:]:
        joined = None if joined is None else joined.joined(demand)
    return joined


def _numbered(spec: ModelSpec, demands: list[Pass | None], placed: _Passes) -> Plan:
    """The plan, its passes numbered without gaps."""
    used = sorted(set(placed))
    passes = []
    for number in used:
        members = [demand for demand, place in zip(demands, placed, strict=True) if place == number]
        joined = _all_joined(members) if any(member is not None for member in members) else Pass(steps=0)
        assert joined is not None
        passes.append(joined)
    pass_of = tuple(used.index(place) for place in placed)
    return replace(Plan(tuple(passes), pass_of, frozenset()), kept=frozenset(_kept(spec, pass_of)))


def _kept(spec: ModelSpec, pass_of: tuple[int, ...]) -> Iterator[int]:
    """Nodes of which a reader wants more than the last value, and not in the same step."""
    for index, node in enumerate(spec.nodes):
        for source in sources_of(node):
            if source.node is None or source.tap is not Tap.OUTPUT or not spec.gives_sequence(source.node):
                continue
            reads_steps = bool(source.rows) or (node.phase is Phase.EVERY_STEP and not source.repeat)
            at_once = _is_step_of(spec, source) and pass_of[index] == pass_of[source.node]
            if reads_steps and not at_once:
                yield source.node


def _cost(spec: ModelSpec, plan: Plan) -> tuple[int, int]:
    """Kept floats, if every run had the same steps, and passes: the fewer the better."""
    return sum(spec.nodes[index].units * plan.steps_of(index, 1) for index in plan.kept), len(plan.passes)
