"""Of which kind an argument must be, and the sentence for one that is of another.

Pure. The doors, the options of a run and the analyzers check with it what callers hand in; what a
value of the right kind may be is checked where it is used.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from analysis.errors import ConfigurationError

_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of values.

    Attributes:
        words: What such a value is, for people.
        takes: Tells whether a value is one.
    """

    words: str
    takes: Callable[[object], bool]

    def __or__(self, other: Kind) -> Kind:
        """Return the kind of values that are of one or the other."""
        return Kind(
            words=f"{self.words}, or {other.words}",
            takes=lambda value: self.takes(value) or other.takes(value),
        )


def instance_of(kind: type, words: str) -> Kind:
    """Return the kind of the instances of a class."""
    return Kind(words=words, takes=lambda value: isinstance(value, kind))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_path(value: object) -> bool:
    if not isinstance(value, str | os.PathLike):
        return False
    path = os.fspath(value)
    try:
        return isinstance(path, str) and "\0" not in path and bool(os.fsencode(path))
    except UnicodeEncodeError:
        return False


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    """Tell whether it is a number that a float can hold; NaN is refused where it is used."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) <= int(math.ldexp(1.0, 1023))


def _are(takes: Callable[[object], bool]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            return False
        return all(takes(one) for one in value)

    return check


def _is_text_by_name(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(_is_text(name) and _is_text(text) for name, text in value.items())


NONE = Kind(words="None", takes=lambda value: value is None)
TEXT = Kind(words="a str", takes=_is_text)
TEXTS = Kind(words="a list of str", takes=_are(_is_text))
TEXT_BY_NAME = Kind(words="a mapping from str to str", takes=_is_text_by_name)
MAPPINGS = Kind(words="a list of mappings", takes=_are(lambda value: isinstance(value, Mapping)))
PATH = Kind(words="a path (a str or Path with a name in it)", takes=_is_path)
PATHS = Kind(words="a list of paths", takes=_are(_is_path))
FLAG = instance_of(bool, "True or False")
WHOLE = Kind(words="a whole number", takes=_is_whole)
NUMBER = Kind(words="a number that a float can hold", takes=_is_number)
CALL = Kind(
    words="a plain function (no async one)",
    takes=lambda value: callable(value) and not inspect.iscoroutinefunction(value),
)


def plain_number(value: Any) -> Any:
    """Return a number of another library, such as numpy's, as Python's own; else the value."""
    is_own = isinstance(value, int | float)
    if not is_own and isinstance(value, numbers.Integral):
        return int(value)
    if not is_own and isinstance(value, numbers.Real):
        return float(value)
    return value


def check_kind(name: str, value: object, kind: Kind) -> None:
    """Refuse a value of another kind; it is not shown, since it may be a key.

    Raises:
        ConfigurationError: Names the argument, the type that was given, and what it must be.
    """
    if not kind.takes(value):
        own = type(value).__name__
        if value is None:
            what = "is None"
        elif own in re.split(r"\W+", kind.words):  # such as a list of other things
            what = f"is a {own} that cannot be used"
        else:
            what = f"is of the type {own}"
        raise ConfigurationError(f"{name} {what}; it must be {kind.words}.")


def checked(
    kinds: Mapping[str, Kind],
) -> Callable[
    [Callable[Concatenate[_Self, _P], _T]],
    Callable[Concatenate[_Self, _P], _T],
]:
    """Return a decorator of a method that checks its arguments before it runs.

    Numbers of other libraries come to the method as Python's own.

    Args:
        kinds: Name of an argument -> kind. A first argument without a name is that of `api_key`.
    """

    def decorate(
        method: Callable[Concatenate[_Self, _P], _T],
    ) -> Callable[Concatenate[_Self, _P], _T]:
        @functools.wraps(method)
        def call(self: _Self, /, *args: _P.args, **given: _P.kwargs) -> _T:
            if args:
                check_kind("api_key", args[0], kinds["api_key"])
            named: Any = {name: plain_number(value) for name, value in given.items()}
            for name, value in named.items():
                if name in kinds:
                    check_kind(name, value, kinds[name])
            return method(self, *args, **named)

        return call

    return decorate
