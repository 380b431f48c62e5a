"""The text of a label set file: its fields, or what is wrong with them and in which line.

Pure. `LabelSet.parse` calls it. A fault is a `Flaw`, which knows the place of the fault in the
document; `line_of` finds the line of that place, since the TOML reader of the standard library
tells lines of broken syntax only.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from analysis.errors import ConfigurationError
from analysis.labels.spelling import nearest

_SET_FIELDS = ("name", "version", "policy", "labels")
_POLICY_FIELDS = (
    *("max_labels", "default", "alone", "residual", "rules"),
    *("kinds", "pairs", "forbidden"),
)
_LABEL_FIELDS = (
    *("key", "names", "aliases", "definition", "not_this"),
    *("definitions", "examples"),
)
_PAIR = 2


class Flaw(ConfigurationError):
    """Something in a label set that makes it unusable.

    Attributes:
        label: Place of the label among the labels, from 0, or None if it is not about a label.
        field: Name of the field, or "" for the whole table.
    """

    def __init__(self, message: str, *, label: int | None = None, field: str = "") -> None:
        super().__init__(message)
        self.label = label
        self.field = field


def fields_of(text: str) -> dict[str, Any]:
    """Return the arguments of `LabelSet` that a TOML document holds; labels as arguments, too.

    Raises:
        TOMLDecodeError: If the text is not TOML.
        Flaw: If a field is missing, unknown or of another type.
    """
    table = tomllib.loads(text)
    _refuse_unknown(table, _SET_FIELDS, "the set")
    policy = _take(table, "policy", dict, "the set")
    _refuse_unknown(policy, _POLICY_FIELDS, "policy")
    found: dict[str, Any] = {
        "name": _take(table, "name", str, "the set"),
        "version": _take(table, "version", str, "the set"),
        "default": _take(policy, "default", str, "policy"),
        "max_labels": _take(policy, "max_labels", int, "policy"),
        "alone": frozenset(_strings(policy, "alone", "policy")),
        "rules": _strings(policy, "rules", "policy"),
        "pairs": _pairs(policy, "pairs"),
        "forbidden": frozenset(frozenset(pair) for pair in _pairs(policy, "forbidden")),
    }
    kinds = _optional(policy, "kinds", dict, "policy", {})
    found["kinds"] = {name: _strings(kinds, name, "policy, kinds,") for name in kinds}
    if "residual" in policy:
        found["residual"] = _optional(policy, "residual", str, "policy", "")
    found["labels"] = [
        _label(entry, place) for place, entry in enumerate(_take(table, "labels", list, "the set"))
    ]
    return found


def _label(entry: object, place: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise Flaw(f"a label must be a table, found {entry!r}.", label=place)
    key = _take(entry, "key", str, f"label {place + 1}", place)
    where = f"label {key!r}"
    _refuse_unknown(entry, _LABEL_FIELDS, where, place)
    return {
        "key": key,
        "names": _texts(entry, "names", where, place),
        "definition": _take(entry, "definition", str, where, place),
        "not_this": _optional(entry, "not_this", str, where, "", place),
        "aliases": _strings(entry, "aliases", where, place),
        "definitions": _texts(entry, "definitions", where, place),
        "examples": _strings(entry, "examples", where, place),
    }


def _texts(entry: Mapping[str, Any], field: str, where: str, place: int | None) -> dict[str, str]:
    """Return a table of language -> text; absent is empty."""
    table = _optional(entry, field, dict, where, {}, place)
    for language, text in table.items():
        if not isinstance(text, str) or not text.strip():
            raise Flaw(
                f"{where}, {field}, needs a text for {language!r}, found {text!r}. Write one, or "
                "leave the language out.",
                label=place,
                field=field,
            )
    return dict(table)


def _refuse_unknown(
    table: Mapping[str, Any], known: tuple[str, ...], where: str, place: int | None = None
) -> None:
    for field in table:
        if field not in known:
            raise Flaw(
                f"{where} has the unknown field {field!r}; nearest: {nearest(field, known)}. "
                f"Fields: {', '.join(known)}.",
                label=place,
                field=field,
            )


def _take(
    table: Mapping[str, Any], field: str, kind: type, where: str, place: int | None = None
) -> Any:
    value = table.get(field)
    if not isinstance(value, kind) or isinstance(value, bool) or value in ("", [], {}):
        given = "nothing" if field not in table else repr(value)
        raise Flaw(
            f"{where} needs {field!r} ({_KINDS[kind]}), found {given}.",
            label=place,
            field=field if field in table else "",
        )
    return value


_KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}


def _optional(
    table: Mapping[str, Any],
    field: str,
    kind: type,
    where: str,
    default: Any,
    place: int | None = None,
) -> Any:
    value = table.get(field, default)
    if not isinstance(value, kind):
        raise Flaw(
            f"{where} needs {_KINDS[kind]} in {field!r}, found {value!r}.", label=place, field=field
        )
    return value


def _strings(
    table: Mapping[str, Any], field: str, where: str, place: int | None = None
) -> tuple[str, ...]:
    values = table.get(field, [])
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise Flaw(
            f"{where} needs a list of texts in {field!r}, found {values!r}.",
            label=place,
            field=field,
        )
    return tuple(values)


def _pairs(policy: Mapping[str, Any], field: str) -> tuple[tuple[str, str], ...]:
    values = _optional(policy, field, list, "policy", [])
    for pair in values:
        is_pair = isinstance(pair, list) and len(pair) == _PAIR
        if not is_pair or not all(isinstance(one, str) for one in pair) or pair[0] == pair[1]:
            raise Flaw(
                f"policy needs pairs of two different names in {field!r}, found {pair!r}.",
                field=field,
            )
    return tuple((first, second) for first, second in values)


_HEADER = re.compile(r"\s*\[\[?\s*([^\]]*?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGNED = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*[.=]")


def line_of(text: str, flaw: Flaw) -> int:
    """Return the line of a flaw, from 1: of its field, else of its label, else the first one.

    It reads lines, not TOML: a header or an assignment inside of a text of several lines is taken
    for one, so that the line may be a near one there.
    """
    label, table, found = -1, "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = header[1]
            label += table == "labels"
            name = table.removeprefix("labels").removeprefix("policy").strip(".")
            if line.strip().startswith("[[") and label == flaw.label:
                found = number
        elif assigned := _ASSIGNED.match(line):
            name = assigned[1] if table in ("", "labels", "policy") else ""
        else:
            continue
        inside = label if table.partition(".")[0] == "labels" else None
        if inside == flaw.label and flaw.field and flaw.field in (name, table):
            return number
    return found
