"""Shared by all tests: `pytester`, with which the plugin's own tests run pytest inside pytest, and limits of time.

No option and no plugin of ours belongs here: the plugin arrives by its entry point, and a second one would stop pytest.
"""

from __future__ import annotations

import random
import sys
from importlib.util import find_spec

import pytest

if find_spec("hypothesis"):  # where only what a bench needs is installed, tests/hil runs without it
    from hypothesis import settings

    # A verdict about a commit is the same tomorrow, and a busy machine is nobody's mistake: the same examples in every
    # run, and no limit of time for each (TEST_LIMIT_S ends what hangs).
    settings.register_profile("search", settings.get_profile("ci"), derandomize=False)
    settings.load_profile("ci")

pytest_plugins = ["pytester"]

TEST_LIMIT_S = 300
"""The slowest test takes 20 s: on a machine ten times slower nothing fails that only takes its time."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Before any fixture, those of a module too."""
    _draw_the_same_weights()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Whatever fixtures were made for this test and not for one before it."""
    _draw_the_same_weights()


def _draw_the_same_weights() -> None:
    """In every run and in any order: by its weights float32 is more or less far from float64."""
    random.seed(1)  # either Keras draws the seeds of its initializers there
    if "tf_keras" in sys.modules:  # and this one elsewhere, once it was given a seed
        sys.modules["tf_keras"].utils.set_random_seed(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that hangs is to fail by its name, where pytest-timeout is installed, which not everybody has."""
    if config.pluginmanager.has_plugin("timeout"):
        for item in items:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S))
