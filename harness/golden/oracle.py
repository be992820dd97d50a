"""A golden file in the place of the oracle: what it says is what is expected, and nobody asks Keras."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError
from harness.golden.file import Golden, read_golden
from harness.model.inputs import Inputs
from harness.model.trace import TraceLevel, trace_named
from harness.model.whole import WholeInputs
from harness.oracle.cache import Answer
from harness.oracle.load import LoadedModel
from harness.protocol.wire import Kernel


class GoldenOracle:
    """Answers as `oracle.cache.Oracle` does, from a golden file.

    Args:
        golden: the file's content.
        level: which of its tensors are judged; None: all.
    """

    def __init__(self, golden: Golden, level: TraceLevel | None = None) -> None:
        self._golden = golden
        self.level = golden.level if level is None else level

    @classmethod
    def open(cls, path: Path, *, inputs_given: bool = False, trace: str | None = None) -> GoldenOracle:
        """That of a file.

        Args:
            path: the file.
            inputs_given: somebody wants other inputs than those of the file.
            trace: name of the level that somebody wants; None: that of the file.

        Raises:
            UsageError: so it is, or the file has less than this level.
            ModelRefused, OracleError: see `read_golden`.
        """
        if inputs_given:
            raise UsageError(
                f"{path} is a golden file, which has its own inputs",
                remedy="give no inputs, and no batch, steps or seed",
            )
        golden = read_golden(path)
        level = golden.level if trace is None else trace_named(trace)
        if level > golden.level:
            raise UsageError(
                f"{path} has what --trace {golden.level.name.lower()} fetches, and --trace {trace} is wanted",
                code="golden_trace",
                remedy=f"make it with `hil golden make --trace {trace}`; "
                "`hil validate` without --trace judges all that is in it",
            )
        return cls(golden, level)

    @property
    def kernel(self) -> Kernel:
        """What computes the LSTMs, unless somebody says otherwise."""
        return self._golden.kernel

    @property
    def inputs(self) -> Inputs:
        """What the model is to be given."""
        return self._golden.inputs

    def load(self, path: Path, weights: Path | None = None, layer: str | None = None) -> LoadedModel:
        """The model of the file.

        Args:
            path: of the golden file.
            weights: none: it has its own.
            layer: none: it is of one LSTM already, or of a whole model.

        Raises:
            UsageError: one of them was given.
        """
        for option, value in (("--weights", weights), ("--layer", layer)):
            if value is not None:
                raise UsageError(
                    f"{path} is a golden file, for which {option} changes nothing", remedy=f"leave out {option}"
                )
        origin = self._golden.origin
        return LoadedModel(
            path=path,
            sha256=origin.model_sha256,
            spec=self._golden.spec,
            keras_model=None,
            layers=(),
            notes=(*notes(self._golden), *self._left_out(), *origin.notes),
        )

    def answer(self, loaded: LoadedModel, given: Inputs | WholeInputs, *, gates: bool = False) -> Answer:
        """What the file says.

        Raises:
            UsageError: these are other inputs, or the gates are wanted and it has none.
        """
        if given is not self.inputs:
            raise UsageError(f"{loaded.path} says what is expected on its own inputs only", remedy="give no others")
        if gates and self._golden.level < TraceLevel.GATES:
            raise UsageError(
                f"{loaded.path} has no gates",
                remedy="make it with `hil golden make --trace gates`; `hil validate` without --trace gates needs none",
            )
        golden = self._golden
        return Answer(golden.expected, dict(golden.max_abs_to_float64), False, self.inputs, dict(golden.tolerances))

    def _left_out(self) -> tuple[str, ...]:
        names = [name for name in self._golden.expected.tensors if not self.level.includes(name)]
        if not names:
            return ()
        all_of_it, judged = self._golden.level.name.lower(), self.level.name.lower()
        return (f"its trace is {all_of_it}, of which {judged} is judged: {len(names)} of its tensors are left out",)


def notes(golden: Golden) -> tuple[str, ...]:
    """Where the file's values come from."""
    origin = golden.origin
    layer = "" if origin.layer is None else f", the layer '{origin.layer}' alone"
    weights = "" if origin.weights_file is None else f", weights of {origin.weights_file}"
    day = "" if origin.made_on is None else f" on {origin.made_on}"
    return (
        f"golden file of {origin.model_file}{layer}{weights}, made by {origin.made_by}{day}",
        f"its SHA-256 is {golden.sha256}",
    )
