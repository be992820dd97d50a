"""What a person sees: one table per model, one verdict line that can be grepped, at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table

from harness.errors import ExitCode, HilError
from harness.model.inputs import Inputs
from harness.model.nodes import ActivationNode, DenseNode, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.load import LoadedModel
from harness.oracle.runtime import HARD_SIGMOID_TEXTS, HARD_SIGMOIDS
from harness.report.reasons import print_findings
from harness.report.tensor_table import print_tensors
from harness.report.timing import cost_lines, timing_fields
from harness.targets.snapshot import Described
from harness.validation import Validation

_STYLES = {"PASS": "green", "MARGINAL": "yellow", "FAIL": "bold red", "ERROR": "bold red"}


_AGAINST_TRUTH = (("keras_vs_truth", "Keras"), ("device_vs_truth", "device"))

_WIDTH = 400
"""A table's columns are never cut: a terminal folds its lines, which can still be read, and a pipe has no width."""


class _Trimmed:
    """A table without the blanks behind its lines, which a pipe would get and a terminal fold.

    Args:
        table: to be printed.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in Segment.split_lines(console.render(self._table, options)):
            while line and not line[-1].text.rstrip(" "):
                line.pop()
            if line:
                text, style, _ = line.pop()
                line.append(Segment(text.rstrip(" "), style))
            yield from line
            yield Segment.line()


class _Console(Console):
    """A console that leaves it to the program what a reader that has gone away means."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(_Trimmed(each) if isinstance(each, Table) else each for each in objects), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def make_console() -> Console:
    """Standard output: colours for a person, plain lines for a pipe."""
    return _Console(highlight=False, soft_wrap=True, width=_WIDTH)


def print_run(console: Console, run: Validation, target: Described | None = None) -> None:
    """Everything about one run but its verdict line; with what there is to say of the target, if there is one."""
    if run.loaded is not None:
        _print_model(console, run.model_path, run.loaded)
    if run.inputs is not None and run.loaded is not None:
        _print_inputs(console, run.inputs, run.loaded.spec)
    if run.expected is not None and run.max_abs_to_float64:
        versions = ", ".join(f"{name} {version}" for name, version in run.expected.versions.items())
        distance = max(run.max_abs_to_float64.values())
        known = " (said in an earlier run)" if run.oracle_from_cache else ""
        console.print(f"oracle  {escape(versions)}; within {distance:.2g} of float64{known}")
        for package in () if run.loaded is None else _hard_sigmoids(run.loaded.spec):
            console.print(f"        hard_sigmoid of {package} is {HARD_SIGMOID_TEXTS[package]}")
    if run.expected_file is not None:
        names = ", ".join(run.expected_file.values)
        console.print(f"given   {escape(run.expected_file.path.name)} is what {escape(names)} is judged by")
        for note in run.expected_file.notes:
            console.print(f"        {escape(note)}")
    if target is not None:
        _print_target(console, target)
        _print_cost(console, run, target)
    if run.on_device is not None:
        image = run.on_device.image
        console.print(
            f"device  weights {len(image.data)} bytes, CRC-32 {run.on_device.crc32_device:08x} on both sides, "
            f"came by {run.on_device.came_by.value}, state and buffers {image.work_bytes} bytes, "
            f"kernel {image.kernel.name.lower()}, trace {run.level.name.lower()}"
        )
    _print_results(console, run)
    if run.error is not None:
        print_error(console, run.error)


def _print_inputs(console: Console, inputs: Inputs, spec: ModelSpec) -> None:
    calls = "" if inputs.reset_before is None else f"{inputs.calls} calls x "
    sequences, steps, features = inputs.x.shape[-3:]
    origin = "" if inputs.seed is None else f", random from seed {inputs.seed}"
    console.print(f"inputs  {calls}{sequences} sequences x {steps} steps x {features} features{origin}")
    if inputs.seen_by(spec)[1] is not None:
        console.print(f"        {inputs.masked_steps(spec)} of {inputs.calls * sequences * steps} steps are masked")
    for note in inputs.notes:
        console.print(f"        {escape(note)}")


def _hard_sigmoids(spec: ModelSpec) -> list[str]:
    """The Keras whose hard_sigmoid is used; weights in .npz may name both."""
    used = {node.activation for node in spec.nodes} | {node.recurrent_activation for _, node in spec.lstm_nodes()}
    return [package for package, meaning in HARD_SIGMOIDS.items() if meaning in used]


def _print_model(console: Console, path: Path, loaded: LoadedModel) -> None:
    alone = "" if loaded.layer is None else f", the layer '{loaded.layer}' alone"
    console.print(escape(f"model   {path.name}: {describe(loaded.spec)}{alone}"))
    if loaded.weights_path is not None and loaded.weights_sha256 is not None:
        hashed = f"SHA-256 {loaded.weights_sha256[:16]}..."
        console.print(f"        weights of {escape(loaded.weights_path.name)}, {hashed}")
    for note in loaded.notes:
        console.print(f"        {escape(note)}")


