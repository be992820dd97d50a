"""Many exchanges over a line that errs: each must end with the right bits or a typed error, and in time.

What is right was computed at the start, over the same line without faults, by the same device. An exchange greets the
device, loads a model if its number says so, and runs a few sequences. What it does and which faults it meets depends on
the seed and its number alone, so one that failed can be played again (`first`): after anything but a right end the
device is brought, without faults, to where the next exchange begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from random import Random

import numpy as np

from harness.compare.bits import compare_bits
from harness.device import Device, Timing, random_session_id
from harness.errors import DeviceError, DeviceFault, HilError, LinkClosed, LinkError, LocalProtocolError
from harness.inference import SequenceRunner
from harness.loading import load_packed
from harness.model.array_types import Float32Array
from harness.protocol.faults import Locate, address_only, device_fault
from harness.protocol.frame_size import LEAST_BYTES
from harness.protocol.messages import Reset
from harness.soak.bounded import FOREVER, Bounded, Overdue
from harness.soak.cases import STEPS, Case, Cost, all_cases, cost_so_far
from harness.soak.record import HANG, RIGHT, WRONG_NUMBERS, SoakRecord
from harness.targets.base import Target
from harness.transport.base import Transport
from harness.transport.fault_rates import FaultRates
from harness.transport.faulty import FaultyTransport

LOAD_EVERY = 4
"""Exchanges with one model: the first of them loads it."""

MOST_SEQUENCES = 3
"""Of an exchange."""

CONNECT_TIMEOUT_S = 3.0
"""For a greeting in an exchange: dozens of attempts."""

TIMINGS = {
    "native": Timing(first_timeout_s=0.002, greeting_interval_s=0.002, is_paced=False),
    "qemu": Timing(first_timeout_s=0.03, greeting_interval_s=0.03, is_paced=False),
}
"""Waits for targets that answer in 1 ms and 15 ms: with those of `Device` a soak would do little but wait."""

RECOVERY_TIMEOUT_S = 120.0
"""To bring the device back without faults: a greeting and a few requests, each of which is given up after 31 s."""


class Soak:
    """One soak of one target.

    Args:
        target: where; started and ended here.
        rates: faults.
        seed: of everything random.
        timing: how long a request waits; None: what suits the target.
        clock: seconds that only go forward.
        sleep: lets seconds go by.
        locate: finds the place of an address in the program's source, for a device that faults.
    """

    def __init__(
        self,
        target: Target,
        rates: FaultRates,
        seed: int,
        *,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        locate: Locate = address_only,
    ) -> None:
        self._locate = locate
        self._target = target
        self._rates = rates
        self._seed = seed
        self._timing = TIMINGS.get(target.kind, Timing()) if timing is None else timing
        self._clock = clock
        self._sleep = sleep
        self._record = SoakRecord(rates, seed)
        self._session_id: Callable[[], int] = random_session_id
        self._greeting = Cost(0, 0)
        self._old_fault_crc32 = 0
        self._cases: list[Case] = []
        self._to_close = ExitStack()

    def run(self, exchanges: int, first: int = 0, progress: Callable[[int, int], None] = lambda *_: None) -> SoakRecord:
        """Do so many exchanges, from number `first` on. An error that ends it early is in the record.

        Args:
            exchanges: how many.
            first: number of the first one.
            progress: called with (done, total).
        """
        self._record = SoakRecord(self._rates, self._seed, first)
        try:
            self._prepare(first)
            start_s = self._clock()
            try:
                for number in range(first, first + exchanges):
                    self._do(number)
                    progress(number - first + 1, exchanges)
            finally:
                self._record.duration_s = self._clock() - start_s
        except HilError as error:
            self._record.error = error
        finally:
            self._close()
            self._target.release()
        return self._record

    def _prepare(self, first: int) -> None:
        """Compute what is right, and what a line without faults carries for it."""
        reason = self._target.unavailable()
        if reason is not None:
            raise reason
        self._open()
        self._old_fault_crc32 = self._patient.connect().fault_crc32
        self._greeting = cost_so_far(self._patient)
        self._cases = all_cases(self._patient)
        self._set_up(first)

    def _do(self, number: int) -> None:
        """One exchange, to where the next one can begin."""
        record = self._record
        resets = self._line.injected["reset"]
        outcome, detail = self._outcome(number)
        counters = self._device.link_counters
        record.repeats += counters.repeats
        record.recoveries += counters.recoveries
        record.bad_frames += counters.bad_frames
        if outcome != RIGHT or self._line.injected["reset"] > resets:
            stuck = self._brought_back(number + 1)
            if stuck and outcome != WRONG_NUMBERS:
                outcome, detail = HANG, f"after {outcome} the device did not answer without faults: {stuck}"
        record.count(number, outcome, detail)

    def _outcome(self, number: int) -> tuple[str, str]:
        """How an exchange ended: right, wrong_numbers, hang or an error's code; and what was seen."""
        case, sequences = self._model_of(number), self._sequences_of(number)
        cost = self._greeting
        if number % LOAD_EVERY == 0:
            cost += case.load
        for index in sequences:
            cost += case.sequences[index].cost
        # Twice what all its requests may wait, so that nothing but a wait without an end is taken for one. On a line
        # that errs there are more of them, and smaller ones.
        requests = cost.requests + cost.line_bytes / LEAST_BYTES
        bound_s = 2 * (CONNECT_TIMEOUT_S + requests * self._timing.given_up_s)
        session_ids = Random(f"{self._seed}/{number}/session")
        self._session_id = lambda: session_ids.randint(1, 2**32 - 1)
        self._bounded.deadline_s = self._clock() + bound_s
        self._line.begin(number, cost.line_bytes)
        try:
            difference = self._exchange(case, sequences, loads=number % LOAD_EVERY == 0)
            return (WRONG_NUMBERS, difference) if difference else (RIGHT, "")
        except Overdue:
            return HANG, f"not ended after {bound_s:.0f} s"
        except (LocalProtocolError, DeviceFault):
            raise  # a bug of ours, which no fault of the line excuses
        except HilError as error:
            if isinstance(error, LinkClosed) and not self._line.is_gone:
                raise self._death(error, number) from error
            return error.code, error.message
        finally:
            self._line.end()
            self._bounded.deadline_s = FOREVER
            self._session_id = random_session_id

    def _exchange(self, case: Case, sequences: list[int], *, loads: bool) -> str:
        """Greet, load and run; what is wrong with the numbers, if anything is."""
        # A new one: what it has learned of the line in other exchanges would be missing when this one is played alone.
        self._device = self._hasty_device()
        info = self._device.connect(CONNECT_TIMEOUT_S)
        if info.fault_crc32 not in (0, self._old_fault_crc32):  # one during the greeting ends no session
            fault = self._device.read_fault()
            if fault is not None:
                raise device_fault(fault, self._locate)
        if loads:
            load_packed(self._device, case.spec, case.image)
        runner = SequenceRunner(self._device, case.spec, case.image.plan)
        for index in sequences:
            sequence = case.sequences[index]
            found = compare_bits(_as_batch(runner.run(sequence.x).arrays), _as_batch(sequence.expected))
            if found.first is not None:
                return f"{found.different} of {found.elements} values; {found.first.tensor} step {found.first.step}"
        return ""

    def _model_of(self, number: int) -> Case:
        return Random(f"{self._seed}/{number // LOAD_EVERY}/model").choice(self._cases)

    def _sequences_of(self, number: int) -> list[int]:
        random = Random(f"{self._seed}/{number}/sequences")
        return [random.randrange(len(STEPS)) for _ in range(random.randint(1, MOST_SEQUENCES))]

    def _brought_back(self, number: int) -> str:
        """Bring the device to where an exchange begins; why it had to be started anew, unless a fault did that."""
        if self._line.is_gone:
            self._close()
            self._open()
        self._bounded.deadline_s = self._clock() + RECOVERY_TIMEOUT_S
        try:
            self._set_up(number)
        except LinkClosed as error:
            raise self._death(error, number - 1) from error
        except (LinkError, Overdue) as error:
            self._close()
            self._open()
            self._set_up(number)
            return str(error)
        finally:
            self._bounded.deadline_s = FOREVER
        return ""

    def _set_up(self, number: int) -> None:
        self._patient.connect()
        if number % LOAD_EVERY:
            case = self._model_of(number)
            load_packed(self._patient, case.spec, case.image)

    def _death(self, error: LinkClosed, number: int) -> HilError:
        death = self._target.post_mortem()
        if death is None:
            return error
        return DeviceError(
            f"{self._target.kind} ended in exchange {number} of seed {self._seed}: {death}",
            code="target_died",
            remedy="report it with its log, the faults and the seed",
        )

    def _open(self) -> None:
        self._to_close.callback(self._target.stop)
        self._line = FaultyTransport(
            self._target.start(),
            self._rates,
            self._seed,
            reset=self._restart_device,
            clock=self._clock,
            sleep=self._sleep,
        )
        self._to_close.callback(self._line.close)
        self._line.injected = self._record.injected
        self._bounded = Bounded(self._line, self._clock)
        # Without faults nothing is gained by short waits, and a busy machine must not look like a hang.
        self._patient = Device(self._bounded, self._clock, locate=self._locate)
        self._device = self._hasty_device()

    def _hasty_device(self) -> Device:
        return Device(
            self._bounded,
            self._clock,
            timing=self._timing,
            session_id=self._next_session_id,
            locate=self._locate,
        )

    def _next_session_id(self) -> int:
        return self._session_id()

    def _restart_device(self, line: Transport) -> None:
        """By a session of its own, without faults: what works on a board as well as on an emulator."""
        device = Device(line, self._clock, timing=self._timing)
        device.connect(CONNECT_TIMEOUT_S)
        device.request(Reset())

    def _close(self) -> None:
        self._to_close.close()


def _as_batch(arrays: Mapping[str, Float32Array]) -> dict[str, Float32Array]:
    return {name: array[np.newaxis] for name, array in arrays.items()}
