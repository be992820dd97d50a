"""Faults on purpose, in a build that only tests make: what the device tells of them, and that it goes on.

On QEMU: it traps what an STM32 traps, and keeps RAM over a reset. On Renode a bad address reads 0 and x / 0 goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faulty_firmware import Provoke, Provoked, faulty_elf
from harness.build.elf import build_id, symbols
from harness.build.places import locate
from harness.device import Device
from harness.errors import DeviceFault
from harness.protocol.messages import Echo, Fault, Reset
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import FaultCause, ResetCause
from harness.targets.qemu import QemuTarget
from harness.transport.base import Transport
from harness.workbench import Workbench

pytestmark = pytest.mark.hil_targets("qemu")

EXPECTED = {
    Provoked.DIVISION_BY_ZERO: (FaultCause.USAGE_FAULT, "division by zero", "divide"),
    Provoked.UNDEFINED_INSTRUCTION: (FaultCause.USAGE_FAULT, "undefined instruction", "undefined_instruction"),
    Provoked.BAD_ADDRESS: (FaultCause.BUS_FAULT, "precise bus error; address 0x30000000", "bad_address"),
    Provoked.FAULT_WITH_INTERRUPTS_OFF: (
        FaultCause.USAGE_FAULT,
        "undefined instruction; escalated",
        "fault_with_interrupts_off",
    ),
    Provoked.NO_THUMB_BIT: (FaultCause.USAGE_FAULT, "without the Thumb bit", None),
    Provoked.UNEXPECTED_INTERRUPT: (FaultCause.UNEXPECTED_EXCEPTION, "number 18", "unexpected_interrupt"),
}
"""By what was provoked: the cause, some of what is said, and the function in which pc is."""


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faulty_elf(tmp_path_factory.mktemp("faulty"))


@pytest.fixture
def line(hil_kind: str, faulty: Path, tmp_path: Path) -> Iterator[Transport]:
    target = QemuTarget(faulty, tmp_path / "log")
    line = target.start()
    yield line
    line.close()
    target.stop()


def faulted(device: Device, what: Provoked) -> DeviceFault:
    with pytest.raises(DeviceFault) as caught:
        device.request(Provoke(what=what))
    return caught.value


def record_of(device: Device) -> Fault:
    fault = device.read_fault()
    assert fault is not None
    return fault


def function_at(elf: Path, address: int) -> str:
    (symbol,) = [s for s in symbols(elf) if s.is_code and s.address <= address < s.address + s.size_bytes]
    return symbol.name


@pytest.mark.parametrize("what", EXPECTED, ids=lambda what: what.name.lower())
def test_a_fault_is_told_at_once_and_kept(line: Transport, faulty: Path, what: Provoked) -> None:
    cause, said, function = EXPECTED[what]
    device = Device(line, locate=lambda program_id, address: locate(program_id, address, [faulty]))
    device.connect()
    error = faulted(device, what)
    assert said in error.message
    if function is not None:
        assert f"at {function} at firmware/test/provoke.c:" in error.message
        assert error.record["pc_at"] in error.message
    assert ", called from __wrap_handle_request at firmware/test/provoke.c:" in error.message
    info = device.connect()
    assert info.reset_cause == ResetCause.FAULT
    fault = record_of(device)
    assert (fault.cause, fault.build_id, fault.count) == (cause, build_id(faulty), 1)
    assert fault.crc32 == info.fault_crc32
    if function is not None:
        assert function_at(faulty, fault.pc) == function
    assert function_at(faulty, fault.lr & ~1) == "__wrap_handle_request"
    assert 0x20000000 < fault.sp < 0x20001000


def test_a_stack_overflow_hits_the_guard_and_names_who_called(line: Transport, faulty: Path) -> None:
    device = Device(line)
    device.connect()
    assert "stack overflow" in faulted(device, Provoked.STACK_OVERFLOW).message
    device.connect()
    fault = record_of(device)
    assert fault.cause == FaultCause.STACK_OVERFLOW
    assert 0x1FFFE000 <= fault.mmfar < 0x20000000
    assert fault.pc == 0, "its frame would have gone to where the stack has no room"
    assert function_at(faulty, fault.lr & ~1) == "recurse"


def test_a_frame_larger_than_the_stack_hits_the_guard_too(line: Transport) -> None:
    device = Device(line)
    device.connect()
    faulted(device, Provoked.LARGE_FRAME)
    device.connect()
    fault = record_of(device)
    assert fault.cause == FaultCause.STACK_OVERFLOW
    assert 0x1FFFE000 <= fault.mmfar < 0x1FFFFF00, "not where the stack ends"


def test_without_any_stack_there_is_a_record_all_the_same(line: Transport) -> None:
    device = Device(line)
    device.connect()
    assert "bus error on entry to an exception; undefined instruction" in faulted(device, Provoked.LOST_STACK).message
    device.connect()
    fault = record_of(device)
    assert (fault.pc, fault.lr) == (0, 0), "nothing is known, so nothing is told"
    assert fault.sp > 0x20020000


def test_the_record_survives_resets_and_goes_when_it_was_read(line: Transport) -> None:
    device = Device(line)
    device.connect()
    faulted(device, Provoked.UNDEFINED_INSTRUCTION)
    device.connect()
    info = device.reset()
    assert info.fault_crc32 != 0
    assert not info.reset_cause & ResetCause.FAULT, "of this reset another fault was not the cause"
    device.request(Reset())
    with pytest.raises(Exception, match="restarted") as restarted:
        device.request(Echo())
    assert not isinstance(restarted.value, DeviceFault), "an old record is not the cause of a new restart"
    device.connect()
    first = record_of(device)
    faulted(device, Provoked.BAD_ADDRESS)
    device.connect()
    device.clear_fault(first)
    second = record_of(device)
    assert (second.cause, second.count) == (FaultCause.BUS_FAULT, 2), "what nobody has read stays"
    device.clear_fault(second)
    assert device.connect().fault_crc32 == 0


def test_a_program_that_was_not_built_here_gets_no_line(hil_kind: str, faulty: Path, tmp_path: Path) -> None:
    """As on a board whose program somebody else has flashed."""
    with Workbench(QemuTarget(faulty, tmp_path / "log")) as bench:
        error = bench.failed(faulted(bench.device(), Provoked.DIVISION_BY_ZERO))
    assert f"(no line: it ran build {build_id(faulty).hex()[:12]}, and the ELF here is " in error.message
    assert ".c:" not in error.message


class LosingTransport:
    """A line that loses what comes back between the first write and the second one."""

    def __init__(self, line: Transport) -> None:
        self._line = line
        self._writes = 0

    def write(self, data: bytes) -> None:
        while self._writes == 1 and self._line.read(0.3):
            pass
        self._writes += 1
        self._line.write(data)

    def read(self, timeout_s: float) -> bytes:
        return b"" if self._writes == 1 else self._line.read(timeout_s)

    def close(self) -> None:
        self._line.close()


def test_a_lost_fault_frame_comes_again_before_the_refusal(line: Transport) -> None:
    device = Device(line)
    device.connect()
    device._transport = LosingTransport(line)
    faulted(device, Provoked.UNDEFINED_INSTRUCTION)
    assert device.link_counters.repeats > 0


def test_the_normal_program_knows_no_such_request(device: Device) -> None:
    with pytest.raises(DeviceRefused, match="message type 63"):
        device.request(Provoke(what=Provoked.UNDEFINED_INSTRUCTION))
    assert device.connect().fault_crc32 == 0
