"""The import of Keras, as it is when something comes in between."""

from __future__ import annotations

import importlib
import signal
from typing import Any

import pytest

from harness.oracle import runtime


@pytest.mark.parametrize(("number", "end"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_in_the_middle_of_the_import_waits_for_its_end(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, end: type[BaseException]
) -> None:
    """An extension module that is interrupted while it is imported says ImportError."""
    imported: list[str] = []

    def import_slowly(name: str) -> Any:
        try:
            signal.raise_signal(number)
        except BaseException as error:
            raise ImportError("initialization failed") from error
        imported.append(name)
        return keras

    def leave(*_: object) -> None:
        raise SystemExit(143)

    keras = runtime.import_keras()
    monkeypatch.setattr(importlib, "import_module", import_slowly)
    before = signal.signal(signal.SIGTERM, leave)
    try:
        with pytest.raises(end):
            runtime.import_keras()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert imported
