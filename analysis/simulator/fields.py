"""Checks of single fields of Realtime sessions, responses and items, for the tables of `dialects`.

Pure. A check takes the value and its path and raises `Refusal` if the value is wrong; some are made
here from the bounds that a dialect states. Sources: sections 2.3, 3.1, 3.5 and 3.6 of the protocol
notes; wordings that they do not give are guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_decimal,
    check_fields,
    check_integer,
    check_length,
    check_type,
    invalid_value,
    missing_parameter,
    unsupported,
)

Check: TypeAlias = Callable[[Any, str], None]

LONGEST_TOOL_DESCRIPTION = 1_024
"""Characters of a tool description, section 2.3."""
LARGEST_OUTPUT_CAP = 4_096
"""Tokens of a response, sections 2.3 and 3.1."""
PCM_RATE = 24_000
"""Smallest sample rate of PCM audio, section 3.6."""

_CHOICES = ("auto", "none", "required")
_AUDIO_FORMATS = ("audio/pcm", "audio/pcmu", "audio/pcma")
_TOOL_FIELDS = frozenset({"type", "name", "description", "parameters"})
_ITEM_FIELDS = {
    "message": frozenset({"id", "object", "type", "status", "role", "content"}),
    "function_call": frozenset({"id", "object", "type", "status", "name", "call_id", "arguments"}),
    "function_call_output": frozenset({"id", "object", "type", "status", "call_id", "output"}),
    "item_reference": frozenset({"id", "type"}),
}
_TEXT_FIELDS = frozenset({"id", "name", "call_id", "arguments", "output"})
_NEEDED_FIELDS = {
    "message": ("role", "content"),
    "function_call": ("name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "item_reference": ("id",),
}


def anything(value: Any, param: str) -> None:
    """Take a value that this service does not use."""


def text(value: Any, param: str) -> None:
    """Take a string."""
    check_type(value, str, "a string", param)


def one_of(allowed: Collection[str]) -> Check:
    """Return a check that takes these names only."""

    def check(value: Any, param: str) -> None:
        if not isinstance(value, str) or value not in allowed:
            raise unsupported(value, allowed, param)

    return check


def record(fields: Mapping[str, Check]) -> Check:
    """Return a check that takes an object with these fields; null counts as absent."""

    def check(value: Any, param: str) -> None:
        for name, part in check_fields(value, fields, param).items():
            if part is not None:
                fields[name](part, f"{param}.{name}")

    return check


def decimal(low: float, high: float) -> Check:
    """Return a check that takes a number within these bounds."""

    def check(value: Any, param: str) -> None:
        check_decimal(value, low, high, param)

    return check


def modalities(combinations: tuple[tuple[str, ...], ...]) -> Check:
    """Return a check that takes these combinations in any order."""
    listed = " and ".join(str(list(names)) for names in combinations)

    def check(value: Any, param: str) -> None:
        given = check_type(value, list, "an array", param)
        if not any(
            len(given) == len(names) and all(name in given for name in names)
            for names in combinations
        ):
            raise invalid_value(
                f"Invalid modalities: {given}. Supported combinations are: {listed}.", param
            )

    return check


def output_cap(value: Any, param: str) -> None:
    """Take a number of tokens, or "inf" for no cap."""
    if value != "inf":
        check_integer(value, 1, LARGEST_OUTPUT_CAP, param)


def tools(value: Any, param: str) -> None:
    """Take a list of functions."""
    for index, tool in enumerate(check_type(value, list, "an array", param)):
        _check_tool(tool, f"{param}[{index}]")


def _check_tool(value: object, param: str) -> None:
    tool = check_type(value, dict, "an object", param)
    if tool.get("type") != "function":
        raise unsupported(tool.get("type"), ("function",), f"{param}.type")
    check_fields(tool, _TOOL_FIELDS, param)
    if "name" not in tool:
        raise missing_parameter(f"{param}.name")
    check_type(tool["name"], str, "a string", f"{param}.name")
    if "description" in tool:
        path = f"{param}.description"
        check_length(
            check_type(tool["description"], str, "a string", path), LONGEST_TOOL_DESCRIPTION, path
        )
    if "parameters" in tool:
        check_type(tool["parameters"], dict, "an object", f"{param}.parameters")


def tool_choice(*, is_nested_allowed: bool) -> Check:
    """Return a check of a choice: a word, `{type, name}` or, if allowed, `{type, function}`."""
    allowed = ("type", "name", "function") if is_nested_allowed else ("type", "name")

    def check(value: Any, param: str) -> None:
        if isinstance(value, str):
            if value not in _CHOICES:
                raise unsupported(value, _CHOICES, param)
            return
        fields = check_fields(value, allowed, param)
        if fields.get("type") != "function":
            raise unsupported(fields.get("type"), ("function",), f"{param}.type")
        if "function" in fields:
            fields, param = fields["function"], f"{param}.function"
            check_fields(fields, ("name",), param)
        if "name" not in fields:
            raise missing_parameter(f"{param}.name")
        check_type(fields["name"], str, "a string", f"{param}.name")

    return check


def chosen_name(choice: Json) -> str:
    """Return the function that a checked choice names, in either spelling."""
    name: str = choice["name"] if "name" in choice else choice["function"]["name"]
    return name


def turn_detection(fields: Mapping[str, Collection[str]]) -> Check:
    """Return a check that takes detection of these types, each with its fields."""

    def check(value: Any, param: str) -> None:
        detection = check_type(value, dict, "an object", param)
        if "type" not in detection:
            raise missing_parameter(f"{param}.type")
        one_of(fields)(detection["type"], f"{param}.type")
        check_fields(detection, fields[detection["type"]], param)

    return check


def audio_format(value: Any, param: str) -> None:
    """Take an audio format of the GA dialect."""
    form = check_fields(value, ("type", "rate"), param)
    one_of(_AUDIO_FORMATS)(form.get("type"), f"{param}.type")
    if form["type"] == "audio/pcm":
        if form.get("rate") is None:
            raise missing_parameter(f"{param}.rate")
        check_integer(form["rate"], PCM_RATE, None, f"{param}.rate")


def items(part_types: Mapping[str, str]) -> Check:
    """Return a check of a list of items, references among them."""

    def check(value: Any, param: str) -> None:
        for index, each in enumerate(check_type(value, list, "an array", param)):
            check_item(each, f"{param}[{index}]", part_types, is_reference_allowed=True)

    return check


def check_item(
    value: object, param: str, part_types: Mapping[str, str], *, is_reference_allowed: bool = False
) -> Json:
    """Return the item if a conversation or an input may hold it.

    Args:
        value: The item.
        param: Its path.
        part_types: Type of the content parts of each role.
        is_reference_allowed: Whether it may refer to another item.

    Raises:
        Refusal: Else. Parts other than text are refused: this service neither hears nor sees.
    """
    item: Json = check_type(value, dict, "an object", param)
    kind = item.get("type")
    kinds = [name for name in _ITEM_FIELDS if is_reference_allowed or name != "item_reference"]
    if kind not in kinds:
        raise unsupported(kind, kinds, f"{param}.type")
    check_fields(item, _ITEM_FIELDS[kind], param)
    for name in _NEEDED_FIELDS[kind]:
        if name not in item:
            raise missing_parameter(f"{param}.{name}")
    for name in _TEXT_FIELDS.intersection(item):
        if item[name] is not None or name in _NEEDED_FIELDS[kind]:
            text(item[name], f"{param}.{name}")
    if kind == "message":
        one_of(part_types)(item["role"], f"{param}.role")
        _check_content(item["content"], f"{param}.content", part_types[item["role"]])
    return item


def _check_content(value: object, param: str, allowed: str) -> None:
    for index, part in enumerate(check_type(value, list, "an array", param)):
        path = f"{param}[{index}]"
        if check_type(part, dict, "an object", path).get("type") != allowed:
            raise unsupported(part.get("type"), (allowed,), f"{path}.type")
        check_type(check_fields(part, ("type", "text"), path).get("text"), str, "a string", path)


def text_of(item: Json) -> str:
    """Return the text of a checked item, whatever its type."""
    if item["type"] == "message":
        return "".join(part["text"] for part in item["content"] if "text" in part)
    return str(item.get("arguments", item.get("output", "")))


def no_item(verb: str, item_id: object, param: str) -> Refusal:
    """Return the refusal of an id that the conversation does not have."""
    return Refusal(
        f"Item with id '{item_id}' not found in the conversation.",
        code=f"item_{verb}_invalid_item_id",
        param=param,
    )