def _print_results(console: Console, run: Validation) -> None:
    if run.results:
        print_tensors(console, run.results)
    if run.bits is not None and run.bits.first is None:
        console.print(f"bits    the same as on the host in all {run.bits.elements} elements")
    for classes in run.classes:
        rows = {row.name: row for row in classes.rows}
        told = [f"{side} {rows[name].right}" for name, side in _AGAINST_TRUTH if name in rows]
        both = rows["device_vs_keras"]
        right = f"right are {', '.join(told)} of {rows['keras_vs_truth'].samples}; " if told else ""
        console.print(f"classes {escape(classes.output)}: {right}the same on both {both.right} of {both.samples}")
    for result in run.results:
        if not result.passed and result.tolerance is not None:
            console.print(f"{escape(result.name)}: tolerance {escape(result.tolerance.reason)}")
    print_findings(console, run)


def _print_cost(console: Console, run: Validation, target: Described) -> None:
    if run.step_ticks is not None:
        console.print(f"cost    {cost_lines(timing_fields(run, target.description()))[0]}")


def print_files(console: Console, paths: Sequence[Path]) -> None:
    """Where things were written."""
    for path in paths:
        console.print(f"written {escape(str(path))}")


def _print_target(console: Console, target: Described) -> None:
    description = target.description()
    if target.kind == "board" and description["flashed"] is not None:
        number = f", serial number {description['serial_number']}" if description["serial_number"] else ""
        flashed = "flashed in this run" if description["flashed"] else "not flashed"
        console.print(escape(f"board   {description['name']} at {description['port']}{number}, {flashed}"))
    for note in target.notes():
        console.print(f"note    {escape(note)}")


def board_name_of(target: Described) -> str:
    """`nucleo_f446re 0669FF...`, or with its place in a lab or its port where it has no serial number."""
    known = target.description()
    return f"{known['name']} {known['serial_number'] or known.get('labgrid_place') or known['port']}"


class Concluded(Protocol):
    """What the table of many needs of a run: a Validation, or what is known of an earlier one."""

    @property
    def model_path(self) -> Path:
        """The file."""

    @property
    def verdict(self) -> str:
        """PASS, FAIL or ERROR."""

    @property
    def exit_code(self) -> ExitCode:
        """Of a run of this model alone."""

    @property
    def reason(self) -> str:
        """Why the verdict is what it is."""

    @property
    def sees(self) -> str:
        """Of a pass on inputs that could not have shown each mistake, how many they could; else empty."""


def print_summary(console: Console, runs: Sequence[Concluded], boards: Sequence[str] | None = None) -> None:
    """A table of many runs, and one line that counts them.

    Args:
        console: where.
        runs: in the order of the table.
        boards: on which board each was; None: all on one target.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    some_unseen = any(run.sees for run in runs)
    for title in ("model", "verdict", "exit", *(["sees"] if some_unseen else []), *(["board"] if boards else [])):
        table.add_column(title, no_wrap=True)
    table.add_column("why", no_wrap=True)
    for place, run in enumerate(runs):
        verdict = f"[{_STYLES[run.verdict]}]{run.verdict}[/]"
        beside = [run.sees] if some_unseen else []
        beside += [escape(boards[place])] if boards else []
        table.add_row(
            escape(run.model_path.name or str(run.model_path)),
            verdict,
            str(int(run.exit_code)),
            *beside,
            escape(run.reason),
        )
    console.print(table)
    counts = Counter(run.verdict for run in runs)
    console.print(", ".join(f"{counts[verdict]} {verdict}" for verdict in _STYLES if counts[verdict]))


def print_error(console: Console, error: HilError) -> None:
    """An error with who is at fault and what to do."""
    console.print(f"[bold red]error[/] ({error.fault}): {escape(f'{error.message} [{error.code}]')}")
    if error.first is not None:
        console.print(f"at first: {escape(error.first.message)}")
    if error.remedy:
        console.print(f"what to do: {escape(error.remedy)}")


def print_verdict(console: Console, run: Validation) -> None:
    """The verdict line."""
    console.print(f"[{_STYLES[run.verdict]}]{escape(run.summary)}[/]")


def describe(spec: ModelSpec) -> str:
    """`LSTM(32) + Dense(10, softmax), 5578 parameters`."""
    parts = []
    for node in spec.nodes:
        activation = node.activation.name.lower()
        if isinstance(node, LstmNode):
            parts.append(f"LSTM({node.units})")
        elif isinstance(node, DenseNode):
            parts.append(f"Dense({node.units}, {activation})")
        elif isinstance(node, ActivationNode):
            parts.append(f"Activation({activation})")
    return f"{' + '.join(parts)}, {spec.parameters} parameters"
