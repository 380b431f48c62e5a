"""Behaviour of the strict rules and of the reading of answer schemas."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator.schemas import find_shape, strict_problem
from analysis.simulator.service import encode
from tests.simulator.examples import SCHEMA


def object_schema(**properties: Any) -> dict[str, Any]:
    """Return a strict object schema with the properties."""
    required = list(properties)
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def test_good_schema_has_no_problem() -> None:
    """The schema of the examples is strict."""
    assert strict_problem(encode(SCHEMA)) is None


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ({"type": "array"}, "'type: \"object\"'"),
        ({"type": "object", "properties": {}}, "'additionalProperties' is required"),
        (object_schema(x={"type": "string"}) | {"required": []}, "including every key"),
        (object_schema() | {"required": ["x"]}, "including every key"),
        (object_schema(x={"type": "array", "items": {"type": "object"}}), "'additionalProp"),
        (object_schema(x={"anyOf": [{"type": "object"}]}), "'additionalProp"),
        (object_schema() | {"$defs": {"d": {"type": "object"}}}, "'additionalProp"),
        (object_schema(x={"enum": [str(n) for n in range(1_001)]}), "1001 enum values"),
        (object_schema(x=5), "must be an object"),
        (object_schema(x={"enum": 5}), "not a valid JSON Schema"),
    ],
)
def test_loose_schemas_are_named(schema: dict[str, Any], part: str) -> None:
    """Each strict rule has its own message, at any depth."""
    assert part in (strict_problem(encode(schema)) or "")


def test_deep_schema_is_refused() -> None:
    """Eleven levels are one too many."""
    schema = object_schema()
    for _ in range(10):
        schema = object_schema(x=schema)
    assert "levels of nesting" in (strict_problem(encode(schema)) or "")


def test_names_come_from_the_schema() -> None:
    """Other property names, order and a bound on the labels are taken over."""
    labels = {"type": "array", "maxItems": 1, "items": {"enum": ["a"]}}
    entry = {"properties": {"keys": labels, "ticket": {"type": "string"}}}
    shape = find_shape(encode({"properties": {"verdicts": {"type": "array", "items": entry}}}))
    assert shape is not None
    assert ("verdicts", "ticket", "keys", frozenset({"a"}), 1, True) == (
        shape.list_name,
        shape.id_name,
        shape.labels_name,
        shape.allowed,
        shape.max_labels,
        shape.is_labels_first,
    )


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": {}},
        {"properties": {"x": {"type": "string"}}},
        {"properties": {"x": {"items": {"properties": {"id": {"type": "string"}}}}}},
    ],
)
def test_other_schemas_have_no_shape(schema: dict[str, Any]) -> None:
    """What the simulated model cannot fill is told apart."""
    assert find_shape(encode(schema)) is None
