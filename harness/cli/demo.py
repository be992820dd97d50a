"""`hil demo`: the whole job on a model that ships with the project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.paths import project_root, work_dir
from harness.cli.files import PerModel
from harness.cli.options import takes_target
from harness.cli.validate import Files, run_models, worst_exit_code
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.validation import Validation


@takes_target
def demo_command(target: TargetChoice) -> int:
    """Validate a trained digit classifier, LSTM(32) + Dense(10), on 60 held-out digits."""
    from harness.validation import Limits

    folder = project_root() / "examples" / "digits"
    model = folder / "digits.keras"
    files = Files(
        weights=PerModel("--weights", None, ".weights.h5", [model]),
        inputs=PerModel("--inputs", str(folder / "heldout.npz"), ".npz", [model]),
        save=PerModel("--save", None, ".npz", [model]),
        json=PerModel("--json", str(work_dir() / "reports" / "demo.json"), ".json", [model]).writable(),
    )
    labels = folder / "heldout_labels.npy"
    (run,) = run_models([model], target, files, Limits(), remark=lambda c, r: _print_accuracy(c, r, labels))
    return worst_exit_code([run.exit_code])


def _print_accuracy(console: Console, run: Validation, labels_path: Path) -> None:
    """Which digit each side saw, against the truth."""
    import numpy as np

    if run.expected is None or "output" not in run.got:
        return
    truth = np.load(labels_path, allow_pickle=False)
    keras = run.expected.tensors["output"].argmax(axis=1)
    device = run.got["output"].argmax(axis=1)
    total = len(truth)
    console.print(
        f"accuracy on {total} held-out digits: Keras {(keras == truth).sum()}/{total}, "
        f"device {(device == truth).sum()}/{total}, same digit on both {(keras == device).sum()}/{total}"
    )
