"""Overruns, noise and a full ring: no emulator makes them."""

from __future__ import annotations

import re

import pytest

from build_helpers import run_c_tool
from harness.build.paths import project_root
from harness.protocol.baud import real_baud

PE, FE, NF, ORE, RXNE, TC, TXE = (1 << bit for bit in (0, 1, 2, 3, 5, 6, 7))
RE, TE, RXNEIE, UE = (1 << bit for bit in (2, 3, 5, 13))


def numbers(lines: list[tuple[str, str]]) -> dict[str, int]:
    return {key: int(value) for key, value in lines if key not in {"received", "dr"}}


def values(lines: list[tuple[str, str]], key: str) -> bytes:
    return bytes(int(value, 16) for name, value in lines if name == key)


@pytest.mark.parametrize(
    ("clock_hz", "divider"), [(45_000_000, 391), (50_000_000, 434), (42_000_000, 365), (16_000_000, 139)]
)
def test_baud_is_115200(clock_hz: int, divider: int) -> None:
    assert numbers(run_c_tool("usart_tool", "baud", str(clock_hz)))["brr"] == divider
    assert abs(clock_hz / divider / 115_200 - 1) < 0.002


@pytest.mark.parametrize(
    ("clock_hz", "baud", "divider"),
    [(45_000_000, 921_600, 49), (45_000_000, 1_000_000, 45), (45_000_000, 1_500_000, 30), (16_000_000, 230_400, 69)],
)
def test_another_baud_while_nothing_is_received(clock_hz: int, baud: int, divider: int) -> None:
    found = numbers(run_c_tool("usart_tool", "set-baud", str(clock_hz), str(baud)))
    assert found["brr"] == divider == round(clock_hz / (real_baud(clock_hz, baud) or 1))
    assert found["cr1_at_brr"] == UE | TE | RXNEIE, "the receiver is off, the transmitter holds its pin"
    assert found["cr1"] == UE | TE | RXNEIE | RE


@pytest.mark.parametrize(
    ("status", "counter", "received"),
    [
        (RXNE, None, b"A"),
        (RXNE | ORE, "uart_overruns", b"A"),
        (ORE, "uart_overruns", b""),
        (RXNE | NF, "uart_noise", b"A"),
        (RXNE | FE, "uart_noise", b"A"),
        (RXNE | PE, "uart_noise", b"A"),
        (0, None, b""),
    ],
)
def test_receive_errors_are_counted(status: int, counter: str | None, received: bytes) -> None:
    lines = run_c_tool("usart_tool", "receive", f"{status:x}:41")
    assert values(lines, "received") == received
    errors = {name: count for name, count in numbers(lines).items() if not name.startswith("bytes_")}
    assert errors == {name: int(name == counter) for name in errors}
    assert numbers(lines)["bytes_received"] == len(received)


def test_one_interrupt_takes_all_bytes_that_are_there() -> None:
    lines = run_c_tool("usart_tool", "burst", "40")
    assert values(lines, "received") == bytes(range(40))


@pytest.mark.parametrize("first_index", [0, 2**32 - 500], ids=["at first", "where the indices wrap"])
def test_a_full_ring_loses_the_newest_bytes_and_counts_them(first_index: int) -> None:
    source = (project_root() / "firmware" / "port" / "stm32f4" / "usart.c").read_text()
    size = int(re.search(r"rx_bytes\[(\d+)\]", source).group(1))  # type: ignore[union-attr]
    lines = run_c_tool("usart_tool", "flood", str(size + 6), str(first_index))
    assert values(lines, "received") == bytes(index % 256 for index in range(size))
    assert (numbers(lines)["bytes_received"], numbers(lines)["ring_overflows"]) == (size, 6)


def test_sends_in_order_and_then_rests() -> None:
    lines = run_c_tool("usart_tool", "send", "hello", f"{TXE | TC:x}")
    assert values(lines, "dr") == b"hello"
    assert numbers(lines)["txeie"] == 0, "or the interrupt would come for ever"
    assert numbers(lines)["bytes_sent"] == 5


def test_sends_nothing_while_the_line_is_busy() -> None:
    lines = run_c_tool("usart_tool", "send", "hello", "0")
    assert (values(lines, "dr"), numbers(lines)["txeie"]) == (b"", 1)


def test_on_a_line_that_is_never_busy_nobody_asks() -> None:
    lines = run_c_tool("usart_tool", "send", "hello", "at-once", "0")
    assert (values(lines, "dr"), numbers(lines)["txeie"]) == (b"hello", 0)
