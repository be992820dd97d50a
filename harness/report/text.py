"""Text of others on its way into a page or into XML."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that a model's name may hold and that neither a page nor XML does."""


def printable(text: str) -> str:
    """The same without control characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
