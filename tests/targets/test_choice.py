"""Which targets options mean."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import UsageError
from harness.targets.choice import TargetChoice, chosen_targets, one_target


def places(**options: Any) -> list[tuple[str, str | None, str | None]]:
    return [(choice.board, choice.port, choice.serial_number) for choice in chosen_targets(**options)]


def test_one_target_without_boards() -> None:
    assert chosen_targets() == (TargetChoice("qemu", is_default=True),)
    assert chosen_targets(native=True) == (TargetChoice("native"),)


def test_boards_by_what_tells_them_apart() -> None:
    name = "nucleo_f446re"
    assert places(boards=[name]) == [(name, None, None)]
    assert places(ports=["/dev/a", "/dev/b"]) == [(name, "/dev/a", None), (name, "/dev/b", None)]
    assert places(boards=[name], serial_numbers=["1", "2"]) == [(name, None, "1"), (name, None, "2")]
    assert places(boards=[name, name], serial_numbers=["1", "2"]) == [(name, None, "1"), (name, None, "2")]
    assert places(ports=["/dev/a"], serial_numbers=["1"]) == [(name, "/dev/a", "1")]


def test_how_they_are_used_is_said_once_for_all() -> None:
    for choice in chosen_targets(serial_numbers=["1", "2"], flash="never", wait_s=5.0):
        assert (choice.flash, choice.wait_s) == ("never", 5.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"qemu": True, "native": True}, "one kind"),
        ({"qemu": True, "ports": ["/dev/a"]}, "one kind"),
        ({"boards": ["nucleo_f446re"] * 2}, "twice"),
        ({"serial_numbers": ["a", "A"]}, "twice"),
        ({"serial_numbers": [""]}, "is empty"),
        ({"serial_numbers": ["a", " "]}, "is empty"),
        ({"boards": ["nucleo_f446re"], "serial_numbers": [""]}, "is empty"),
        ({"ports": ["/dev/a", "/dev/a"]}, "twice"),
        ({"boards": ["nucleo_f446re"] * 2, "serial_numbers": ["1", "2", "3"]}, "do not go together"),
        ({"boards": ["nucleo_f446re"] * 3, "serial_numbers": ["1", "2"]}, "do not go together"),
        ({"ports": ["/dev/a", "/dev/b"], "serial_numbers": ["1"]}, "do not go together"),
        ({"boards": ["nucleo"]}, "known boards"),
        ({"wait_s": 5.0}, "--wait is for boards"),
        ({"native": True, "wait_s": 5.0}, "--wait is for boards"),
        ({"ports": ["/dev/a"], "wait_s": -1.0}, "--wait is -1"),
        ({"ports": ["/dev/a"], "wait_s": float("nan")}, "--wait is nan"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        chosen_targets(**options)
    assert said in str(refused.value)


def test_what_takes_one_target_refuses_several() -> None:
    several = chosen_targets(serial_numbers=["1", "2"])
    with pytest.raises(UsageError, match="2 boards"):
        one_target(several)
    assert one_target(several[:1]) == several[0]


def test_one_baud_for_all_boards() -> None:
    assert [choice.baud for choice in chosen_targets(serial_numbers=["1", "2"], baud=921600)] == [921600, 921600]
    assert chosen_targets(ports=["serial:COM4:921600"], baud=921600)[0].baud == 921600


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"native": True, "baud": 921600}, "--baud is for boards"),
        ({"boards": ["nucleo_f446re"], "baud": 0}, "--baud is 0"),
        ({"ports": ["serial:COM4:115200"], "baud": 921600}, "has another one"),
    ],
)
def test_a_baud_that_means_nothing(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        chosen_targets(**options)
