"""`hil demo`: the whole job on a model that ships with the project."""

from __future__ import annotations

from harness.build.paths import project_root, work_dir
from harness.cli.exit_codes import worst_exit_code
from harness.cli.files import PerModel, ReportFolder
from harness.cli.options import takes_target
from harness.cli.run_files import Files
from harness.cli.run_models import run_models
from harness.cli.session import Settings
from harness.targets.choice import TargetChoice


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
        json=PerModel("--json", None, ".json", [model]),
        report=ReportFolder(work_dir() / "reports" / "demo", [model]).writable(),
    )
    settings = Settings((target,), Limits(), counts_ticks=True, steps_alone=True)
    (run,) = run_models([model], settings, files)
    return worst_exit_code([run.exit_code])
