"""Pseudo-terminals for tests of serial ports: one end is the port, at the other is whatever the test puts there."""

from __future__ import annotations

import os
import re
import select
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path

from harness.targets.process import ChildProcess
from harness.targets.qemu import MACHINE, PROGRAM
from harness.transport.serial_port import SerialPort
from patience import PATIENCE_S, wait_until


class PtyDevice:
    """A port behind which a function answers.

    What this process writes to it is answered when `SerialPort.write` returns, so that a thread that the machine does
    not let run costs no time-out, and nothing is on its way when the baud is changed or the port is closed.

    Args:
        answer: given what the host sends; what comes back.
        first: sent at once.
        baud: at any other that the port is set to, what comes through is garbled both ways; None: it does not matter.
    """

    def __init__(self, answer: Callable[[bytes], bytes], first: bytes = b"", baud: int | None = None) -> None:
        self._answer = answer
        self._speed = None if baud is None else getattr(termios, f"B{baud}")
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.url = os.ttyname(self._slave)
        os.write(self._master, first)
        self._is_over = threading.Event()
        self._answered = threading.Condition()
        self._written_bytes = self._answered_bytes = 0
        self._is_served = True
        _devices[self.url] = self
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Take the device away, as a pulled plug does. May be called twice."""
        if not self._is_over.is_set():
            self._is_over.set()
            self._thread.join()
            del _devices[self.url]
            os.close(self._master)
            os.close(self._slave)

    def wait_for_answer(self, size_bytes: int) -> None:
        """Until so many bytes more, which were written, are answered. Other processes may write too."""
        with self._answered:
            self._written_bytes += size_bytes
            written = self._written_bytes
            self._answered.wait_for(lambda: self._answered_bytes >= written or not self._is_served, timeout=PATIENCE_S)

    def _serve(self) -> None:
        try:
            while not self._is_over.is_set():
                readable, _, _ = select.select([self._master], [], [], 0.02)
                if readable:
                    data = os.read(self._master, 4096)
                    os.write(self._master, self._line(self._answer(self._line(data))))
                    with self._answered:
                        self._answered_bytes += len(data)
                        self._answered.notify_all()
        finally:
            with self._answered:
                self._is_served = False
                self._answered.notify_all()

    def _line(self, data: bytes) -> bytes:
        if self._speed is None or termios.tcgetattr(self._slave)[5] == self._speed:
            return data
        return bytes(byte ^ 0x9D | 0x80 for byte in data)  # bits are read at the wrong times: nothing is left of them


_devices: dict[str, PtyDevice] = {}
"""By their URLs."""

_write = SerialPort.write


def _write_and_be_answered(port: SerialPort, data: bytes) -> None:
    _write(port, data)
    device = _devices.get(port._url)
    if device is not None:
        device.wait_for_answer(len(data))


SerialPort.write = _write_and_be_answered  # type: ignore[method-assign, assignment]


class QemuOnPty:
    """QEMU whose USART2 is a pseudo-terminal of its own making.

    Args:
        elf: what runs on it.
        log_path: where QEMU tells which one.
    """

    def __init__(self, elf: Path, log_path: Path) -> None:
        argv = [PROGRAM, "-M", MACHINE, "-kernel", str(elf), "-nographic", "-monitor", "none"]
        argv += ["-chardev", "pty,id=usart2", "-serial", "null", "-serial", "chardev:usart2"]
        self._process = ChildProcess(argv, log_path)
        told = re.compile(r"redirected to (/dev/\S+)\s")  # to the end of its name
        assert wait_until(lambda: told.search(log_path.read_text())), self._process.post_mortem()
        self.url = told.findall(log_path.read_text())[0]

    def stop(self) -> None:
        """End QEMU."""
        self._process.stop()
