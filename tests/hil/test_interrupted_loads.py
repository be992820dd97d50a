"""Weight loads that meet a restart or an unplugged cable at every single byte end with the right image all the same.

Some bytes of both directions are tried; all of them, which takes minutes, with `-m soak`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import seeds
from harness.device import Device, Timing
from harness.errors import DeviceReset, LinkClosed
from harness.inference import SequenceRunner
from harness.loading import load_packed
from harness.model.pack import pack_model
from harness.protocol.messages import Reset
from harness.transport.base import Transport

SPEC = seeds.random_lstm(3, 8)
IMAGE = pack_model(SPEC)
X = np.random.default_rng(5).standard_normal((3, 3)).astype(np.float32)


@dataclass(frozen=True)
class SoonAndLong(Timing):
    """A lost reply is asked for again soon: each byte of the load is tried. A busy machine's is waited for."""

    is_paced: bool = False

    def timeout_s(self, attempt: int) -> float:
        return float(self.first_timeout_s * 2**attempt)  # 5 s in all: a strike may take all replies to the first ones


PROMPT = SoonAndLong(first_timeout_s=0.005, greeting_interval_s=0.005)

EMULATED = SoonAndLong(first_timeout_s=0.05, greeting_interval_s=0.05)
"""Renode answers ten times more slowly than a process."""

BORDER_BYTES = 2
"""The last ones of a load, without which it is complete: a restart there is met by the run behind it."""

SLOWER = 11
"""So many times fewer on what starts more slowly than a process."""

Strike = Callable[[Transport, Timing], None]


@dataclass
class Struck:
    """A line to which something happens once, after so many bytes of both directions."""

    inner: Transport
    strike: Strike
    timing: Timing
    after_bytes: int

    def write(self, data: bytes) -> None:
        self.inner.write(self._passing(data))
        self._struck()

    def read(self, timeout_s: float) -> bytes:
        data = self.inner.read(timeout_s)
        passing = self._passing(data)
        if len(passing) < len(data):
            self._struck()
        return passing

    def close(self) -> None:
        pass  # it goes on

    def _passing(self, data: bytes) -> bytes:
        passing = data[: max(self.after_bytes, 0)] if self.after_bytes >= 0 else data
        if self.after_bytes >= 0:
            self.after_bytes -= len(data)
        return passing

    def _struck(self) -> None:
        if self.after_bytes < 0 and self.strike is not nothing:
            strike, self.strike = self.strike, nothing
            strike(self.inner, self.timing)


def nothing(line: Transport, timing: Timing) -> None:
    """No strike, or none any more."""


def restart(line: Transport, timing: Timing) -> None:
    device = Device(line, timing=timing)
    device.connect()
    device.request(Reset())


def unplug(line: Transport, timing: Timing) -> None:
    raise LinkClosed("unplugged")


def load_bytes(device: Device) -> int:
    before = device.link_counters.bytes_sent + device.link_counters.bytes_received
    load_packed(device, SPEC, IMAGE)
    return device.link_counters.bytes_sent + device.link_counters.bytes_received - before


def run(device: Device) -> bytes:
    arrays = SequenceRunner(device, SPEC, IMAGE.plan).run(X).arrays
    return b"".join(arrays[name].tobytes() for name in sorted(arrays))


@pytest.mark.hil_targets("native", "qemu", "renode")  # a target of its own is needed
@pytest.mark.parametrize("stride_bytes", [29, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("strike", [restart, unplug])
def test_a_load_is_right_wherever_it_is_interrupted(
    strike: Strike, stride_bytes: int, line: Transport, hil_kind: str, request: pytest.FixtureRequest
) -> None:
    device = Device(line)  # with time for each reply: a load has no fewer bytes than one without repeats
    device.connect()
    span_bytes = min(load_bytes(device) for _ in range(5))
    right = run(device)
    recoveries = told = 0
    timing = PROMPT if hil_kind == "native" else EMULATED
    places = range(0, span_bytes, stride_bytes * (1 if hil_kind == "native" else SLOWER))
    for place in places:
        restart(line, timing)
        device = Device(struck := Struck(line, strike, timing, 2**40), timing=timing, reopen=lambda: line)
        device.connect()
        struck.after_bytes = place
        load_packed(device, SPEC, IMAGE)
        left_bytes = struck.after_bytes
        recoveries += device.link_counters.recoveries
        try:
            assert run(device) == right, f"after byte {place}"
        except (DeviceReset, LinkClosed):
            told += 1
            assert left_bytes >= -BORDER_BYTES, f"after byte {place}"
    request.node.user_properties += [("places", len(places)), ("recoveries", recoveries), ("told", told)]
    assert recoveries + told > 0.9 * len(places)
