"""The plugin as somebody else's project sees it: pytest inside pytest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import seeds
from harness.diagnosis.hypotheses import hypotheses
from harness.errors import UsageError
from harness.model.inputs import random_inputs
from harness.oracle.load import load_model
from harness.pytest_plugin.baselines import check_baseline
from harness.targets.boards import board_names
from keras_models import save_spec

DEVICE_TEST = """
    def test_echo(device):
        from harness.protocol.messages import Echo
        assert device.request(Echo(data=b"hi")).data == b"hi"
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def test_a_device_on_every_target(project: pytest.Pytester) -> None:
    project.makepyfile(DEVICE_TEST)
    result = project.runpytest_subprocess("-v", "--strict-markers")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_echo[[]native[]]*PASSED*", "*test_echo[[]qemu[]]*PASSED*"])


@pytest.mark.parametrize("option", ["--native", "--hil-native"])
def test_an_option_chooses_the_target(project: pytest.Pytester, option: str) -> None:
    project.makepyfile(DEVICE_TEST)
    result = project.runpytest_subprocess("-v", option)
    result.assert_outcomes(passed=1)


def without_tools(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty PATH: neither compiler nor emulator."""
    empty = project.mkdir("empty")
    monkeypatch.setenv("PATH", str(empty))


def test_an_absent_target_is_a_skip_with_its_reason(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    project.makepyfile(DEVICE_TEST)
    without_tools(project, monkeypatch)
    result = project.runpytest_subprocess("-rs")
    assert result.parseoutcomes().get("skipped", 0) >= 1
    assert "failed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*qemu*qemu-system-arm*"])


def test_an_absent_target_that_was_asked_for_is_an_error(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile(DEVICE_TEST)
    without_tools(project, monkeypatch)
    result = project.runpytest_subprocess("--qemu")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TargetUnavailable*qemu-system-arm*"])


def test_short_names_yield_to_another_plugin(project: pytest.Pytester) -> None:
    project.makepyfile(
        other_plugin="""
        def pytest_addoption(parser):
            parser.addoption("--native", action="store_true", dest="their_native")
        """,
        test_it=DEVICE_TEST,
    )
    result = project.runpytest_subprocess("-v", "-p", "other_plugin", "--hil-native")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*--native*belong* to another plugin*"])


@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_target_that_another_plugin_swallowed_is_an_error(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    project.makepyfile(
        other_plugin="""
        def pytest_addoption(parser):
            parser.addoption("--board", dest="their_board")
        """,
        test_it=DEVICE_TEST,
    )
    given = ("-p", "other_plugin", *workers, "--board=nucleo_f446re")
    result = project.runpytest_subprocess(*given)
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    result.stdout.no_fnmatch_line("*passed*")
    result.stdout.fnmatch_lines(["*--board went to another plugin*--hil-board*"])
    project.runpytest_subprocess(*given, "--hil-native").assert_outcomes(passed=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made before `pytester`, which forgets what a test imports: TensorFlow does not survive a second import."""
    return save_spec(seeds.random_lstm(2, 3), tmp_path_factory.mktemp("model"))


def test_validate_is_true_for_a_pass_and_says_why_not(model: Path, project: pytest.Pytester) -> None:
    project.makepyfile(
        f"""
        MODEL = {str(model)!r}

        def test_right(validate):
            assert validate(MODEL, batch=2, steps=3)

        def test_too_strict(validate):
            assert validate(MODEL, batch=2, steps=3, atol=0, rtol=0)
        """
    )
    result = project.runpytest_subprocess("--native")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*FAIL seed.keras: lstm.h beyond tolerance at seq*"])


def test_a_failure_says_where_why_and_how_to_have_it_again(
    model: Path, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # pytest's summary cuts what does not fit a line
    project.makepyfile(
        f"""
        def test_too_strict(validate):
            assert validate({str(model)!r}, batch=2, steps=3, atol=0, rtol=0)
        """
    )
    result = project.runpytest_subprocess("--native", "--junit-xml=junit.xml", "-rf")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- hil -*",
            "seed.keras: seq * step * unit * of lstm.*: expected *, got *, * times what is allowed",
            "first beyond tolerance is seq *",
            f"again: hil validate {model} --native --atol 0 --rtol 0 --batch 2 --steps 3*",
            "FAILED *test_too_strict* - seed.keras: seq * times what is allowed",
        ]
    )
    properties = {each.get("name"): each.get("value") for each in ElementTree.parse("junit.xml").iter("property")}
    assert properties["hil_target"] == "native"
    assert properties["hil_verdict"] == "FAIL"
    assert len(str(properties["hil_build_id"])) == 40
    assert str(properties["hil_lstm.h"]).startswith("max_abs=")
    assert str(properties["hil_where"]).startswith("seq=")
    assert "the values are those of the model" in str(properties["hil_why"])
    assert "--native" in str(properties["hil_command"])


