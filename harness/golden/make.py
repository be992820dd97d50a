"""Makes a golden of a model and inputs: Keras is asked here, so that nobody needs to ask it again."""

from __future__ import annotations

from datetime import date

from harness.compare.classes import check_labels
from harness.compare.tolerance import refuse_below_oracle, tolerances
from harness.golden.file import Golden, Origin
from harness.model.inputs import Inputs
from harness.model.trace import TraceLevel
from harness.model.whole import WholeInputs
from harness.oracle.cache import Oracle
from harness.oracle.load import LoadedModel
from harness.oracle.reference import reference
from harness.protocol.wire import Kernel
from harness.reading import shown_name


def make_golden(
    oracle: Oracle,
    loaded: LoadedModel,
    given: Inputs | WholeInputs,
    *,
    kernel: Kernel = Kernel.ARM_MATH,
    level: TraceLevel = TraceLevel.HC,
    atol: float | None = None,
    rtol: float | None = None,
    made_on: date | None = None,
) -> Golden:
    """A golden whose tolerances are derived as those of a validation, docs/ACCURACY.md.

    Args:
        oracle: says what is expected.
        loaded: the model, or one LSTM of it.
        given: its inputs; of one LSTM those of the whole model. The golden has what Keras then gives to that LSTM.
        kernel: what is to compute the LSTMs.
        level: which tensors are to be judged.
        atol: a tolerance in place of the derived one.
        rtol: likewise.
        made_on: the day, if it is to be in the file.

    Raises:
        InputsRefused: the inputs do not fit the model.
        OracleError: Keras and float64 are too far apart, or Keras is not of one mind.
        UsageError: a tolerance is out of its range, or below what Keras itself is off by.
    """
    answer = oracle.answer(loaded, given, gates=level >= TraceLevel.GATES)
    expected, distances = level.of(answer.expected.tensors), level.of(answer.max_abs_to_float64)
    check_labels(expected, answer.inputs.labels)
    origin = Origin(
        model_file=shown_name(loaded.path),
        model_sha256=loaded.sha256,
        weights_file=None if loaded.weights_path is None else shown_name(loaded.weights_path),
        weights_sha256=loaded.weights_sha256,
        layer=loaded.layer,
        made_on=made_on,
        notes=tuple(loaded.notes),
    )
    settled = tolerances(distances, atol, rtol)
    if atol is not None or rtol is not None:
        exact = reference(loaded.spec, answer.inputs, gates=level >= TraceLevel.GATES)
        refuse_below_oracle(settled, expected, exact)
    return Golden(
        spec=loaded.spec,
        inputs=answer.inputs,
        expected=type(answer.expected)(expected, answer.expected.oracle, answer.expected.versions),
        max_abs_to_float64=distances,
        tolerances=settled,
        kernel=kernel,
        level=level,
        origin=origin,
    )
