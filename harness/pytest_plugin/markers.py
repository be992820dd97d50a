"""The plugin's markers: what a test is for, and what it needs of its target.

@pytest.mark.hil                     set by the plugin on every test that runs on a target: -m hil, -m "not hil"
@pytest.mark.hil_targets("native")   only on these kinds of targets
@pytest.mark.board("nucleo_f446re")  only on these boards; left out, and said, where none is asked for
@pytest.mark.needs("cycles")         only where the device can: gates, cycles, store
@pytest.mark.soak                    takes long: left out, and said, unless the command line has -m soak
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.protocol.messages import HelloReply

HELP = {
    "hil": "runs on a target; set by the plugin",
    "hil_targets(*kinds)": "run the test only on these targets",
    "board(*names)": "run the test only on these boards",
    "needs(*features)": "run the test only where the device has them: gates, cycles, store",
    "soak": "takes long: run only with -m soak",
}


def _has_cycles(hello: HelloReply) -> bool:
    from harness.protocol.wire import TickSource

    return hello.tick_source == TickSource.CYCCNT


def _has_store(hello: HelloReply) -> bool:
    from harness.protocol.wire import Capability

    return bool(hello.capabilities & Capability.STORE_WRITE)


FEATURES: dict[str, tuple[Callable[[HelloReply], bool], str]] = {
    "gates": (lambda _: True, "traces gates"),  # every firmware of this protocol does
    "cycles": (_has_cycles, "counts cycles: emulators count instructions"),
    "store": (_has_store, "can write its flash"),
}
"""By name: whether a device has it, and what that means."""


def missing_feature(names: Iterable[str], hello: HelloReply) -> str:
    """In words, the first feature that a device does not have; empty: it has them all."""
    for name in names:
        has, text = FEATURES[name]
        if not has(hello):
            return f"needs a device that {text}"
    return ""
