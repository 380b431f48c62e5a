"""The text of a label set file: its fields, or what is wrong with them and in which line.

Pure. `LabelSet.parse` calls it. A fault is a `Flaw`, which knows the place of the fault in the
document; `line_of` finds the line of that place, since the TOML reader of the standard library
tells lines of broken syntax only. Values are shown as TOML writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.errors import ConfigurationError
from analysis.labels.spelling import near_hint
from analysis.labels.toml_text import as_toml, named, read_toml, statements

_SET_FIELDS = ("name", "version", "policy", "labels")
_POLICY_FIELDS = (
    *("max_labels", "default", "alone", "residual", "rules", "criterion", "topic"),
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
        field: Name of the field, with a dot before what stands inside of it, such as
            `kinds.style`; "" for the whole table.
    """

    def __init__(self, message: str, *, label: int | None = None, field: str = "") -> None:
        super().__init__(message)
        self.label = label
        self.field = field


def fields_of(text: str) -> dict[str, Any]:
    """Return the arguments of `LabelSet` that a TOML document holds; labels as arguments, too.

    Raises:
        NotToml: If the text is not TOML.
        Flaw: If a field is missing, unknown or of another type.
    """
    table = read_toml(text)
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
    found["kinds"] = {name: _strings(kinds, name, _KINDS_TABLE) for name in kinds}
    if "residual" in policy:
        found["residual"] = _optional(policy, "residual", str, "policy", "")
    if "criterion" in policy:
        found["criterion"] = _optional(policy, "criterion", str, "policy", "")
    if "topic" in policy:
        topic = policy["topic"]
        if topic not in ("needed", "optional"):
            raise Flaw(
                'policy needs "needed" or "optional" in \'topic\', found '
                f"{as_toml(topic)}. Write one of the two.",
                field="topic",
            )
        found["needs_topic"] = topic == "needed"
    found["labels"] = [
        _label(entry, place) for place, entry in enumerate(_take(table, "labels", list, "the set"))
    ]
    return found


def _label(entry: object, place: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise Flaw(
            f"a label must be a table, found {as_toml(entry)}. Begin each with a line [[labels]].",
            label=place,
        )
    key = _take(entry, "key", str, f"label {place + 1}", place)
    where = f"label {named(key)}"
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
                f"{where}, {field}, needs a text for {named(language)}, found {as_toml(text)}. "
                "Write one, or leave the language out.",
                label=place,
                field=f"{field}.{language}",
            )
    return dict(table)


def _refuse_unknown(
    table: Mapping[str, Any], known: tuple[str, ...], where: str, place: int | None = None
) -> None:
    for field in table:
        if field not in known:
            raise Flaw(
                f"{where} has the unknown field {named(field)}{near_hint(field, known)}. "
                f"Fields: {', '.join(known)}.",
                label=place,
                field=_inside(where, field),
            )


def _take(
    table: Mapping[str, Any], field: str, kind: type, where: str, place: int | None = None
) -> Any:
    value = table.get(field)
    if not isinstance(value, kind) or isinstance(value, bool) or value in ("", [], {}):
        given = "nothing" if field not in table else as_toml(value)
        raise Flaw(
            f"{where} needs {field!r} ({_KINDS[kind]}), found {given}. {_cure(field, kind)}",
            label=place,
            field=_inside(where, field if field in table else ""),
        )
    return value


_KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}
_KINDS_TABLE = "policy, kinds,"
_PLACES = {"policy": "policy", _KINDS_TABLE: "policy.kinds"}
_FORMS = {
    "policy": "a line [policy], and max_labels and default below it",
    "labels": "a line [[labels]] for each label, and its fields below it",
    "version": 'version = "1"',
    "max_labels": "max_labels = 1 or max_labels = 2",
    "names": 'names = { en = "..." }',
    "definitions": 'definitions = { ru = "..." }',
    "kinds": 'kinds.one = ["...", "..."]',
    "pairs": 'pairs = [["...", "..."]]',
    "forbidden": 'forbidden = [["...", "..."]]',
}


def _cure(field: str, kind: type) -> str:
    """Return a sentence that says how a field is written."""
    form = f'{field} = ["..."]' if kind is list else f'{field} = "..."'
    return f"Write {_FORMS.get(field, form)}."


def _inside(where: str, field: str) -> str:
    """Return the place of a field for `Flaw`: fields of policy may have the names of others."""
    return ".".join(filter(None, (_PLACES.get(where, ""), field)))


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
            f"{where} needs {_KINDS[kind]} in {field!r}, found {as_toml(value)}. "
            f"{_cure(field, kind)}",
            label=place,
            field=_inside(where, field),
        )
    return value


def _strings(
    table: Mapping[str, Any], field: str, where: str, place: int | None = None
) -> tuple[str, ...]:
    values = table.get(field, [])
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise Flaw(
            f"{where} needs a list of texts in {named(field)}, found {as_toml(values)}. "
            f"{_cure(named(field)[1:-1], list)}",
            label=place,
            field=_inside(where, field),
        )
    return tuple(values)


def _pairs(policy: Mapping[str, Any], field: str) -> tuple[tuple[str, str], ...]:
    values = _optional(policy, field, list, "policy", [])
    for pair in values:
        is_pair = isinstance(pair, list) and len(pair) == _PAIR
        if not is_pair or not all(isinstance(one, str) for one in pair) or pair[0] == pair[1]:
            raise Flaw(
                f"policy needs pairs of two different names in {field!r}, found {as_toml(pair)}. "
                f"{_cure(field, list)}",
                field=_inside("policy", field),
            )
    return tuple((first, second) for first, second in values)


_TABLE, _HOLDS, _PART, _EXACT = 1, 2, 3, 4
"""How near a statement is to a field: its table, what holds it, a part of it, the field itself."""


def line_of(text: str, flaw: Flaw) -> int:
    """Return the line of a flaw, from 1: of its field, else of what holds that, else the first."""
    label, best, found = -1, 0, 1
    for one in statements(text):
        label += one.opens and one.path == ("labels",)
        fit = _fit(one.path, flaw, label)
        if fit > best:
            best, found = fit, one.line
    return found


def _fit(path: tuple[str, ...], flaw: Flaw, label: int) -> int:
    """Return how near a statement is to a flaw, 0 if it is about something else.

    Args:
        path: Of the statement.
        flaw: Says label and field.
        label: Place of the label that the statement belongs to, if it belongs to one; -1 where
            all labels are one value.
    """
    whole, inside = ".".join(path), ".".join(path[1:])
    is_inside = path[0] == "labels" and len(path) > 1
    if flaw.label is not None:
        if path == ("labels",):
            return _TABLE if label in (flaw.label, -1) else 0
        names = [inside] if is_inside and label == flaw.label else []
    else:
        if path == ("policy",) and flaw.field not in (*_SET_FIELDS, ""):
            return _TABLE
        names = [] if is_inside else [whole, inside]
    return max((_likeness(name, flaw.field) for name in names if name and flaw.field), default=0)


def _likeness(name: str, field: str) -> int:
    if name == field:
        return _EXACT
    if name.startswith(f"{field}."):
        return _PART
    return _HOLDS if field.startswith(f"{name}.") else 0
