"""`hil validate` as a person or a script calls it: output, files, exit codes. On native, which is fast."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.app import run
from harness.model.memory import aligned
from harness.protocol.image import CRC_BYTES, ImageHeader, NodeRecord, SourceRecord

pytestmark = pytest.mark.usefixtures("native_is_there")


@pytest.fixture(scope="module")
def native_is_there() -> None:
    from harness.bootstrap.system import missing_parts

    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")


def record_at(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    record: dict[str, Any] = json.loads(path.read_text(), parse_constant=refuse)
    return record


def test_a_pass_says_so_and_leaves_its_record(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_path, save_path = tmp_path / "new" / "r.json", tmp_path / "out.npz"
    arguments = ["validate", str(model), "--native", "--batch", "3", "--steps", "7", "--seed", "4"]
    assert run([*arguments, "--json", str(json_path), "--save", str(save_path)]) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[0] == "target  native"
    assert output.splitlines()[-1].startswith("PASS seed.keras: ")
    assert "lstm.c" in output

    record = record_at(json_path)
    assert (record["verdict"], record["exit_code"], record["error"]) == ("PASS", 0, None)
    assert record["schema"] == "lstm-hil/validation/1"
    assert record["target"]["kind"] == "native"
    assert len(record["firmware"]["build_id"]) == 40
    assert record["kernel"] == "arm_math"
    assert record["weights"]["crc32_host"] == record["weights"]["crc32_device"]
    assert record["weights"]["came_by"] == "link"
    assert record["inputs"]["seed"] == 4
    assert record["oracle"]["name"] == "keras"
    assert 0 < record["oracle"]["max_abs_to_float64"] < 1e-6
    assert record["model"]["parameters_total"] == 4 * ((3 + 5) * 5 + 5)
    (layer,) = record["model"]["layers"]
    assert layer["parameters"] == {"i": 45, "f": 45, "c": 45, "o": 45, "total": 180}
    names = [tensor["name"] for tensor in record["tensors"]]
    assert names == ["lstm.h", "lstm.c", "lstm.h_last", "lstm.c_last", "output"]
    for tensor in record["tensors"]:
        assert tensor["pass"] is True
        assert set(tensor["worst"]) == {"sequence", "step", "unit", "expected", "got"}
        tolerance = record["tolerance"][tensor["name"]]
        assert tolerance["rtol"] == 2e-6
        assert tolerance["atol"] >= 5e-7
        assert "float64" in tolerance["reason"]
    assert record["timing"]["tick_unit"] is None, "nothing measured, nothing reported"
    assert record["classification"] == []
    memory, weights = record["memory"], record["weights"]
    assert memory["arena_used_bytes"] == aligned(weights["image_bytes"]) + aligned(weights["work_bytes"])
    assert memory["arena_free_bytes"] == memory["arena_bytes"] - memory["arena_used_bytes"]
    assert weights["weight_bytes"] == 4 * record["model"]["parameters_total"] < weights["image_bytes"]
    assert record["run"]["started"] <= record["run"]["ended"]
    assert record["link"]["host"]["bytes_sent"] > record["weights"]["image_bytes"]
    assert record["link"]["host"]["bad_frames"] == record["link"]["device"]["crc_errors"] == 0
    assert record["summary"].startswith("PASS seed.keras")

    with np.load(save_path) as saved:
        assert saved["lstm.h"].shape == (3, 7, 5)
        assert saved["lstm.c_last"].shape == (3, 5)
        assert saved["output"].dtype == np.float32


def test_out_of_tolerance_is_1_and_names_the_element(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    json_path = tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--atol", "0", "--rtol", "0", "--json", str(json_path)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FAIL seed.keras: lstm.h beyond tolerance at seq ")
    assert last.endswith("(exit 1)")
    record = record_at(json_path)
    assert record["verdict"] == "FAIL"
    assert not all(tensor["pass"] for tensor in record["tensors"])
    assert record["tolerance"]["lstm.h"]["reason"] == "atol was given; rtol was given"


def test_inputs_come_from_a_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(1).normal(size=(2, 5, 3))
    path, saved = tmp_path / "x.npz", tmp_path / "out.npz"
    np.savez(path, x=x)
    assert run(["validate", str(model), "--native", "--inputs", str(path), "--save", str(saved)]) == 0
    assert "float64" in capsys.readouterr().out
    with np.load(saved) as arrays:
        assert arrays["lstm.h"].shape == (2, 5, 5)


def test_many_models_share_a_session_and_the_worst_exit_code_counts(
    model: Path, gru_model: Path, ill_conditioned_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "records"
    models = [str(gru_model), str(ill_conditioned_model), str(model)]
    assert run(["validate", *models, "--native", "--json", str(folder), "--steps", "40"]) == 8
    output = capsys.readouterr().out
    assert output.splitlines()[-1] == "1 PASS, 2 ERROR"
    assert {path.name for path in folder.iterdir()} == {"gru.json", "growing.json", "seed.json"}
    assert record_at(folder / "gru.json")["exit_code"] == 2
    assert record_at(folder / "growing.json")["error"]["code"] == "ill_conditioned"
    assert record_at(folder / "seed.json")["verdict"] == "PASS"


def test_an_ill_conditioned_model_can_still_be_judged_by_given_tolerances(
    ill_conditioned_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["validate", str(ill_conditioned_model), "--native", "--steps", "40"]
    assert run(arguments) == 8
    assert run([*arguments, "--atol", "1e30", "--rtol", "1e30"]) == 0


def test_what_the_device_cannot_run_is_refused_by_name(gru_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(gru_model), "--native"]) == 2
    output = capsys.readouterr().out
    assert "GRU" in output
    assert "memory" in output


def test_a_model_that_does_not_fit_is_refused_with_the_numbers(
    large_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    assert run(["validate", str(large_model), "--native", "--json", str(path), "--batch", "1", "--steps", "2"]) == 2
    output = capsys.readouterr().out
    tables_bytes = ImageHeader.size_bytes() + NodeRecord.size_bytes() + SourceRecord.size_bytes()
    image_bytes = 129000 * 4 + tables_bytes + CRC_BYTES
    for number in (image_bytes, 118784, 448 * 1024):
        assert str(number) in output
    assert record_at(path)["error"]["code"] == "model_too_large"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--qemu", "--native"], "both given"),
        (["--native", "--atol", "-1"], "--atol"),
        (["--native", "--rtol", "nan"], "--rtol"),
        (["--native", "--batch", "0"], "--batch"),
        (["--native", "--kernel", "fast"], "arm_math, packed, packed_fma"),
        (["--native", "--trace", "all"], "none, last, h, hc"),
        (["--renode", "--native"], "both given"),
        (["--board", "nucleo"], "nucleo_f446re"),
        (["--native", "--board", "nucleo_f446re"], "both given"),
        (["--qemu", "--port", "/dev/ttyACM0"], "both given"),
        (["--no-flash"], "is for boards"),
        (["--board", "nucleo_f446re", "--flash", "often"], "if-changed"),
        (["--port", "/dev/ttyACM0", "--flash", "always", "--no-flash"], "both given"),
        (["--port", ""], "empty"),
        (["--native", "--inputs", "not_there.npz"], "not_there.npz"),
        (["--native", "--inputs", "x.npz", "--batch", "8"], "--batch and --inputs were both given"),
        (["--native", "--inputs", "x.npz", "--steps", "3", "--seed", "0"], "--steps, --seed and --inputs"),
    ],
)
def test_usage_errors_are_2_and_say_which_option(
    model: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(model), *options]) == 2
    captured = capsys.readouterr()
    assert said in captured.out + captured.err
    assert "Traceback" not in captured.out + captured.err


def test_files_that_are_no_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (
        ("a.keras", b""),
        ("b.keras", b"PK\x03\x04 broken"),
        ("c.txt", b"hello"),
        ("d.h5", b"\x89HDF"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert run(["validate", str(path), "--native"]) == 2
    assert run(["validate", str(tmp_path / "absent.keras"), "--native"]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err


def test_one_file_for_many_models_is_refused(model: Path, gru_model: Path, tmp_path: Path) -> None:
    assert run(["validate", str(model), str(gru_model), "--native", "--json", str(tmp_path / "r.json")]) == 2
    assert run(["validate", str(model), str(model), "--native", "--json", str(tmp_path)]) == 2


def test_places_that_cannot_be_written_are_named_before_anything_runs(model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run(["validate", str(model), "--native", "--save", str(blocked / "out.npz")]) == 2


def test_nan_inputs_are_nan_on_both_sides(model: Path, tmp_path: Path) -> None:
    x = np.zeros((2, 4, 3), np.float32)
    x[1, 2, 0] = math.nan
    np.savez(tmp_path / "x.npz", x=x)
    path = tmp_path / "r.json"
    arguments = ["validate", str(model), "--native", "--inputs", str(tmp_path / "x.npz"), "--json", str(path)]
    assert run(arguments) == 0
    tensor = record_at(path)["tensors"][0]
    assert tensor["nan_expected"] == tensor["nan_got"] == 10


@pytest.mark.parametrize(("target", "came_by"), [("--native", "link to flash"), ("--qemu", "preloaded in flash")])
def test_models_that_ram_holds_and_that_it_does_not(
    model: Path, flash_model: Path, target: str, came_by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.bootstrap.system import missing_parts

    if target == "--qemu" and missing_parts(("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm")):
        pytest.skip("qemu is not installed")
    models = [str(model), str(flash_model)]
    assert run(["validate", *models, target, "--batch", "2", "--steps", "28", "--json", f"{tmp_path}/"]) == 0
    weights = [record_at(tmp_path / f"{path.stem}.json")["weights"] for path in (model, flash_model)]
    assert [each["came_by"] for each in weights] == ["link", came_by]
    assert all(each["crc32_host"] == each["crc32_device"] for each in weights)
    assert f"came by {came_by}" in capsys.readouterr().out


@pytest.mark.parametrize("kernel", ["packed", "packed_fma"])
def test_the_kernel_is_chosen_and_named(
    model: Path, tmp_path: Path, kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    json_path = tmp_path / "r.json"
    arguments = ["validate", str(model), "--native", "--kernel", kernel, "--bit-exact", "--json", str(json_path)]
    assert run(arguments) == 0
    output = capsys.readouterr().out
    assert f"kernel {kernel}" in output
    assert "--bit-exact on native compares two runs of one program" in output
    record = record_at(json_path)
    assert record["kernel"] == kernel
    assert record["bit_exact"]["different"] == 0


def test_one_lstm_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.oracle.runtime import import_keras
    from keras_models import save_model

    keras = import_keras()
    layers = [
        keras.Input((6,), dtype="int32", name="tokens"),
        keras.layers.Embedding(9, 4, mask_zero=True, name="embedding"),
        keras.layers.LSTM(3, name="reader"),
    ]
    path = save_model(keras.Sequential(layers, name="text"), tmp_path)
    assert run(["validate", str(path), "--native"]) == 2
    assert "--layer reader" in capsys.readouterr().out
    assert run(["validate", str(path), "--native", "--layer", "writer"]) == 2
    assert "Its LSTMs: reader" in capsys.readouterr().out

    tokens = np.random.default_rng(1).integers(0, 9, (2, 6))
    np.savez(tmp_path / "x.npz", tokens=tokens)
    json_path, save_path = tmp_path / "r.json", tmp_path / "out.npz"
    arguments = ["validate", str(path), "--native", "--layer", "reader", "--inputs", str(tmp_path / "x.npz")]
    assert run([*arguments, "--json", str(json_path), "--save", str(save_path)]) == 0
    output = capsys.readouterr().out
    assert "the layer 'reader' alone" in output
    assert "x is what Keras gives layer 'reader' for 'tokens' int32[2, 6]" in output
    assert output.splitlines()[-1].startswith("PASS text.keras, layer reader: 5 tensors")
    record = record_at(json_path)
    assert record["model"]["layer"] == "reader"
    assert record["inputs"]["of_model"] == {"tokens": [2, 6]}
    assert record["inputs"]["shape"] == [2, 6, 4]
    assert record["inputs"]["masked_steps"] == int((tokens == 0).sum())
    with np.load(save_path) as saved:
        assert sorted(saved) == ["output", "reader.c", "reader.c_last", "reader.h", "reader.h_last"]


def test_what_is_not_traced_is_nowhere(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    json_path, save_path = tmp_path / "r.json", tmp_path / "out.npz"
    arguments = ["validate", str(model), "--native", "--trace", "last", "--bit-exact", "--batch", "2", "--steps", "3"]
    assert run([*arguments, "--json", str(json_path), "--save", str(save_path)]) == 0
    output = capsys.readouterr().out
    assert "trace last" in output
    assert "lstm.c " not in output
    record = record_at(json_path)
    names = ["lstm.h_last", "lstm.c_last", "output"]
    assert record["trace"] == "last"
    assert [tensor["name"] for tensor in record["tensors"]] == names
    assert list(record["tolerance"]) == list(record["oracle"]["max_abs_to_float64_by_tensor"]) == names
    assert record["bit_exact"]["elements"] == 2 * 5 + 2 * 5 + 2 * 3 * 5
    with np.load(save_path) as saved:
        assert sorted(saved.files) == sorted(names)


def test_steps_that_a_masking_layer_masks_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.oracle.runtime import import_keras
    from keras_models import save_model

    keras = import_keras()
    layers = [
        keras.Input(batch_shape=(2, 5, 3)),
        keras.layers.Masking(0.0, name="masking"),
        keras.layers.LSTM(4, stateful=True, name="lstm"),
    ]
    path = save_model(keras.Sequential(layers, name="masked"), tmp_path)
    x = np.random.default_rng(1).standard_normal((3, 2, 5, 3)).astype(np.float32)
    x[1, 0, 2:] = 0
    x[2, 1] = 0
    np.savez(tmp_path / "x.npz", x_calls=x, reset_before=[False, False, True])
    json_path = tmp_path / "r.json"
    arguments = ["validate", str(path), "--native", "--inputs", str(tmp_path / "x.npz"), "--json", str(json_path)]
    assert run(arguments) == 0
    assert "8 of 30 steps are masked" in capsys.readouterr().out
    assert record_at(json_path)["inputs"]["masked_steps"] == 8
