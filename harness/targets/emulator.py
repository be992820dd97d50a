"""What targets have in common that emulate the chip: bytes can lie in its flash when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.targets.process import ProcessTarget
from harness.targets.scratch import Scratch


class EmulatorTarget(ProcessTarget):
    """A process that emulates the chip. They call `new_folder` at each start, for the files of that run.

    Args:
        needs: files without which it cannot be started.
        log_path: where the process's own messages go.
    """

    def __init__(self, needs: Sequence[Path], log_path: Path) -> None:
        super().__init__(needs, log_path)
        self._scratch: Scratch | None = None
        self._preloaded = b""
        self._preload_address = 0

    @property
    def scratch(self) -> Path | None:
        """The folder of the last start; None before the first."""
        return None if self._scratch is None else self._scratch.path

    def preload(self, data: bytes, address: int) -> bool:
        """Have bytes lie in flash at every start from now on; True if that is new."""
        before = (self._preloaded, self._preload_address)
        self._preloaded, self._preload_address = data, address
        return before != (data, address)

    def stop(self) -> None:
        """End the process, and remove what it left."""
        super().stop()
        if self._scratch is not None:
            self._scratch.remove()

    def new_folder(self) -> Path:
        """A folder of this start's own, which `stop` removes. So no file of an earlier one can be taken for ours."""
        self._scratch = Scratch(self.kind)
        return self._scratch.path

    def flash_file(self, folder: Path) -> Path | None:
        """What is to lie in flash, written to a file; None if nothing is."""
        if not self._preloaded:
            return None
        path = folder / "flash"
        path.write_bytes(self._preloaded)
        return path
