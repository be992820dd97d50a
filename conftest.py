"""Shared by all tests: `pytester`, with which the plugin's own tests run pytest inside pytest.

No option and no plugin of ours belongs here: the plugin arrives by its entry point, and a second one would stop pytest.
"""

pytest_plugins = ["pytester"]
