"""A soak of devices that are well and of devices that are not. No real time passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from cobs import cobs

from fake_target import FakeTarget
from harness.errors import DeviceFault, ExitCode, LinkClosed, TargetUnavailable
from harness.fake import FakeDevice, FakeTransport, Faults
from harness.model.pack import ModelImage, pack_model
from harness.model.replies import end_record, step_record
from harness.model.samples import random_lstm
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.protocol.framing import Frame
from harness.protocol.messages import Header, Run
from harness.protocol.wire import RunFlags, crc32
from harness.soak.cases import SHAPES
from harness.soak.record import SoakRecord
from harness.soak.run import Soak
from harness.transport.base import Transport
from harness.transport.fault_rates import PRESETS, FaultRates, parse_faults

NOISY = PRESETS["noisy"]


def models() -> dict[int, tuple[ModelSpec, ModelImage]]:
    """The soak's models by the sizes of their images."""
    found = {}
    for input_size, units, kernel in SHAPES:
        spec = random_lstm(input_size, units)
        image = pack_model(spec, kernel=kernel)
        found[len(image.data)] = (spec, image)
    assert len(found) == len(SHAPES)
    return found


MODELS = models()


class Numbers:
    """What a device computes here: anything that depends on the image, on all inputs and on how often they came."""

    def __init__(self) -> None:
        self.runs = 0
        self._state = 0

    def __call__(self, request: Run, image: bytes) -> bytes:
        self.runs += 1
        if request.flags & RunFlags.RESET_STATE:
            self._state = 0
        spec, made = MODELS[len(image)]
        record = step_record(spec, made.plan, request.pass_index, TraceLevel.HC)
        data = b"".join(
            self._numbers(image, x.tobytes(), record.floats)
            for x in np.frombuffer(request.data, "<f4").reshape(-1, spec.stream_size)
        )
        if request.flags & RunFlags.END:
            data += self._numbers(image, b"", end_record(spec, made.plan, request.pass_index, TraceLevel.HC).floats)
        return data

    def _numbers(self, image: bytes, x: bytes, floats: int) -> bytes:
        self._state = crc32(b"%d %d" % (self._state, crc32(image)) + x)
        return np.random.default_rng(self._state).standard_normal(floats).astype("<f4").tobytes()


class Renewed(FakeTarget):
    """A fake device, a new one at each start."""

    def __init__(self, make_device: Callable[[], FakeDevice]) -> None:
        self.make_device = make_device
        self.starts = 0
        self.death: str | None = None
        self.line = FakeTransport(make_device())

    def start(self) -> Transport:
        self.starts += 1
        line = FakeTransport(self.make_device())
        line.now_s = self.line.now_s
        self.line = line
        return line

    def post_mortem(self) -> str | None:
        return self.death


def well() -> FakeDevice:
    return FakeDevice(run=Numbers())


def soaked(target: Renewed, rates: FaultRates, exchanges: int, seed: int = 1, first: int = 0) -> SoakRecord:
    soak = Soak(target, rates, seed, clock=lambda: target.line.now_s, sleep=lambda seconds: _sleep(target, seconds))
    return soak.run(exchanges, first)


def _sleep(target: Renewed, seconds: float) -> None:
    target.line.sleep(seconds)  # on the line of the last start


def total(record: SoakRecord) -> int:
    return record.right + sum(record.typed_errors.values()) + record.wrong_numbers + record.hangs


def test_a_line_without_faults_is_right() -> None:
    record = soaked(Renewed(well), FaultRates(), 20)
    assert (record.exchanges, record.right, record.repeats) == (20, 20, 0)
    assert record.exit_code == ExitCode.PASS


@pytest.mark.parametrize("preset", ["light", "noisy", "broken"])
def test_a_good_device_gives_right_bits_or_a_typed_error(preset: str) -> None:
    record = soaked(Renewed(well), PRESETS[preset], 150)
    assert record.exchanges == total(record) == 150
    assert (record.wrong_numbers, record.hangs, record.error) == (0, 0, None)
    assert record.injected["bits"] > 0
    assert record.right > 0
    assert record.repeats > 0


def test_the_same_seed_gives_the_same_record() -> None:
    first, again = (soaked(Renewed(well), NOISY, 60, seed=3).to_json() for _ in range(2))
    assert first == again
    assert first != soaked(Renewed(well), NOISY, 60, seed=4).to_json()


def test_disconnects_are_errors_and_a_new_start() -> None:
    target = Renewed(well)
    record = soaked(target, FaultRates(disconnect=1), 10)
    assert sum(record.typed_errors.values()) + record.right == 10
    assert record.typed_errors["link_closed"] >= 8, "the last byte of an exchange may be where it falls"
    assert target.starts >= 9


