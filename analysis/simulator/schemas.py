"""Answer schemas as the simulated service reads them: strict rules, and the names to answer with.

Pure. `responses` checks schemas here; `service` shapes its answers. Source of the strict rules:
section 7.1 of the protocol notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from analysis.simulator.profile import (
    SCHEMA_MAX_DEPTH,
    SCHEMA_MAX_ENUM_VALUES,
    SCHEMA_MAX_PROPERTIES,
)

SCHEMAS_KEPT = 256
"""Schemas whose reading is remembered; a run uses a handful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Property names of an answer schema, and the labels that it allows (None: any).

    `first` is the label that it names first, or None if it names none.
    """

    list_name: str
    id_name: str
    labels_name: str
    allowed: frozenset[str] | None = None
    first: str | None = None
    max_labels: int | None = None
    is_labels_first: bool = False


FREE_SHAPE = Shape(list_name="answers", id_name="id", labels_name="labels")


class _Enum(msgspec.Struct):
    enum: list[str]


class _Property(msgspec.Struct, rename="camel"):
    type: str
    items: _Enum | None = None
    max_items: int | None = None


class _Entry(msgspec.Struct):
    properties: dict[str, _Property]


class _List(msgspec.Struct):
    items: _Entry


class _Root(msgspec.Struct):
    properties: dict[str, _List]


@lru_cache(maxsize=SCHEMAS_KEPT)
def find_shape(schema: bytes) -> Shape | None:
    """Return the names in a schema of the form `{list: [{id, labels: [enum]}]}`, else None."""
    try:
        root = msgspec.json.decode(schema, type=_Root).properties
    except msgspec.DecodeError:
        return None
    if len(root) != 1:
        return None
    list_name, entries = next(iter(root.items()))
    names = list(entries.items.properties)
    texts = [name for name in names if entries.items.properties[name].type == "string"]
    arrays = [name for name in names if entries.items.properties[name].items]
    if len(names) != 2 or len(texts) != 1 or len(arrays) != 1:
        return None
    labels = entries.items.properties[arrays[0]]
    return Shape(
        list_name=list_name,
        id_name=texts[0],
        labels_name=arrays[0],
        allowed=frozenset(labels.items.enum if labels.items else ()),
        first=next(iter(labels.items.enum), None) if labels.items else None,
        max_labels=labels.max_items,
        is_labels_first=arrays == names[:1],
    )


@lru_cache(maxsize=SCHEMAS_KEPT)
def strict_problem(encoded: bytes) -> str | None:
    """Return what keeps a schema from being strict, or None."""
    schema = msgspec.json.decode(encoded)
    if schema.get("type") != "object":
        return "schema must be a JSON Schema of 'type: \"object\"'."
    counts = {"properties": 0, "enum values": 0}
    try:
        problem = _node_problem(schema, (), 1, counts)
    except (TypeError, AttributeError):
        # A keyword holds a value of another type than JSON Schema gives it, at any depth.
        return "schema is not a valid JSON Schema."
    if problem:
        return problem
    bounds = {"properties": SCHEMA_MAX_PROPERTIES, "enum values": SCHEMA_MAX_ENUM_VALUES}
    for name, most in bounds.items():
        if counts[name] > most:
            return f"schema has {counts[name]} {name}; at most {most} are allowed."
    return None


def _node_problem(
    node: object, path: tuple[str, ...], depth: int, counts: dict[str, int]
) -> str | None:
    if not isinstance(node, dict):
        return f"In context={path}, a schema must be an object."
    if depth > SCHEMA_MAX_DEPTH:
        return f"In context={path}, schema exceeds {SCHEMA_MAX_DEPTH} levels of nesting."
    counts["enum values"] += len(node.get("enum", ()))
    children: list[tuple[tuple[str, ...], object, int]] = []
    if node.get("type") == "object" or "properties" in node:
        properties = node.get("properties", {})
        counts["properties"] += len(properties)
        if node.get("additionalProperties") is not False:
            return (
                f"In context={path}, 'additionalProperties' is required to be supplied and to be "
                "false."
            )
        missing = sorted(set(properties) ^ set(node.get("required", ())))
        if missing:
            return (
                f"In context={path}, 'required' is required to be supplied and to be an array "
                f"including every key in properties. Missing or extra: {', '.join(missing)}."
            )
        children += [
            ((*path, "properties", name), child, depth + 1) for name, child in properties.items()
        ]
    if "items" in node:
        children.append(((*path, "items"), node["items"], depth + 1))
    for index, child in enumerate(node.get("anyOf", ())):
        children.append(((*path, "anyOf", str(index)), child, depth))
    for name, child in node.get("$defs", {}).items():
        children.append((("$defs", name), child, depth))
    problems = (_node_problem(child, where, level, counts) for where, child, level in children)
    return next((problem for problem in problems if problem), None)
