"""The plugin's fixtures: the target at hand as a device, and what validates a model on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.pytest_plugin.baselines import fail_if_worse, hold_against_baseline
from harness.pytest_plugin.benches import Benches
from harness.pytest_plugin.markers import missing_feature
from harness.pytest_plugin.options import asked_for
from harness.pytest_plugin.reports import counts_ticks, keep_for_report, properties_of, wants_reports, write_report_of

if TYPE_CHECKING:
    from harness.device import Device
    from harness.model.inputs import Inputs
    from harness.model.whole import WholeInputs
    from harness.oracle.load import LoadedModel
    from harness.validation import Validation
    from harness.workbench import Workbench


@pytest.fixture(scope="session")
def hil_workbenches(request: pytest.FixtureRequest) -> Iterator[Benches]:
    """A workbench for each kind of target, kept for the whole session."""
    benches = Benches(request.config)
    yield benches
    benches.close()


@pytest.fixture
def hil_workbench(hil_kind: str, hil_workbenches: Benches, request: pytest.FixtureRequest) -> Workbench:
    """The workbench of the target at hand. A target that was asked for and is absent is an error, else a skip."""
    from harness.errors import BuildFailed, TargetUnavailable

    try:
        boards = request.node.get_closest_marker("board")
        bench = hil_workbenches(hil_kind, () if boards is None else boards.args)
        request.node.user_properties += properties_of(bench.target)
        _skip_what_it_cannot(request.node, bench)
        return bench
    except BuildFailed:
        raise  # the tools are there and the firmware is broken: a skip would hide that
    except TargetUnavailable as error:
        if hil_kind in asked_for(request.config):
            raise
        pytest.skip(f"{hil_kind}: {error.message}; {error.remedy}")


@pytest.fixture
def device(hil_workbench: Workbench) -> Iterator[Device]:
    """A greeted device. One that fails is started anew for the next test.

    `validate` of a model too large for the RAM of an emulator starts it anew too, and ends this device.
    """
    from harness.errors import DeviceFault, HilError

    device = hil_workbench.device()
    yield device
    try:
        device.counters()
    except HilError as error:
        reported = hil_workbench.failed(error)
        if isinstance(reported, DeviceFault):  # behind the last thing that the test asked for
            raise reported from error


@pytest.fixture
def validate(hil_kind: str, hil_workbench: Workbench, request: pytest.FixtureRequest) -> Callable[..., Validation]:
    """Validate a model on the target at hand.

    `validate(model, inputs=None, layer=None, atol=None, rtol=None, batch=None, steps=None, seed=None, kernel=None,
    weights=None, trace=None, expected=None)`: model is the path of a file (.keras, .h5, .npz, .golden), inputs an .npz
    path, arrays by the names that such a file has them by, or a `harness.model.inputs.Inputs`,
    layer the name of an LSTM to be validated alone, kernel one of arm_math,
    packed, packed_fma, weights a file (.weights.h5) with weights in place of the model's own, trace one of none, last,
    h, hc, gates (None: hc, or what a golden file has), expected an .npz of values in place of Keras'. The result is
    true when it passed: `assert validate("model.keras")` prints the verdict line when it did not. An ERROR (no verdict
    at all) is raised as the `HilError` that it is.
    """

    def run(
        model: str | Path,
        inputs: str | Path | Mapping[str, Any] | Inputs | WholeInputs | None = None,
        *,
        layer: str | None = None,
        atol: float | None = None,
        rtol: float | None = None,
        batch: int | None = None,
        steps: int | None = None,
        seed: int | None = None,
        kernel: str | None = None,
        weights: str | Path | None = None,
        trace: str | None = None,
        expected: str | Path | None = None,
    ) -> Validation:
        from harness.build.paths import work_dir
        from harness.errors import UsageError
        from harness.golden.file import SUFFIX
        from harness.golden.oracle import GoldenOracle
        from harness.model.inputs import Inputs
        from harness.model.pack import kernel_named
        from harness.model.trace import DEFAULT_LEVEL, trace_named
        from harness.model.whole import WholeInputs
        from harness.oracle.cache import Oracle
        from harness.protocol.wire import Kernel
        from harness.validation import Limits, inputs_of_arrays, make_inputs, validate

        __tracebackhide__ = True  # the test's own line is where it failed

        def inputs_of(loaded: LoadedModel) -> Inputs | WholeInputs:
            if isinstance(oracle, GoldenOracle):
                return oracle.inputs
            if inputs is None or isinstance(inputs, str | Path):
                return make_inputs(loaded, None if inputs is None else Path(inputs), batch, steps, seed)
            if isinstance(inputs, Mapping):
                return inputs_of_arrays(loaded, inputs)
            if not isinstance(inputs, Inputs | WholeInputs):
                raise UsageError(
                    f"inputs is of the type {type(inputs).__name__}",
                    remedy='give the path of an .npz file, or its arrays by their names: {"x": array}',
                )
            return inputs

        path = Path(model)
        oracle: Oracle | GoldenOracle
        if path.suffix == SUFFIX:
            inputs_given = any(each is not None for each in (inputs, batch, steps, seed))
            oracle = GoldenOracle.open(path, inputs_given=inputs_given, trace=trace)
            default_kernel, level = oracle.kernel, oracle.level
        else:
            oracle, default_kernel = Oracle(work_dir() / "oracle"), Kernel.ARM_MATH
            level = DEFAULT_LEVEL if trace is None else trace_named(trace)
        result = validate(
            path,
            inputs_of,
            hil_workbench.device_for,
            Limits(atol, rtol),
            oracle,
            layer=layer,
            kernel=default_kernel if kernel is None else kernel_named(kernel),
            weights=None if weights is None else Path(weights),
            level=level,
            steps_alone=wants_reports(request.config),
            expected_path=None if expected is None else Path(expected),
            counts_ticks=lambda hello: counts_ticks(request.config, hil_workbench.target, hello),
        )
        options = {"layer": layer, "weights": weights, "atol": atol, "rtol": rtol, "batch": batch, "steps": steps}
        options |= {"seed": seed or None, "kernel": kernel, "trace": trace, "expected": expected}
        hold_against_baseline(request, hil_kind, result)
        keep_for_report(request, hil_workbench.target, result, inputs, options)
        write_report_of(request, hil_kind, hil_workbench.target, result)
        if result.error is not None:
            raise hil_workbench.failed(result.error) from None
        if result.bisect_error is not None:
            hil_workbench.failed(result.bisect_error)
        fail_if_worse(result)
        return result

    return run


def _skip_what_it_cannot(node: pytest.Item, bench: Workbench) -> None:
    """Leave out a test that is for another board, or needs what this device does not have."""
    boards, needs = node.get_closest_marker("board"), node.get_closest_marker("needs")
    name = bench.target.description().get("name")
    if boards is not None and name not in boards.args:
        pytest.skip(f"is for {' or '.join(boards.args)}, this board is {name}")
    missing = "" if needs is None else missing_feature(needs.args, bench.device().info)
    if missing:
        pytest.skip(missing)
