"""Which device a workbench gives for an image. Nothing is started."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

import seeds
from harness.errors import HilError, ModelRefused
from harness.fake import FakeDevice, FakeTransport
from harness.inference import load_model
from harness.model.pack import pack_model
from harness.protocol.wire import Capability
from harness.workbench import Workbench

LARGE = seeds.random_lstm(28, 76)
STORE_BYTES = 458_752


@dataclass
class FakeTarget:
    """A target whose flash can be filled before it starts, or not."""

    capabilities: Capability
    takes_image: bool
    starts: int = 0
    preloaded: list[tuple[bytes, int]] = field(default_factory=list)
    kind: str = "fake"

    def unavailable(self) -> HilError | None:
        return None

    def start(self) -> FakeTransport:
        self.starts += 1
        hello = replace(
            FakeDevice().hello,
            arena_bytes=100_000,
            store_bytes=STORE_BYTES,
            store_address=0x08010000,
            capabilities=self.capabilities,
        )
        return FakeTransport(FakeDevice(hello=hello))

    def preload(self, data: bytes, address: int) -> bool:
        if self.takes_image:
            self.preloaded.append((data, address))
        return self.takes_image

    def stop(self) -> None:
        pass

    def reserve(self, wait_s: float | None = None) -> None:
        pass

    def release(self) -> None:
        pass

    def description(self) -> dict[str, Any]:
        return {}

    def notes(self) -> tuple[str, ...]:
        return ()

    def reopen(self) -> None:
        return None

    def post_mortem(self) -> None:
        return None

    def log_path(self) -> None:
        return None


def test_an_emulator_is_started_anew_with_the_image_where_the_device_says() -> None:
    target = FakeTarget(Capability(0), takes_image=True)
    image = pack_model(LARGE)
    Workbench(target).device_for(image)
    assert target.preloaded == [(image.data, 0x08010000)]
    assert target.starts == 2


@pytest.mark.parametrize("spec", [seeds.random_lstm(3, 4), seeds.random_lstm(64, 140)], ids=["small", "too large"])
def test_it_is_not_where_the_image_need_not_or_cannot_be_there(spec: Any) -> None:
    target = FakeTarget(Capability(0), takes_image=True)
    Workbench(target).device_for(pack_model(spec))
    assert (target.preloaded, target.starts) == ([], 1)


def test_firmware_that_can_write_its_flash_does_so_itself() -> None:
    target = FakeTarget(Capability.STORE_WRITE, takes_image=True)
    Workbench(target).device_for(pack_model(LARGE))
    assert (target.preloaded, target.starts) == ([], 1)


def test_a_board_whose_firmware_cannot_write_flash_refuses_with_that_reason() -> None:
    target = FakeTarget(Capability(0), takes_image=False)
    device = Workbench(target).device_for(pack_model(LARGE))
    assert target.starts == 1
    with pytest.raises(ModelRefused, match=rf"room for {STORE_BYTES} bytes of weights, and cannot be written here"):
        load_model(device, LARGE)
