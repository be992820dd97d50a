"""What pyproject.toml cannot say: the wheel carries the firmware's sources and the demo, which lie beside the package.

They stay where they are in the repository and are copied on the way into a wheel. harness/build/installed.py takes
them from there.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CARRIED_IN = Path("harness", "_project")

DEMO = ("digits.keras", "heldout.npz")


def carried() -> list[str]:
    """The files, relative to this one."""
    firmware = (path for path in Path("firmware").rglob("*") if path.is_file() and path.suffix != ".pyc")
    demo = (Path("examples", "digits", name) for name in DEMO)
    return sorted(path.as_posix() for path in (Path("platformio.ini"), *firmware, *demo))


class BuildWithProject(build_py):
    """The usual step that collects the modules, and the files that they need."""

    def run(self) -> None:
        """Collect all; an editable installation finds the files in the clone."""
        super().run()
        if self.editable_mode:
            return
        home = Path(self.build_lib) / CARRIED_IN
        shutil.rmtree(home, ignore_errors=True)  # an earlier build may have left files that are gone by now
        for name in carried():
            self.mkpath(str((home / name).parent))
            self.copy_file(name, str(home / name))

    def get_source_files(self) -> list[str]:
        """What a source distribution needs."""
        return [*super().get_source_files(), *carried()]


setup(cmdclass={"build_py": BuildWithProject})
