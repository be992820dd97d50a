"""Models on one session of a target: what each worker of `hil validate` does, with nothing printed or written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.lazy_workbench import LazyWorkbench
from harness.errors import HilError, UsageError
from harness.spread.events import Share
from harness.targets.choice import TargetChoice
from harness.targets.snapshot import Snapshot, snapshot_of

if TYPE_CHECKING:
    from harness.device import Device
    from harness.model.inputs import Inputs
    from harness.model.pack import ModelImage
    from harness.model.trace import TraceLevel
    from harness.model.whole import WholeInputs
    from harness.oracle.load import LoadedModel
    from harness.protocol.wire import Kernel
    from harness.transport.recording import Recording
    from harness.validation import Authority, Limits, Validation


DEFAULT_KERNEL = "arm_math"
"""What the project is named for."""


@dataclass(frozen=True)
class RandomInputs:
    """What random inputs are made from, where no file is given; None: what the model fixes, else the default."""

    batch: int | None = None
    steps: int | None = None
    seed: int | None = None

    def check(self, inputs: str | None) -> None:
        """Refuse what cannot be, before anything is started.

        Args:
            inputs: the file that was given in place of random inputs.

        Raises:
            UsageError: a number is too small, or would have no effect.
        """
        given = [
            (option, value, least)
            for option, value, least in (
                ("--batch", self.batch, 1),
                ("--steps", self.steps, 1),
                ("--seed", self.seed, 0),
            )
            if value is not None
        ]
        for option, value, least in given:
            if value < least:
                raise UsageError(f"{option} is {value}", remedy=f"give {option} a number of at least {least}")
        if given and inputs is not None:
            options = ", ".join(option for option, _, _ in given)
            raise UsageError(
                f"{options} and --inputs were both given", remedy=f"leave out {options}: the inputs come from {inputs}"
            )


@dataclass(frozen=True)
class Computation:
    """How the device computes, how much of that is looked at, and whether every bit of it.

    Attributes:
        kernel: what computes the LSTMs; None: what a golden file says, else the default.
        bit_exact: hold every bit against a process of this machine.
        trace: which tensors are fetched and judged; None: those of a golden file, else the default.
    """

    kernel: str | None = None
    bit_exact: bool = False
    trace: str | None = None
    look_closer: bool = False

    def check(self) -> None:
        """Refuse a kernel or a trace that there is not.

        Raises:
            UsageError: there is none of this name.
        """
        from harness.model.pack import kernel_named
        from harness.model.trace import trace_named

        kernel_named(self.kernel or DEFAULT_KERNEL)
        if self.trace is not None:
            trace_named(self.trace)

    @property
    def level(self) -> TraceLevel:
        """The trace of a model that says nothing of it."""
        from harness.model.trace import DEFAULT_LEVEL, trace_named

        return DEFAULT_LEVEL if self.trace is None else trace_named(self.trace)


@dataclass(frozen=True)
class ModelFiles:
    """One model and what is read with it: what a worker is given.

    Attributes:
        model: the model's file.
        weights: a file with weights in place of the model's own.
        inputs: a file of inputs; None: random ones.
        expected: a file of expected values, in place of Keras'.
    """

    model: Path
    weights: Path | None = None
    inputs: Path | None = None
    expected: Path | None = None

    @property
    def paths(self) -> dict[str, Path | None]:
        """All of them by these names."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True)
class Outcome:
    """What came of one model: what a worker gives back. Can be pickled.

    Attributes:
        run: from file to verdict.
        target: as it was then; None if it did not come so far.
        oracle_environment: where the oracle was asked; empty if nobody came so far.
    """

    run: Validation
    target: Snapshot | None
    oracle_environment: str = ""


@dataclass(frozen=True)
class Told:
    """Who is told of a model while it is validated.

    Attributes:
        share: see `Share`.
        doing: what is done behind the last share.
    """

    share: Share
    doing: Callable[[str], None]


