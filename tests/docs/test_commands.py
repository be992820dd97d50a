"""Every command of README and docs/ is run: what a person copies must work, and no option may be one that was renamed.

In a folder that has the files which the documents speak of. Where a board, a lab or Renode is wanted and not there, the
command must end with just that.
"""

from __future__ import annotations

import re
import shlex
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.accuracy import __main__ as accuracy
from harness.build.paths import project_root
from harness.cli.app import run
from harness.oracle.runtime import import_keras
from harness.protocol.wire import Activation
from hdf5_files import keras_2_file

DOCUMENTS = [project_root() / "README.md", *sorted((project_root() / "docs").glob("*.md"))]

ELSEWHERE = {
    "demo": "tests/install, and CI's set-up",
    "setup": "tests/install, tests/bootstrap, tests/renode, tests/lab; `setup --dev` by CI",
    "test": "CI",
}
"""Commands of hil that install, or take minutes, and where they are run."""

SHORTER = (
    (r"^soak\b(?!.*--exchanges)", "soak --exchanges 3"),
    (r"--exchanges 10000", "--exchanges 20"),
    (r"^bench --link.*", "bench --link --native"),  # on QEMU it takes the time of the line: 45 s
    (r"^bench\b(?!.*(--shape|--link))", "bench --shape 1,3"),
    (r"--shape 28,75", "--shape 3,5"),
    (r"^golden make (.*)--inputs x.npz", r"golden make \1--inputs x.npz"),
    (r" -j 2\b", " -j 1"),
    (r"tcp://\S+", "tcp://127.0.0.1:1"),
)
"""What would take long, in a form that has the same options."""

NOT_HERE = r"--board|--port|--sn|--labgrid|--renode|--dask|^flash"
"""Commands for what a machine without boards, labs and Renode does not have."""

NAMES = {"NAME": "nucleo_f446re", "models/*.keras": "models/a.keras models/b.keras", "*.keras": "model.keras"}
"""What a shell, or a reader, puts in place of it."""

EXIT_CODES = {"fit": {0}, "flash": {3, 4}, "doctor": {0, 3, 4}, "NOT_HERE": {3, 5}}


def commands_of(text: str) -> Iterator[str]:
    """Lines of code blocks that begin with hil, without their comments."""
    for block in re.findall(r"^```\w*\n(.*?)^```|((?:^    .*\n)+)", text, flags=re.MULTILINE | re.DOTALL):
        for line in "".join(block).splitlines():
            found = re.match(r"\s*(?:\./)?hil +([a-z][^#]*)", line)
            if found and not re.match(r"\(|launcher", found.group(1)):
                yield found.group(1).strip()


COMMANDS = sorted({command for path in DOCUMENTS for command in commands_of(path.read_text())})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.keras with layers lstm and lstm_2, and all that the documents make of it or beside it."""
    folder = tmp_path_factory.mktemp("desk")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras' own, about NumPy 2
        _save_models(folder)
    random = np.random.default_rng(2)
    np.savez(folder / "x.npz", x=random.standard_normal((2, 6, 3)).astype(np.float32))
    np.savez(
        folder / "lstm.npz",
        kernel=random.standard_normal((3, 8)).astype(np.float32),
        recurrent_kernel=random.standard_normal((2, 8)).astype(np.float32),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        validate = "validate model.keras --native --inputs x.npz"
        for command in (
            f"{validate} --save y.npz --record run.link",
            *(f"{validate} --json {day}.json --save {day}.npz --report report-of-{day}" for day in ("monday", "today")),
            "golden make model.keras --inputs x.npz -o model.golden",
            "bench --native --shape 1,3 --baseline b.json --update-baseline",
            "bench --shape 1,3 --baseline baseline.json --update-baseline",
        ):
            assert run(shlex.split(command)) == 0, command
    return folder


def _save_models(folder: Path) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6, 3)), layers.LSTM(4, return_sequences=True, name="lstm"), layers.LSTM(3, name="lstm_2")]
    )
    model.save(folder / "model.keras")
    model.save_weights(folder / "w.weights.h5")
    for name in ("pruned", "rounded", "old"):
        model.set_weights([np.round(weights, 2) for weights in model.get_weights()])
        model.save(folder / f"{name}.keras")
    (folder / "models").mkdir()
    for name in "ab":
        shutil.copy(folder / "model.keras", folder / "models" / f"{name}.keras")
    keras_2_file(folder / "old_model.h5")


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_documents_works(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = command.split(maxsplit=1)[0]
    if name in ELSEWHERE:
        return
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RENODE_PATH", str(folder / "no-renode"))
    command = re.sub(r" *\[(.*?)\]", r" \1", command)
    for written, meant in NAMES.items():
        command = command.replace(written, meant)
    for pattern, shorter in SHORTER:
        command = re.sub(pattern, shorter, command)
    wanted = EXIT_CODES.get(name) or (EXIT_CODES["NOT_HERE"] if re.search(NOT_HERE, command) else {0})
    assert run(shlex.split(command)) in wanted, command


def test_the_figures_of_accuracy_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small: what is written is what its check takes."""
    for name, fewer in {
        "activations.SMOOTH": (Activation.GELU,),
        "models.SHAPES": ((1, 3),),
        "float32.JUDGED_SHAPES": ((1, 3),),
        "float32.JUDGED_LENGTHS": (4,),
        "float32.LENGTHS": (4,),
        "float32.SCALES": (1.0,),
        "float32.BATCHES": (2,),
        "float32.WEIGHT_SETS": 1,
        "float32.PLANTED": (1e-3,),
        "float32.TRIALS": 2,
        "kernels.WEIGHT_SETS": 1,
        "twins.UNITS": (3,),
        "twins.FEATURES": (1,),
        "twins.BATCHES": (2,),
    }.items():
        monkeypatch.setattr(f"harness.accuracy.{name}", fewer)
    monkeypatch.setattr(accuracy, "DOCUMENT_PATH", tmp_path / "ACCURACY.md")
    assert accuracy.main([]) == 0
    assert accuracy.main(["--check"]) == 0
