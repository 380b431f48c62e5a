"""Behaviour of the checks of Realtime fields."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator import fields
from analysis.simulator.dialects import BETA, GA
from analysis.simulator.fields import Check, check_item, chosen_name, no_item, text_of
from analysis.simulator.refusals import Refusal
from tests.simulator.examples import CHOICE, NESTED_CHOICE, message


def refusal_of(check: Check, value: Any) -> tuple[str, str | None, str | None]:
    """Return message, code and param of the refusal of a value at the path `p`."""
    with pytest.raises(Refusal) as caught:
        check(value, "p")
    return caught.value.message, caught.value.code, caught.value.param


def test_combinations_are_listed_as_they_are_written() -> None:
    """The message names what came and what is supported."""
    check = fields.modalities((("text",), ("audio", "text")))
    check(["text", "audio"], "p")
    assert (
        "Invalid modalities: ['audio']. "
        "Supported combinations are: ['text'] and ['audio', 'text'].",
        "invalid_value",
        "p",
    ) == refusal_of(check, ["audio"])


def test_decimals_have_inclusive_bounds() -> None:
    """A value on the bound passes, below and above have codes of their own."""
    check = fields.decimal(0.6, 1.2)
    for value in (0.6, 1, 1.2):
        check(value, "p")
    assert (
        "Invalid 'p': decimal below minimum value. Expected a value >= 0.6, but got 0 instead.",
        "decimal_below_min_value",
        "p",
    ) == refusal_of(check, 0)
    assert (
        "Invalid 'p': decimal above maximum value. Expected a value <= 1.2, but got 2 instead.",
        "decimal_above_max_value",
        "p",
    ) == refusal_of(check, 2)


def test_record_checks_its_parts() -> None:
    """Null counts as absent, unknown parts and wrong values are named by their path."""
    check = fields.record({"a": fields.text})
    check({"a": None}, "p")
    assert ("unknown_parameter", "p.b") == refusal_of(check, {"b": None})[1:]
    assert ("invalid_type", "p.a") == refusal_of(check, {"a": 1})[1:]


def test_long_tool_description_states_both_lengths() -> None:
    """The message is the one that was reported."""
    tool = {"type": "function", "name": "f", "description": "x" * 2_473}
    assert (
        "Invalid 'p[0].description': string too long. Expected a string with maximum length 1024, "
        "but got a string with length 2473 instead.",
        "string_above_max_length",
        "p[0].description",
    ) == refusal_of(fields.tools, [tool])


@pytest.mark.parametrize("cap", [1, 4_096, "inf"])
def test_output_caps_pass(cap: int | str) -> None:
    """1 to 4096, or no cap."""
    fields.output_cap(cap, "p")


@pytest.mark.parametrize(
    ("cap", "code"),
    [
        (0, "integer_below_min_value"),
        (4_097, "integer_above_max_value"),
        (1.5, "invalid_type"),
        (True, "invalid_type"),
        ("all", "invalid_type"),
    ],
)
def test_wrong_output_caps_are_refused(cap: Any, code: str) -> None:
    """Out of bounds, or no integer."""
    assert code == refusal_of(fields.output_cap, cap)[1]


@pytest.mark.parametrize(
    ("choice", "code", "param"),
    [
        ("always", "invalid_value", "p"),
        ({"type": "mcp"}, "invalid_value", "p.type"),
        ({"type": "function"}, "missing_required_parameter", "p.name"),
        ({"type": "function", "function": {}}, "missing_required_parameter", "p.function.name"),
        ({"type": "function", "function": "f"}, "invalid_type", "p.function"),
        ({"type": "function", "name": 1}, "invalid_type", "p.name"),
    ],
)
def test_wrong_choices_are_refused(choice: Any, code: str, param: str) -> None:
    """A choice is a word or names a function."""
    check = fields.tool_choice(is_nested_allowed=True)
    assert (code, param) == refusal_of(check, choice)[1:]


def test_choice_is_spelled_in_two_ways() -> None:
    """The nested spelling passes where it is allowed only."""
    for choice in (CHOICE, NESTED_CHOICE):
        fields.tool_choice(is_nested_allowed=True)(choice, "p")
        assert "set_labels" == chosen_name(choice)
    flat = fields.tool_choice(is_nested_allowed=False)
    assert ("unknown_parameter", "p.function") == refusal_of(flat, NESTED_CHOICE)[1:]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ("x", "item"),
        ({"type": "item_reference", "id": "i"}, "item.type"),
        ({"type": "message", "role": "user"}, "item.content"),
        ({"type": "message", "role": "tool", "content": []}, "item.role"),
        (message("x") | {"bogus": 1}, "item.bogus"),
        (message("x") | {"role": "assistant"}, "item.content[0].type"),
        ({"type": "function_call", "name": "f"}, "item.arguments"),
        (message("x") | {"id": ["a"]}, "item.id"),
        ({"type": "function_call", "name": None, "arguments": "{}"}, "item.name"),
    ],
)
def test_wrong_items_are_refused(item: object, param: str) -> None:
    """Items need their fields, and the content type of their role."""
    with pytest.raises(Refusal) as caught:
        check_item(item, "item", GA.part_types)
    assert param == caught.value.param


def test_text_of_items() -> None:
    """Messages, calls and their outputs all have a text."""
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "done"}
    assert ["x", "{}", "done"] == [text_of(item) for item in (message("x"), call, result)]


def test_assistant_parts_follow_the_dialect() -> None:
    """What one dialect takes the other refuses."""
    parts = {"ga": [{"type": "output_text", "text": "x"}], "beta": [{"type": "text", "text": "x"}]}
    answers = {
        name: {"type": "message", "role": "assistant", "content": content}
        for name, content in parts.items()
    }
    assert answers["ga"] == check_item(answers["ga"], "item", GA.part_types)
    assert answers["beta"] == check_item(answers["beta"], "item", BETA.part_types)
    with pytest.raises(Refusal, match="Supported values are: 'text'"):
        check_item(answers["ga"], "item", BETA.part_types)


def test_missing_item_is_named() -> None:
    """Code and message hold what was tried and the id."""
    refusal = no_item("delete", "i1", "item_id")
    assert ("item_delete_invalid_item_id", "item_id", True) == (
        refusal.code,
        refusal.param,
        "'i1' not found" in refusal.message,
    )
