"""Reads what `labgrid-client show` prints of a place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_ACQUIRED = re.compile(r"^ +acquired: (?P<by>\S+)$", re.MULTILINE)
_RESOURCE = re.compile(r"^Acquired resource '(?P<name>.*)' \((?P<path>.*)\):$")


@dataclass(frozen=True)
class Resource:
    """Something that belongs to an acquired place.

    Attributes:
        name: as the place calls it.
        path: exporter, group, class and name.
        kind: its class.
        is_there: whether its exporter says so.
        params: what is to be known to use it.
    """

    name: str
    path: str
    kind: str
    is_there: bool
    params: dict[str, Any]


def acquired_by(shown: str) -> str | None:
    """HOST/USER that has the place; None if nobody has."""
    found = _ACQUIRED.search(shown)
    return None if found is None or found["by"] == "None" else found["by"]


def acquired_resources(shown: str) -> list[Resource]:
    """What belongs to the place, if it is acquired.

    Raises:
        ValueError: it is printed in another way than is known.
    """
    return [_resource(heading, text) for heading, text in _blocks(shown)]


def _blocks(shown: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each resource's heading, and what is indented below it."""
    lines = shown.splitlines()
    for number, line in enumerate(lines):
        heading = _RESOURCE.match(line)
        if heading is not None:
            rest = lines[number + 1 :]
            end = next((place for place, each in enumerate(rest) if not each.startswith(" ")), len(rest))
            yield heading, "\n".join(rest[:end])


def _resource(heading: re.Match[str], text: str) -> Resource:
    try:
        held = ast.literal_eval(text.strip())
        params = dict(held["params"])
        return Resource(heading["name"], heading["path"], str(held["cls"]), bool(held["avail"]), params)
    except (SyntaxError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"resource '{heading['name']}' is printed in a way that is not known: {error}") from error