def test_arrays_of_a_test_are_inputs_and_a_bare_array_is_refused(model: Path, project: pytest.Pytester) -> None:
    project.makepyfile(
        f"""
        import numpy as np
        import pytest
        from harness.errors import HilError

        X = np.ones((1, 4, {load_model(model).spec.input_size}))

        @pytest.mark.parametrize("layer", [None, "lstm"])
        def test_arrays(validate, layer):
            run = validate({str(model)!r}, inputs={{"x": X}}, layer=layer)
            assert run
            assert run.inputs.x.shape == X.shape

        @pytest.mark.parametrize(("inputs", "code"), [(X, "usage_error"), ({{"x": X[0]}}, "inputs_shape")])
        def test_refused(validate, inputs, code):
            with pytest.raises(HilError) as error:
                validate({str(model)!r}, inputs=inputs)
            assert error.value.code == code
        """
    )
    project.runpytest_subprocess("--native").assert_outcomes(passed=4)


def test_a_failure_says_what_mistake_the_given_values_have(model: Path, project: pytest.Pytester) -> None:
    spec = load_model(model).spec
    mistakes = hypotheses(spec, random_inputs(spec))
    wrong = next(each for each in mistakes if each.name == "swap_gates_f_c").tensors()
    np.savez(project.path / "y.npz", output=wrong["output"])
    project.makepyfile(f"def test_given(validate): assert validate({str(model)!r}, expected='y.npz')")
    result = project.runpytest_subprocess("--native", "--junit-xml=junit.xml")
    result.assert_outcomes(failed=1)
    properties = {each.get("name"): each.get("value") for each in ElementTree.parse("junit.xml").iter("property")}
    assert "hil_where" not in properties, "the device is right"
    assert str(properties["hil_why_expected"]).startswith("swap_gates_f_c residual=")
    result.stdout.fnmatch_lines(["the expected values: matches within * if gates f and c are swapped"])


FAULTING = """
    import harness.workbench
    from harness.fake import FakeDevice, FakeTransport, Faults
    from harness.protocol.messages import Log
    from harness.targets.native import NativeTarget

    class Faulting(NativeTarget):
        fake = FakeDevice(faults=Faults(fault_at=3), to_log=[Log(level=2, event=4, number=1, value=7)])

        def unavailable(self): return None
        def start(self): return FakeTransport(self.fake)
        def post_mortem(self): return None

    harness.workbench.make_target = lambda choice, say, **_: Faulting("none", "none")
"""


def test_a_fault_of_the_firmware_passes_no_test_by(project: pytest.Pytester) -> None:
    """It comes behind the last thing that a test asks for. What the device logs is shown with a failed test."""
    project.makeconftest(FAULTING)
    project.makepyfile(
        """
        from harness.protocol.messages import Echo

        def test_echo(device):
            assert device.request(Echo(data=b"hi")).data == b"ho"
        """
    )
    result = project.runpytest_subprocess("--native")
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*DeviceFault*division by zero*"])
    result.stdout.fnmatch_lines(["WARNING *hil.device*the first frames of this session were dropped: 7 *"])


