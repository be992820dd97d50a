"""Which device a workbench gives for an image. Nothing is started."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import seeds
from fake_target import FakeTarget
from harness.errors import DeviceFault, DeviceReset, ModelRefused, UsageError
from harness.fake import FakeDevice, FakeTransport, Faults
from harness.loading import load_model
from harness.model.pack import pack_model
from harness.protocol.messages import Echo, Log
from harness.protocol.wire import Capability, ResetCause
from harness.targets.choice import TargetChoice
from harness.workbench import Workbench, make_target

LARGE = seeds.random_lstm(28, 76)
STORE_BYTES = 458_752


@dataclass
class Fillable(FakeTarget):
    """A target whose flash can be filled before it starts, or not."""

    capabilities: Capability
    takes_image: bool
    starts: int = 0
    preloaded: list[tuple[bytes, int]] = field(default_factory=list)
    device: FakeDevice = field(default_factory=FakeDevice)

    def start(self) -> FakeTransport:
        self.starts += 1
        hello = replace(
            FakeDevice().hello,
            arena_bytes=100_000,
            store_bytes=STORE_BYTES,
            store_address=0x08010000,
            capabilities=self.capabilities,
        )
        self.device.hello = hello
        return FakeTransport(self.device)

    def preload(self, data: bytes, address: int) -> bool:
        if self.takes_image:
            self.preloaded.append((data, address))
        return self.takes_image


def test_an_emulator_is_started_anew_with_the_image_where_the_device_says() -> None:
    target = Fillable(Capability(0), takes_image=True)
    image = pack_model(LARGE)
    Workbench(target).device_for(image)
    assert target.preloaded == [(image.data, 0x08010000)]
    assert target.starts == 2


@pytest.mark.parametrize("spec", [seeds.random_lstm(3, 4), seeds.random_lstm(64, 140)], ids=["small", "too large"])
def test_it_is_not_where_the_image_need_not_or_cannot_be_there(spec: Any) -> None:
    target = Fillable(Capability(0), takes_image=True)
    Workbench(target).device_for(pack_model(spec))
    assert (target.preloaded, target.starts) == ([], 1)


def test_firmware_that_can_write_its_flash_does_so_itself() -> None:
    target = Fillable(Capability.STORE_WRITE, takes_image=True)
    Workbench(target).device_for(pack_model(LARGE))
    assert (target.preloaded, target.starts) == ([], 1)


def test_a_board_whose_firmware_cannot_write_flash_refuses_with_that_reason() -> None:
    target = Fillable(Capability(0), takes_image=False)
    device = Workbench(target).device_for(pack_model(LARGE))
    assert target.starts == 1
    with pytest.raises(ModelRefused, match=rf"room for {STORE_BYTES} bytes of weights, and cannot be written here"):
        load_model(device, LARGE)


def faulting() -> Fillable:
    """A device that faults at the request behind its greeting."""
    return Fillable(Capability(0), takes_image=False, device=FakeDevice(faults=Faults(fault_at=2)))


def test_an_earlier_fault_is_told_once_to_whoever_wants_to_know() -> None:
    target = faulting()
    with pytest.raises(DeviceFault):
        Workbench(target).device().request(Echo())
    Workbench(target).device()
    told: list[dict[str, Any]] = []
    for _ in range(2):
        Workbench(target, on_fault=told.append).device()
    assert [fault["cause"] for fault in told] == ["usage_fault"], "not for ever, and not unless somebody is told"
    assert "no line: it ran build" in told[0]["pc_at"]


def test_a_fault_that_was_reported_is_not_told_again() -> None:
    target = faulting()
    bench = Workbench(target)
    with pytest.raises(DeviceFault) as caught:
        bench.device().request(Echo())
    assert bench.failed(caught.value) is caught.value
    assert target.device.fault is None


def test_behind_a_restart_whose_frame_was_lost_the_fault_is_found() -> None:
    target = faulting()
    bench = Workbench(target)
    bench.device()
    with pytest.raises(DeviceFault):
        bench.device().request(Echo())
    target.device.hello = replace(target.device.hello, reset_cause=ResetCause.FAULT)
    error = bench.failed(DeviceReset("its frames carry session id 0"))
    assert isinstance(error, DeviceFault)
    assert "division by zero" in error.message
    assert target.device.fault is None


def test_another_restart_is_not_blamed_on_an_old_fault() -> None:
    target = faulting()
    bench = Workbench(target)
    with pytest.raises(DeviceFault):
        bench.device().request(Echo())
    error = DeviceReset("its frames carry session id 0")
    assert bench.failed(error) is error
    assert target.device.fault is not None


def test_logs_are_handed_on() -> None:
    target = Fillable(Capability(0), takes_image=False, device=FakeDevice(to_log=[Log(number=1)]))
    logs: list[Log] = []
    device = Workbench(target, on_log=logs.append).device()
    device.request(Echo())
    assert [log.number for log in logs] == [1]
    assert device.take_logs() == tuple(logs)
    assert device.take_logs() == ()


@pytest.mark.parametrize(
    "choice",
    [
        TargetChoice("board", board="nucleo_f446re", port="/dev/silent", baud=2_000_000),
        TargetChoice("board", board="nucleo_f446re", port="serial:/dev/silent:2000000"),
        TargetChoice("board", board="nucleo_f446re", labgrid_place="desk", baud=2_000_000),
    ],
    ids=["by --baud", "in the port", "at a place"],
)
def test_a_baud_that_the_chip_cannot_have_is_refused_before_anything_is_opened(choice: TargetChoice) -> None:
    with pytest.raises(UsageError, match="2000000 baud cannot be had") as refused:
        make_target(choice, lambda _: None)
    assert refused.value.code == "baud_impossible"
