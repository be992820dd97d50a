"""Shared by all tests: `pytester`, with which the plugin's own tests run pytest inside pytest, and limits of time.

No option and no plugin of ours belongs here: the plugin arrives by its entry point, and a second one would stop pytest.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest

if find_spec("hypothesis"):  # where only what a bench needs is installed, tests/hil runs without it
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "repeatable",
        derandomize=True,  # a verdict about a commit must be the same tomorrow
        deadline=None,  # a busy machine is nobody's mistake, and TEST_LIMIT_S ends what hangs
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("search", settings.get_profile("repeatable"), derandomize=False)
    settings.load_profile("repeatable")

pytest_plugins = ["pytester"]

TEST_LIMIT_S = 300
"""The slowest test takes 20 s: on a machine ten times slower nothing fails that only takes its time."""


def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis by its profile for CI: the same examples in every run, and none fails that took 200 ms.

    A busy machine stops a process for longer. Other examples: --hypothesis-profile=default.
    """
    if config.pluginmanager.has_plugin("hypothesispytest"):  # which not everybody has
        from hypothesis import settings

        settings.load_profile("ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that hangs is to fail by its name, where pytest-timeout is installed, which not everybody has."""
    if config.pluginmanager.has_plugin("timeout"):
        for item in items:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S))