def test_resets_are_seen_by_the_session() -> None:
    record = soaked(Renewed(well), FaultRates(reset=1), 30)
    assert record.injected["reset"] == 30
    # One in the middle of the greeting is seen by what the device has lost.
    assert record.typed_errors["device_reset"] > record.typed_errors["device_no_model"]
    assert set(record.typed_errors) <= {"device_reset", "device_no_model"}
    assert record.exit_code == ExitCode.PASS


class Careless(FakeDevice):
    """Takes frames whose CRC is wrong."""

    rest = b""

    def receive(self, data: bytes) -> bytes:
        *pieces, self.rest = (self.rest + data).split(b"\0")
        sent = b""
        for piece in filter(None, pieces):
            try:
                body = cobs.decode(piece)[:-4]
                frame = Frame(Header.unpack(body), body[Header.size_bytes() :])
                self.heard.append(frame)
                sent += b"".join(self._answers(frame))
            except (ValueError, KeyError, AssertionError, cobs.DecodeError):
                continue
        return sent


def test_a_device_that_checks_no_crc_is_found_and_the_failure_comes_again() -> None:
    def careless() -> FakeDevice:
        return Careless(run=Numbers())

    rates = parse_faults("bits=1e-4")
    record = soaked(Renewed(careless), rates, 100)
    assert record.wrong_numbers > 0
    assert record.exit_code == ExitCode.OUT_OF_TOLERANCE
    assert record.exchanges == total(record) == 100
    failure = record.failures[0]
    again = soaked(Renewed(careless), rates, 1, first=failure.exchange)
    assert again.failures == [failure]


class Forgetful(FakeDevice):
    """Keeps no reply: works on a repeat once more."""

    def _again(self, frame: Frame, kept: bytes) -> bytes:
        return self._take_on(frame)


def test_a_device_that_works_on_repeats_is_found() -> None:
    assert soaked(Renewed(lambda: Forgetful(run=Numbers())), FaultRates(bits=1e-4), 100).wrong_numbers > 0


class Failing(Numbers):
    """Breaks its device at a run."""

    def __init__(self, at_run: int, faults: Faults) -> None:
        super().__init__()
        self.at_run, self.faults = at_run, faults
        self.device = FakeDevice(run=self)

    def __call__(self, request: Run, image: bytes) -> bytes:
        data = super().__call__(request, image)
        if self.runs == self.at_run:
            self.device.faults = self.faults
        return data


def test_a_device_that_is_at_work_for_ever_is_a_hang() -> None:
    target = Renewed(lambda: Failing(40, Faults(working=10**9)).device)
    record = soaked(target, FaultRates(), 20)
    assert record.hangs > 0
    assert record.right + record.hangs == record.exchanges == 20
    assert "not ended after" in record.failures[0].detail
    assert record.exit_code == ExitCode.LINK


def test_a_device_that_falls_silent_is_a_hang_and_started_anew() -> None:
    target = Renewed(lambda: Failing(60, Faults(silent=True)).device)
    record = soaked(target, FaultRates(), 12)
    assert record.hangs > 0
    assert target.starts == 1 + record.hangs
    assert record.right + record.hangs == 12
    assert "did not answer without faults" in record.failures[0].detail


def test_a_target_that_dies_ends_the_soak() -> None:
    target = Renewed(well)

    class Dying(FakeTransport):
        def read(self, timeout_s: float) -> bytes:
            if self.now_s > 1:
                target.death = "it ended with signal SIGSEGV"
                raise LinkClosed("gone")
            return super().read(timeout_s)

    def start() -> Transport:
        target.line = Dying(well())
        return target.line

    target.start = start  # type: ignore[method-assign]
    record = soaked(target, FaultRates(), 1000)
    assert 0 < record.exchanges < 1000
    assert record.error is not None
    assert record.error.code == "target_died"
    assert "SIGSEGV" in record.error.message
    assert record.exit_code == ExitCode.DEVICE
    assert record.to_json()["error"]["code"] == "target_died"


def test_a_target_that_is_not_there_is_in_the_record() -> None:
    target = Renewed(well)
    target.unavailable = lambda: TargetUnavailable("no")  # type: ignore[method-assign]
    assert soaked(target, FaultRates(), 1).exit_code == ExitCode.TARGET


@pytest.mark.parametrize("frame", range(100, 110))
def test_a_fault_of_the_firmware_ends_the_soak(frame: int) -> None:
    """It is a typed error, and all the same a bug that no fault of the line excuses. At a greeting too."""
    record = soaked(Renewed(lambda: FakeDevice(run=Numbers(), faults=Faults(fault_at=frame))), FaultRates(), 50)
    assert isinstance(record.error, DeviceFault)
    assert record.exit_code == ExitCode.DEVICE
    assert record.exchanges < 50