def oracle_environment() -> str:
    """A hash over all beside model and inputs that the oracle's answers depend on here."""
    from harness.oracle.cache import environment_facts

    return hashlib.sha256(json.dumps(environment_facts(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Settings:
    """What is the same for all models of a command line. Can be pickled, and opens sessions anywhere.

    Attributes:
        choices: the target; or several boards, of which every session takes one that is free.
        limits: tolerances that were given.
        random: what inputs are made from, where no file is given.
        computation: how the device computes.
        layer: name of the one LSTM that is to be validated.
        counts_ticks: what single steps cost is counted, where the target counts; QEMU does then, and is slower.
        steps_alone: single steps are run on their own whatever the verdict: a report shows their errors.
    """

    choices: tuple[TargetChoice, ...]
    limits: Limits
    random: RandomInputs = RandomInputs()
    computation: Computation = Computation()
    layer: str | None = None
    counts_ticks: bool = False
    steps_alone: bool = False

    @property
    def choice(self) -> TargetChoice:
        """The target, or the first of several boards."""
        return self.choices[0]

    @contextmanager
    def session(
        self, recording: Recording | None = None, doing: Callable[[str], None] = lambda _: None
    ) -> Iterator[Callable[[ModelFiles, Share], Outcome]]:
        """A target that lives as long as the context, and what validates a model on it.

        Args:
            recording: every line to the target goes in here.
            doing: told what is done of a model behind its last share, if that takes a while.
        """
        target = LazyWorkbench(self.choices, recording, counts_instructions=self.counts_ticks)
        host = LazyWorkbench((TargetChoice("native"),))
        try:
            yield lambda files, share: self._outcome(files, Told(share, doing), target, host)
        finally:
            target.close()
            host.close()

    def _outcome(self, files: ModelFiles, told: Told, target: LazyWorkbench, host: LazyWorkbench) -> Outcome:
        from harness.golden.file import SUFFIX

        if files.model.suffix == SUFFIX:
            return self._golden_outcome(files, told, target, host)
        from harness.build.paths import work_dir
        from harness.model.pack import kernel_named
        from harness.oracle.cache import Oracle
        from harness.validation import make_inputs

        def inputs_of(loaded: LoadedModel) -> Inputs | WholeInputs:
            return make_inputs(loaded, files.inputs, self.random.batch, self.random.steps, self.random.seed)

        kernel = kernel_named(self.computation.kernel or DEFAULT_KERNEL)
        oracle = Oracle(work_dir() / "oracle")
        return self._validated(files, told, target, host, oracle, inputs_of, kernel, self.computation.level)

    def _golden_outcome(self, files: ModelFiles, told: Told, target: LazyWorkbench, host: LazyWorkbench) -> Outcome:
        from harness.golden.oracle import GoldenOracle
        from harness.model.pack import kernel_named

        inputs_given = files.inputs is not None or self.random != RandomInputs()
        try:
            oracle = GoldenOracle.open(files.model, inputs_given=inputs_given, trace=self.computation.trace)
        except HilError as error:
            return self.without_result(files.model, error)
        kernel = oracle.kernel if self.computation.kernel is None else kernel_named(self.computation.kernel)
        return self._validated(files, told, target, host, oracle, lambda _: oracle.inputs, kernel, oracle.level)

    def _validated(
        self,
        files: ModelFiles,
        told: Told,
        target: LazyWorkbench,
        host: LazyWorkbench,
        oracle: Authority,
        inputs_of: Callable[[LoadedModel], Inputs | WholeInputs],
        kernel: Kernel,
        level: TraceLevel,
    ) -> Outcome:
        from harness.validation import validate

        if target.recording is not None:
            target.recording.note(f"model {files.model.name}")

        def device_for(image: ModelImage) -> Device:
            if target.target is None:
                told.share(0.0)  # from here on there is something to close
            return target.device_for(image)

        run = validate(
            files.model,
            inputs_of,
            device_for,
            self.limits,
            oracle,
            lambda done, total: told.share(done / total),
            layer=self.layer,
            weights=files.weights,
            kernel=kernel,
            host=host.device_for if self.computation.bit_exact else None,
            level=level,
            look_closer=self.computation.look_closer,
            steps_alone=self.steps_alone,
            steps_progress=lambda done, total: told.doing(f"{done} of {total} steps on their own"),
            expected_path=files.expected,
            counts_ticks=lambda hello: self.counts_ticks and target.tick_unit(hello) is not None,
        )
        if run.error is not None:
            run.error = target.failed(run.error)
        elif run.bisect_error is not None:
            run.bisect_error = target.failed(run.bisect_error)
        run.earlier_fault = target.take_earlier_fault()
        if run.loaded is not None:  # Keras' own objects have no use after the run, and cannot be pickled
            run.loaded = replace(run.loaded, keras_model=None, layers=())
        return Outcome(run, None if target.target is None else snapshot_of(target.target), oracle_environment())

    def without_result(self, model: Path, error: HilError) -> Outcome:
        """What is reported of a model whose run gave nothing back."""
        from harness.validation import Validation

        return Outcome(Validation(model, self.layer, self.computation.level, error=error), None)
