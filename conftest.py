"""Shared by all tests: `pytester`, with which the plugin's own tests run pytest inside pytest, and a limit of time.

No option and no plugin of ours belongs here: the plugin arrives by its entry point, and a second one would stop pytest.
"""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TEST_LIMIT_S = 300
"""The slowest test takes 20 s: on a machine ten times slower nothing fails that only takes its time."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that hangs is to fail by its name, where pytest-timeout is installed, which not everybody has."""
    if config.pluginmanager.has_plugin("timeout"):
        for item in items:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S))