def test_markers_say_what_a_test_is_for(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.board("nucleo_f446re")
        def test_of_a_board(device): pass

        @pytest.mark.needs("cycles")
        def test_of_cycles(device): pass

        @pytest.mark.needs("gates", "store")
        def test_of_what_is_there(device): pass

        @pytest.mark.soak
        def test_long(device): pass

        def test_without_target(): pass
        """
    )
    result = project.runpytest_subprocess("--native", "-rs", "--strict-markers")
    result.assert_outcomes(passed=2, skipped=3)
    result.stdout.fnmatch_lines_random(
        ["*needs --board nucleo_f446re*", "*counts cycles: emulators count instructions*", "*run it with -m soak*"]
    )
    project.runpytest_subprocess("--native", "-m", "soak").assert_outcomes(passed=1, deselected=4)
    project.runpytest_subprocess("--native", "-m", "not hil").assert_outcomes(passed=1, deselected=4)


@pytest.mark.parametrize(
    ("marker", "known"),
    [
        ("needs", "gates, cycles, store"),
        ("hil_targets", "native, qemu, renode, board"),
        ("board", ", ".join(board_names())),
    ],
)
def test_an_unknown_name_in_a_marker_is_an_error(project: pytest.Pytester, marker: str, known: str) -> None:
    project.makepyfile(f"import pytest\n@pytest.mark.{marker}('wings')\ndef test_it(device): pass\n")
    result = project.runpytest_subprocess("--native")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*::test_it: {marker}('wings') is unknown; known are {known}"])
    result.stdout.no_fnmatch_line("*pluggy/*")


def test_collection_imports_nothing_heavy(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import sys

        def test_light():
            assert "tensorflow" not in sys.modules
            assert "numpy" not in sys.modules
        """
    )
    project.runpytest_subprocess("--native").assert_outcomes(passed=1)


def test_reports_of_all_validations_and_an_index(project: pytest.Pytester) -> None:
    path = save_spec(seeds.random_lstm(2, 3), project.path)
    project.makepyfile(
        f"""
        def test_good(validate):
            assert validate({str(path)!r}, batch=2, steps=3)
            assert validate({str(path)!r}, batch=1, steps=2)

        def test_bad(validate):
            assert validate({str(path)!r}, batch=2, steps=3, atol=0, rtol=0)
        """
    )
    reports = project.path / "reports"
    (reports / "of-an-earlier-session").mkdir(parents=True)
    result = project.runpytest_subprocess("--native", "--hil-report=reports")
    result.assert_outcomes(passed=1, failed=1)
    index = (reports / "index.html").read_text()
    assert "2 PASS, 1 FAIL" in index
    for name in ("test_good-native", "test_good-native-2", "test_bad-native"):
        (folder,) = reports.glob(f"*{name}")
        assert f"{folder.name}/report.html" in index
        assert (folder / "report.html").exists()
    assert (reports / "junit.xml").read_text().count("<testsuite ") == 3


def test_a_validation_that_is_worse_than_its_baseline_fails_its_test(project: pytest.Pytester) -> None:
    golden = Path(__file__).parent / "golden" / "v1.golden"
    project.makepyfile(test_it=f"def test_it(validate):\n    for _ in range(2): assert validate({str(golden)!r})")
    options = ["--native", "--hil-baseline=b.json"]
    project.runpytest_subprocess(*options, "--hil-update-baseline").assert_outcomes(passed=1)
    path = project.path / "b.json"
    content = json.loads(path.read_text())
    assert [entry["model"] for entry in content["entries"]] == [
        "test_it.py::test_it[native] 2 v1.golden",
        "test_it.py::test_it[native] v1.golden",
    ]
    content["entries"][0]["figures"]["work_bytes"] -= 100
    path.write_text(json.dumps(content))
    result = project.runpytest_subprocess(*options, "--hil-report=reports")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["worse than in b.json:", "test_it.py::*native* 2 v1.golden by packed*: work_bytes *"])
    # The report is of the same verdict as the test, and was not written before it was known.
    first, second = (json.loads(path.read_text()) for path in sorted(project.path.glob("reports/*/report.json")))
    assert [first["verdict"], first["baseline"]["verdict"]] == ["PASS", "PASS"]
    assert [second["verdict"], second["baseline"]["verdict"], second["exit_code"]] == ["FAIL", "FAIL", 1]
    assert [each["figure"] for each in second["baseline"]["worse"]] == ["work_bytes"]
    assert 'failures="1"' in (project.path / "reports" / "junit.xml").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hil_baseline": None, "hil_update_baseline": True}, "--hil-baseline=FILE"),
        ({"hil_baseline": "none.json", "hil_update_baseline": False}, "there is no file .*none.json"),
    ],
)
def test_a_baseline_that_is_none_is_refused_before_a_test_runs(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    config = SimpleNamespace(getoption=options.__getitem__, invocation_params=SimpleNamespace(dir=tmp_path))
    with pytest.raises(UsageError) as refused:
        check_baseline(config)  # type: ignore[arg-type]
    assert re.search(said, str(refused.value))
