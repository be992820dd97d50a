"""Holds records against the committed schema, closed: a field that is not in it is a mistake of ours."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest

from harness.build.paths import project_root

SCHEMA = project_root() / "harness" / "report" / "record.schema.json"


def check_record(record: Any, kind: str = "validation") -> None:
    """Refuse a record that is not of its kind."""
    errors = [_deepest(error) for error in _validator(kind).iter_errors(record)]
    assert not errors, "\n".join(f"{'.'.join(map(str, each.absolute_path))}: {each.message[:300]}" for each in errors)


def _deepest(error: Any) -> Any:
    """Of an alternative that fits in none of its ways, what is wrong with the one that is not null."""
    while error.context:
        error = max(error.context, key=lambda each: len(each.absolute_path))
    return error


@lru_cache
def _validator(kind: str) -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (./hil setup --dev)")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    definitions = _closed(schema["$defs"])
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": definitions})


def _closed(tree: Any) -> Any:
    """The same, in which objects have no fields but those that are described."""
    if isinstance(tree, list):
        return [_closed(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    closed = {name: _closed(value) for name, value in tree.items()}
    if tree.get("type") == "object" and "properties" in tree and "additionalProperties" not in tree:
        closed["additionalProperties"] = False
    return closed
