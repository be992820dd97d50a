"""What the device computes for the link, in time: a line in virtual time must not be faster than the chip behind it.

The cycles are estimates from what QEMU executed (`harness.cycles`), for the F446RE at 180 MHz. They stand here as
numbers, so that a measurement is the same everywhere; `estimated_work` makes them anew, and a test compares.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.elf import symbols
from harness.cycles.disassembly import Instruction, disassemble, executed
from harness.cycles.timing import LINE_STALL, estimate
from harness.device import Device
from harness.inference import SequenceRunner
from harness.link_bench.chip import chip_link
from harness.loading import load_packed
from harness.model.inputs import random_inputs
from harness.model.pack import pack_model
from harness.model.samples import random_lstm
from harness.protocol.framing import Frame, FrameDecoder
from harness.protocol.messages import Echo, RunReply
from harness.protocol.wire import REPLY_BIT, MessageType
from harness.targets.qemu import QemuTarget, Trace

SYSCLK_HZ = 180_000_000

STREAMED_SHAPE = (1, 32)
"""(input_size, units) of the model whose steps count: 256 bytes of h and c for 4,224 MACs."""

_ECHO_BYTES, _ECHOES = 1000, 6
_LOADED_SHAPE = (6, 24)  # 12 KB
_STEPS = 20

_NOT_WORK = ("usart_interrupt", "board_idle", "usart_has_received", "watchdog_wake_in_time", "watchdog_woke")
"""Interrupts are counted by the byte, and sleep is none."""


@dataclass(frozen=True)
class DeviceWork:
    """Cycles of the core that the device works for the link, at most.

    Attributes:
        received_byte: of a frame: decoding, CRC-32, the copy to its place, and the CRC-32 of an image.
        sent_byte: of a frame: copy, CRC-32 and encoding.
        step: of STREAMED_SHAPE by arm_math.
        interrupt: of each byte, in either direction.
    """

    received_byte: int
    sent_byte: int
    step: int
    interrupt: int


WORK = DeviceWork(received_byte=140, sent_byte=40, step=55_000, interrupt=270)
"""Of this firmware, rounded up: how often it looks for bytes in vain depends on how QEMU delivers them."""


class ChipTime:
    """When the chip would have its answers ready that the native firmware gives at once.

    Work is counted where it delays most: all that a byte costs when its frame is answered, and nothing meanwhile.

    Args:
        work: cycles.
    """

    def __init__(self, work: DeviceWork = WORK) -> None:
        self._work = work
        self._decoder = FrameDecoder()
        self._heard_bytes = 0
        self._busy_until_s = 0.0

    def heard(self, size_bytes: int) -> None:
        """Bytes have arrived at the device."""
        self._heard_bytes += size_bytes

    def ready(self, data: bytes, at_s: float) -> Iterator[tuple[float, bytes]]:
        """What the device says, piece by piece with when it has it ready.

        Args:
            data: whole frames.
            at_s: when it has heard what it answers.
        """
        for piece in _frames(data):
            cycles = self._heard_bytes * (self._work.received_byte + self._work.interrupt)
            cycles += len(piece) * (self._work.sent_byte + self._work.interrupt)
            steps = sum(_steps_of(item) for item in self._decoder.feed(piece) if isinstance(item, Frame))
            cycles += steps * self._work.step
            self._heard_bytes = 0
            self._busy_until_s = max(self._busy_until_s, at_s) + cycles / SYSCLK_HZ
            yield self._busy_until_s, piece


def _steps_of(reply: Frame) -> int:
    """Time steps that were computed for a reply."""
    is_run = reply.header.type == MessageType.RUN | REPLY_BIT
    return RunReply.unpack(reply.payload).steps if is_run else 0


def _frames(data: bytes) -> Iterator[bytes]:
    """Pieces that end behind a frame's two delimiters."""
    *complete, rest = data.split(b"\0\0")
    for piece in complete:
        yield piece + b"\0\0"
    if rest:
        yield rest


def estimated_work(elf: Path, folder: Path) -> DeviceWork:
    """Make these numbers anew, with QEMU.

    Args:
        elf: the program.
        folder: for the trace, some 30 MB.
    """
    functions = sorted((one for one in symbols(elf) if one.is_code), key=lambda one: one.address)
    first, last = functions[0], functions[-1]
    whole = (first.address, last.address + last.size_bytes - first.address)
    trace = Trace(folder / "work.trace", (whole,))
    target = QemuTarget(elf, folder / "work.log", trace=trace)
    spec = random_lstm(*_LOADED_SHAPE)
    image = pack_model(spec)
    small = random_lstm(*STREAMED_SHAPE)
    small_image = pack_model(small)
    with Device(target.start()) as device:
        device.connect()
        load_packed(device, small, small_image)
        phases = []
        device.connect()  # HELLO is the border between two phases
        for _ in range(_ECHOES):
            device.request(Echo(data=bytes([1]) * _ECHO_BYTES))
        phases.append(device.link_counters)
        device.connect()
        SequenceRunner(device, small, small_image.plan).run(random_inputs(small, batch=1, steps=_STEPS).x[0])
        phases.append(device.link_counters)
        device.connect()
        load_packed(device, spec, image)
        phases.append(device.link_counters)
    target.stop()
    program = disassemble(elf)
    with trace.path.open(encoding="ascii", errors="replace") as lines:
        parts = _parts(executed(lines, program), [one.address for one in functions], [one.name for one in functions])
        echo, run, load = [estimate(work) for work in parts][-len(phases) :]
    echoes, of_run, of_load = phases
    received = load / of_load.bytes_sent
    sent = (echo - received * echoes.bytes_sent) / echoes.bytes_received
    step = (run - received * of_run.bytes_sent - sent * of_run.bytes_received) / _STEPS
    return DeviceWork(
        # Each byte takes an entry of the CRC table, which is in flash: in a load one for the frame, one for the image.
        received_byte=round(received + 2 * LINE_STALL),
        sent_byte=round(sent + LINE_STALL),
        step=round(step),
        interrupt=chip_link(elf, loop_turns=0).receive_interrupt.estimated_cycles,
    )


def _parts(
    blocks: Iterator[Sequence[Instruction]], addresses: list[int], names: list[str]
) -> list[list[Sequence[Instruction]]]:
    """Of each phase the blocks that are work."""
    parts: list[list[Sequence[Instruction]]] = [[]]
    for block in blocks:
        if not block:
            continue
        place = bisect_right(addresses, block[0].address) - 1
        name = names[place]
        if name in _NOT_WORK:
            continue
        if name == "handle_hello" and block[0].address == addresses[place]:
            parts.append([])
        parts[-1].append(block)
    return parts
