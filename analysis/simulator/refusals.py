"""What the service says instead of an answer, and the checks that lead to it.

Pure. The protocols check what they are sent with these; all of them spell errors alike.
Sources: sections 2.3, 3.6 and 5.3 of the protocol notes; other wordings are guesses.
"""

from __future__ import annotations

from collections.abc import Collection, Sized
from typing import Any, TypeAlias

from analysis.simulator.profile import (
    METADATA_KEY_CHARACTERS,
    METADATA_PAIRS,
    METADATA_VALUE_CHARACTERS,
)

Json: TypeAlias = dict[str, Any]


class Refusal(Exception):
    """What the service says instead of an answer: HTTP status and the fields of its error."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    def fields(self) -> Json:
        """Return the error object of the protocol."""
        return {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }


def invalid_value(message: str, param: str) -> Refusal:
    """Return the refusal of a value that the field does not take."""
    return Refusal(message, code="invalid_value", param=param)


def missing_parameter(param: str) -> Refusal:
    """Return the refusal of a request without a field that it needs."""
    return Refusal(
        f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
    )


def unknown_parameter(param: str) -> Refusal:
    """Return the refusal of a field that is not known."""
    return Refusal(f"Unknown parameter: '{param}'.", code="unknown_parameter", param=param)


def unsupported(value: object, allowed: Collection[str], param: str) -> Refusal:
    """Return the refusal of a value that is not one of those listed."""
    names = [f"'{name}'" for name in allowed]
    listed = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])}, and {names[-1]}"
    return invalid_value(f"Invalid value: '{value}'. Supported values are: {listed}.", param)


def check_choice(value: object, allowed: Collection[str], param: str) -> str:
    """Return the value if it is one of those listed, else raise `Refusal`."""
    if not isinstance(value, str) or value not in allowed:
        raise unsupported(value, allowed, param)
    return value


def check_type(value: object, kind: type, name: str, param: str) -> Any:
    """Return the value if it is of the type, a boolean not being an integer.

    Raises:
        Refusal: With code `invalid_type`, else.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refusal(
            f"Invalid type for '{param}': expected {name}, but got {type(value).__name__} instead.",
            code="invalid_type",
            param=param,
        )
    return value


def check_fields(value: object, allowed: Collection[str], param: str) -> Json:
    """Return the value if it is an object with allowed fields only; `param` "" is the root.

    Raises:
        Refusal: If it is no object or has an unknown field.
    """
    fields: Json = check_type(value, dict, "an object", param)
    for name in fields:
        if name not in allowed:
            raise unknown_parameter(f"{param}.{name}" if param else name)
    return fields


def check_length(text: str, longest: int, param: str) -> None:
    """Raise `Refusal` if the text has more characters than allowed."""
    if len(text) > longest:
        raise Refusal(
            f"Invalid '{param}': string too long. Expected a string with maximum length "
            f"{longest}, but got a string with length {len(text)} instead.",
            code="string_above_max_length",
            param=param,
        )


def check_count(values: Sized, low: int, high: int, param: str) -> None:
    """Raise `Refusal` if an array has fewer or more elements than allowed."""
    size = len(values)
    if low <= size <= high:
        return
    side, bound, extreme = ("short", low, "minimum") if size < low else ("long", high, "maximum")
    found = f"an array with length {size}" if size else "an empty array"
    raise Refusal(
        f"Invalid '{param}': array too {side}. Expected an array with {extreme} length {bound}, "
        f"but got {found} instead.",
        code=f"array_{'below_min' if size < low else 'above_max'}_length",
        param=param,
    )


def check_integer(value: object, low: int, high: int | None, param: str) -> int:
    """Return the value if it is an integer within bounds, else raise `Refusal`."""
    number: int = check_type(value, int, "an integer", param)
    _check_bounds(number, low, high, "integer", param)
    return number


def check_decimal(value: object, low: float, high: float, param: str) -> None:
    """Raise `Refusal` if the value is no number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        check_type(value, float, "a decimal", param)
    else:
        _check_bounds(value, low, high, "decimal", param)


def _check_bounds(value: float, low: float, high: float | None, kind: str, param: str) -> None:
    if value < low:
        side, extreme, bound = "below", "min", f">= {low:g}"
    elif high is not None and value > high:
        side, extreme, bound = "above", "max", f"<= {high:g}"
    else:
        return
    raise Refusal(
        f"Invalid '{param}': {kind} {side} {extreme}imum value. Expected a value {bound}, but got "
        f"{value} instead.",
        code=f"{kind}_{side}_{extreme}_value",
        param=param,
    )


def check_metadata(value: object, param: str) -> dict[str, str]:
    """Return the metadata if it keeps the bounds of the protocol.

    Raises:
        Refusal: If it has too many pairs, a long key, or a value that is long or no string.
    """
    if value is None:
        return {}
    pairs: dict[str, str] = check_type(value, dict, "an object", param)
    if len(pairs) > METADATA_PAIRS:
        raise Refusal(
            f"Invalid '{param}': too many properties. Expected an object with at most "
            f"{METADATA_PAIRS} properties, but got an object with {len(pairs)} properties instead.",
            code="object_above_max_properties",
            param=param,
        )
    for key, text in pairs.items():
        path = f"{param}.{key}"
        check_length(key, METADATA_KEY_CHARACTERS, path)
        check_length(check_type(text, str, "a string", path), METADATA_VALUE_CHARACTERS, path)
    return pairs
