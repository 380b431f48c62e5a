"""Holds JSON against the types of the vendor's SDK, more strictly than the SDK does itself.

Pure. The SDK's models take any further field and its parameters are not checked at all. Here a
field that the type does not have is a complaint, in models and in parameters alike, and so are
absent fields, values outside a Literal and numbers of another kind. `suites` has the types.
"""

from __future__ import annotations

import collections.abc
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import BaseModel
from typing_extensions import get_type_hints, is_typeddict

_LISTS = (list, collections.abc.Iterable, collections.abc.Sequence)
_DICTS = (dict, collections.abc.Mapping)
_PLAIN: Mapping[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (float, int),
    types.NoneType: (types.NoneType,),
}
"""Plain type -> what JSON may hold in its place."""
_WRAPPERS = (Annotated, Required, NotRequired)


def complaints(kind: Any, value: object, path: str = "") -> list[str]:
    """Return what is wrong with a value, as lines `path: problem`; none if it has the type.

    Args:
        kind: A model, parameters, or any annotation that the SDK makes of them.
        value: Decoded JSON.
        path: Where the value stands; list indexes are left out, so that lines can be counted.

    Raises:
        TypeError: If the annotation is of a sort that is not known here.
    """
    kind = _bare(kind)
    if kind is Any or kind is object:
        return []
    origin = get_origin(kind)
    if origin is Union or origin is types.UnionType:
        return _union(get_args(kind), value, path)
    if origin is Literal:
        return _literal(get_args(kind), value, path)
    if origin in _LISTS or kind is list:
        return _list(kind, value, path)
    if origin in _DICTS or kind is dict:
        return _dict(kind, value, path)
    if _is_record(kind):
        return list(_record(kind, value, path))
    return _plain(kind, value, path)


def _is_record(kind: Any) -> bool:
    return is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel))


def _union(kinds: tuple[Any, ...], value: object, path: str) -> list[str]:
    """Return the complaints of the member that is meant: the one with the value's tags."""
    meant, others = [], []
    for kind in kinds:
        bare = _bare(kind)
        tags = _tags(bare, value)
        if not tags:
            others.append(kind)
        elif not any(complaints(_fields(bare)[name][0], value[name]) for name in tags):  # type: ignore[index]
            meant.append(kind)
    found = []
    for kind in (*meant, *others):
        found.append(complaints(kind, value, path))
        if not found[-1]:
            return []
    if meant or others:
        return min(found[: len(meant)] or found, key=len)
    return complaints(kinds[0], value, path)


def _bare(kind: Any) -> Any:
    while get_origin(kind) in _WRAPPERS:
        kind = get_args(kind)[0]
    return kind


def _tags(kind: Any, value: object) -> list[str]:
    """Return those of `type` and `role` that both a record and a value have."""
    if not _is_record(kind) or not isinstance(value, dict):
        return []
    return [name for name in ("type", "role") if name in _fields(kind) and name in value]


def _literal(allowed: tuple[Any, ...], value: object, path: str) -> list[str]:
    if any(type(value) is type(one) and value == one for one in allowed):
        return []
    return [f"{path}: {value!r} is none of {', '.join(map(repr, allowed))}"]


def _list(kind: Any, value: object, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: no list"]
    member = (get_args(kind) or (Any,))[0]
    return [line for one in value for line in complaints(member, one, f"{path}[]")]


def _dict(kind: Any, value: object, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    member = (get_args(kind) or (str, Any))[1]
    return [line for one in value.values() for line in complaints(member, one, f"{path}.*")]


def _record(kind: Any, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: no object"
        return
    fields = _fields(kind)
    for name, (annotation, is_required) in fields.items():
        where = f"{path}.{name}" if path else name
        if name in value:
            yield from complaints(annotation, value[name], where)
        elif is_required:
            yield f"{where}: absent"
    for name in sorted(value.keys() - fields.keys()):
        yield f"{path}.{name}: not in the type" if path else f"{name}: not in the type"


@cache
def _fields(kind: Any) -> Mapping[str, tuple[Any, bool]]:
    """Return name -> (annotation, whether it must be there)."""
    if not is_typeddict(kind):
        return {
            field.alias or name: (field.annotation, field.is_required())
            for name, field in kind.model_fields.items()
        }
    # The SDK's annotations are strings, so that the class itself has not seen their marks.
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: (
            hint,
            _is_needed(name in kind.__required_keys__, hint),
        )
        for name, hint in hints.items()
    }


def _is_needed(is_by_class: bool, hint: Any) -> bool:
    origin: Any = get_origin(hint)
    return origin is Required or (is_by_class and origin is not NotRequired)


def _plain(kind: Any, value: object, path: str) -> list[str]:
    allowed = _PLAIN.get(kind)
    if allowed is None:
        raise TypeError(f"{path}: {kind!r} is a type that nobody has thought of here.")
    if type(value) in allowed:
        return []
    return [f"{path}: {type(value).__name__} in place of {kind.__name__}"]
