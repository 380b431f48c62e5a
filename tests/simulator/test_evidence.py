"""Behaviour of the reader of a decision's input."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator.evidence import read_input
from analysis.simulator.refusals import Refusal

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "done"}
TEXT = {"type": "input_text", "text": "t"}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """Return a user message."""
    return {"role": "user", "content": list(parts)}


def test_every_item_is_read() -> None:
    """Messages, calls and outputs come as blocks in order; the last user message is the content."""
    evidence = read_input(
        [
            {"type": "message", "role": "developer", "content": "d"},
            {"role": "system", "content": [TEXT]},
            {"role": "assistant", "phase": "commentary", "content": "a"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "o"}]},
            CALL,
            {**OUTPUT, "status": "completed"},
            {"type": "custom_tool_call", "call_id": "e", "name": "g", "input": "i"},
            {"type": "custom_tool_call_output", "call_id": "e", "output": [TEXT]},
            user(TEXT, {**TEXT, "prompt_cache_breakpoint": {"mode": "explicit"}}),
            user({"type": "input_json", "data": {"a": [1, 2]}}),
            {"role": "developer", "content": "z"},
        ]
    )
    texts = ["d", "t", "a", "no", "o", "f {}", "done", "g i", "t", "t", "t", '{"a":[1,2]}', "z"]
    assert texts == [block.text for block in evidence.blocks]
    assert [9 + 1] == [index for index, block in enumerate(evidence.blocks) if block.is_breakpoint]
    assert '{"a":[1,2]}' == evidence.content


def test_text_is_one_user_message() -> None:
    """A plain string is the content; bytes are counted, not characters."""
    evidence = read_input("é")
    assert ("é", 2, 0) == (evidence.content, evidence.size_bytes, evidence.images)


def nested(levels: int) -> dict[str, Any]:
    """Return an object with so many levels of values."""
    value: Any = 1
    for _ in range(levels - 1):
        value = {"a": value}
    return {"a": value} if levels == 1 else value


def json_part(data: Any) -> list[dict[str, Any]]:
    """Return an input with one JSON part."""
    return [user({"type": "input_json", "data": data})]


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        (1, "invalid_type", "input"),
        ([1], "invalid_type", "input[0]"),
        ([{"type": "reasoning"}], "invalid_value", "input[0].type"),
        ([{"role": "tool", "content": "t"}], "invalid_value", "input[0].role"),
        ([{"role": "user"}], "invalid_type", "input[0].content"),
        ([{**user(TEXT), "id": "x"}], "unknown_parameter", "input[0].id"),
        ([{**user(TEXT), "phase": "commentary"}], "unknown_parameter", "input[0].phase"),
        (
            [{"role": "assistant", "content": "t", "phase": "x"}],
            "invalid_value",
            "input[0].phase",
        ),
        (
            [{"role": "assistant", "content": [TEXT]}],
            "invalid_value",
            "input[0].content[0].type",
        ),
        (
            [{"role": "developer", "content": [{"type": "input_image", "image_url": "x"}]}],
            "invalid_value",
            "input[0].content[0].type",
        ),
        ([user({"type": "input_text"})], "missing_required_parameter", "input[0].content[0].text"),
        (
            [user({"type": "input_image", "image_url": "file-1"})],
            "invalid_value",
            "input[0].content[0].image_url",
        ),
        (
            [user({"type": "input_image", "image_url": "https://x/y", "detail": "all"})],
            "invalid_value",
            "input[0].content[0].detail",
        ),
        (
            [user({**TEXT, "prompt_cache_breakpoint": {"mode": "implicit"}})],
            "invalid_value",
            "input[0].content[0].prompt_cache_breakpoint.mode",
        ),
        ([OUTPUT], "invalid_value", "input[0].call_id"),
        ([CALL, {**OUTPUT, "call_id": "d"}], "invalid_value", "input[1].call_id"),
        ([OUTPUT, CALL], "invalid_value", "input[0].call_id"),
        ([{**CALL, "name": 1}], "invalid_type", "input[0].name"),
        ([{**CALL, "input": "x"}], "unknown_parameter", "input[0].input"),
        ([{**CALL, "status": "new"}], "invalid_value", "input[0].status"),
        (json_part("text"), "invalid_type", "input[0].content[0].data"),
        ([user({"type": "input_json"})], "missing_required_parameter", "input[0].content[0].data"),
        (json_part(nested(33)), "invalid_value", "input[0].content[0].data"),
        (
            json_part({"a": [0] * 10_000}),
            "array_above_max_length",
            "input[0].content[0].data",
        ),
        (json_part({"a": "x" * 262_144}), "invalid_value", "input[0].content[0].data"),
    ],
)
def test_bad_inputs_are_refused(value: Any, code: str, param: str) -> None:
    """Each names its code and its place."""
    with pytest.raises(Refusal) as caught:
        read_input(value)
    assert (code, param) == (caught.value.code, caught.value.param)


def test_bounds_of_json_are_allowed() -> None:
    """32 levels and 10,000 values pass."""
    assert 1 == len(read_input(json_part(nested(32))).blocks)
    assert 1 == len(read_input(json_part([{"a": 1}] * 5_000)).blocks)
