"""Several targets, one worker each: who gets which, and what the others are told."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import LinkTimeout, TargetBusy, TargetUnavailable
from harness.fake import FakeDevice, FakeTransport
from harness.targets.base import Target
from harness.targets.board import BoardTarget
from harness.targets.boards import board
from harness.targets.choice import TargetChoice, chosen_targets
from harness.targets.native import NativeTarget
from harness.targets.pool import Pool
from harness.transport.ports import PortInfo
from harness.workbench import Workbench
from test_board import OTHER_STLINK, OURS, STLINK, PlayedProgram

BOTH = chosen_targets(serial_numbers=["0669FF01", "0669FF02"])


@pytest.fixture(autouse=True)
def locks(runtime_folder: Path) -> None:
    """Locks of our own."""


def make(choice: TargetChoice, ports: Sequence[PortInfo] = (STLINK, OTHER_STLINK)) -> Target:
    return BoardTarget(
        board(choice.board),
        PlayedProgram(OURS),
        port=choice.port,
        serial_number=choice.serial_number,
        list_ports=lambda: ports,
        open_line=lambda url, baud: FakeTransport(FakeDevice()),
    )


def number(target: Target) -> str:
    return str(target.description()["serial_number"])


def test_every_worker_has_a_board_of_its_own() -> None:
    pool = Pool(BOTH, make)
    pool.check()
    with pool.lease() as first, Pool(BOTH, make).lease() as second:
        assert {number(first), number(second)} == {"0669FF01", "0669FF02"}
        with pytest.raises(TargetBusy) as busy, pool.lease():
            pass
        for serial in ("0669FF01", "0669FF02"):
            assert f"serial number {serial}) is in use by pid" in busy.value.message
    with pool.lease():
        pass


def test_a_lease_outlives_the_target_that_is_started_anew() -> None:
    pool = Pool(BOTH[:1], make)
    with pool.lease() as target:
        for _ in range(2):
            target.start()
            target.stop()
            with pytest.raises(TargetBusy), pool.lease():
                pass


def test_a_board_stays_ours_after_an_error_until_the_workbench_is_closed() -> None:
    bench = Workbench(make(BOTH[0]))
    bench.device()
    bench.failed(LinkTimeout("silence"))
    with pytest.raises(TargetBusy):
        make(BOTH[0]).reserve()
    bench.close()
    other = make(BOTH[0])
    other.reserve()
    other.release()


def test_a_worker_waits_for_the_first_that_is_free() -> None:
    said = threading.Event()
    got: list[str] = []

    def work() -> None:
        with Pool(BOTH, make, wait_s=60.0, say=lambda _: said.set()).lease() as target:
            got.append(number(target))

    pool = Pool(BOTH, make)
    worker = threading.Thread(target=work)
    with pool.lease():
        with pool.lease() as second:
            worker.start()
            assert said.wait(60)
            assert got == []
            expected = number(second)
        worker.join(60)
    assert got == [expected]


def test_many_threads_never_share_a_board() -> None:
    in_use: set[str] = set()
    done: list[str] = []

    def work() -> None:
        for _ in range(5):
            with Pool(BOTH, make, wait_s=60.0).lease() as target:
                assert number(target) not in in_use
                in_use.add(number(target))
                in_use.remove(number(target))
                done.append(number(target))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert len(done) == 20


def test_one_that_is_absent_is_an_error_although_another_is_free() -> None:
    pool = Pool(BOTH, lambda choice: make(choice, [STLINK]))
    with pytest.raises(TargetUnavailable, match="0669FF02"):
        pool.check()


def test_a_lease_is_given_back_also_after_an_error() -> None:
    pool = Pool(BOTH[:1], make)
    with pytest.raises(ZeroDivisionError), pool.lease():
        raise ZeroDivisionError
    with pool.lease():
        pass


def test_emulators_are_made_anew_for_every_lease(tmp_path: Path) -> None:
    pool = Pool([TargetChoice("native")], lambda choice: NativeTarget(tmp_path, tmp_path / "log"))
    with pool.lease() as first, pool.lease() as second:
        assert first is not second


def test_choices_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(BOTH)) == BOTH
