"""The input of a decision: messages, tool calls and their parts, read into text.

Pure. `decisions` reads the shared input and the instructions of questions with it. Source: section
2.2 of the notes on decisions; wordings of refusals are guesses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from analysis.simulator.cache import Block
from analysis.simulator.refusals import (
    Json,
    check_choice,
    check_count,
    check_fields,
    check_type,
    invalid_value,
    missing_parameter,
)
from analysis.simulator.service import encode

JSON_LEVELS = 32
JSON_VALUES = 10_000
JSON_BYTES = 256 * 1024
"""Bounds of an `input_json` part."""

_MESSAGE_FIELDS = frozenset({"type", "role", "content"})
_PART_FIELDS = {
    "input_text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "input_image": frozenset({"type", "image_url", "detail", "prompt_cache_breakpoint"}),
    "input_json": frozenset({"type", "data"}),
    "output_text": frozenset({"type", "text"}),
    "refusal": frozenset({"type", "refusal"}),
}
_ROLE_PARTS = {
    "user": ("input_text", "input_image", "input_json"),
    "developer": ("input_text",),
    "system": ("input_text",),
    "assistant": ("output_text", "refusal"),
}
QUESTION_PARTS = ("input_text", "input_image", "input_json")
"""Types of the parts of a question's instructions."""
_OUTPUT_PARTS = ("input_text", "input_image")
_PHASES = ("commentary", "final_answer")
_DETAILS = ("low", "high", "auto", "original")
_STATES = ("in_progress", "completed", "incomplete")
_CALL_FIELDS = frozenset({"type", "call_id", "name", "id", "namespace", "status"})
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Type of a call -> its field of text."""
_OUTPUTS = {
    "function_call_output": "function_call",
    "custom_tool_call_output": "custom_tool_call",
}
"""Type of an output -> type of the call that it needs."""
_OUTPUT_FIELDS = frozenset({"type", "call_id", "output", "id", "status"})
_IMAGE = re.compile(r"data:image/[a-z0-9.+-]+;base64,|https?://", re.IGNORECASE)


@dataclass(slots=True)
class Evidence:
    """What was read so far.

    Attributes:
        blocks: Texts in order, each with its role; a part is a block.
        content: Text of the last user message, or None.
        images: Number of images.
    """

    blocks: list[Block] = field(default_factory=list)
    content: str | None = None
    images: int = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all texts."""
        return sum(len(block.text.encode()) for block in self.blocks)


def read_input(value: object) -> Evidence:
    """Read the shared input, a string or a list of items.

    Raises:
        Refusal: If it has a form that the service does not take.
    """
    evidence = Evidence()
    if isinstance(value, str):
        evidence.blocks.append(Block(role="user", text=value))
        evidence.content = value
        return evidence
    calls: set[tuple[str, str]] = set()
    for index, item in enumerate(check_type(value, list, "a string or an array", "input")):
        path = f"input[{index}]"
        given = check_type(item, dict, "an object", path).get("type", "message")
        kind = check_choice(given, ("message", *_CALLS, *_OUTPUTS), f"{path}.type")
        if kind == "message":
            _read_message(evidence, item, path)
        elif kind in _CALLS:
            _read_call(evidence, item, kind, path)
            calls.add((kind, item["call_id"]))
        else:
            _read_output(evidence, item, path)
            if (_OUTPUTS[kind], item["call_id"]) not in calls:
                raise invalid_value(
                    f"No tool call found for output with call_id {item['call_id']}.",
                    f"{path}.call_id",
                )
    return evidence


def _read_message(evidence: Evidence, item: Json, path: str) -> None:
    role = check_choice(item.get("role"), _ROLE_PARTS, f"{path}.role")
    check_fields(item, _MESSAGE_FIELDS | ({"phase"} if role == "assistant" else set()), path)
    if item.get("phase") is not None:
        check_choice(item["phase"], _PHASES, f"{path}.phase")
    start = len(evidence.blocks)
    read_parts(evidence, item.get("content"), f"{path}.content", role=role, types=_ROLE_PARTS[role])
    if role == "user":
        evidence.content = "".join(block.text for block in evidence.blocks[start:])


def _read_call(evidence: Evidence, item: Json, kind: str, path: str) -> None:
    check_fields(item, _CALL_FIELDS | {_CALLS[kind]}, path)
    for name in ("call_id", "name", _CALLS[kind]):
        _check_text(item, name, path)
    _check_state(item, path)
    evidence.blocks.append(Block(role="tool", text=f"{item['name']} {item[_CALLS[kind]]}"))


def _read_output(evidence: Evidence, item: Json, path: str) -> None:
    check_fields(item, _OUTPUT_FIELDS, path)
    _check_text(item, "call_id", path)
    _check_state(item, path)
    where = f"{path}.output"
    read_parts(evidence, item.get("output"), where, role="tool", types=_OUTPUT_PARTS)


def _check_text(item: Json, name: str, path: str) -> None:
    if name not in item:
        raise missing_parameter(f"{path}.{name}")
    check_type(item[name], str, "a string", f"{path}.{name}")


def _check_state(item: Json, path: str) -> None:
    if item.get("status") is not None:
        check_choice(item["status"], _STATES, f"{path}.status")


def read_parts(
    evidence: Evidence,
    value: object,
    path: str,
    *,
    role: str,
    types: tuple[str, ...],
    has_breakpoints: bool = True,
) -> None:
    """Read a string or a list of parts into blocks of a role.

    Raises:
        Refusal: If a part is of another type, has an unknown field or a wrong value.
    """
    if isinstance(value, str):
        evidence.blocks.append(Block(role=role, text=value))
        return
    for index, part in enumerate(check_type(value, list, "a string or an array", path)):
        where = f"{path}[{index}]"
        given = check_type(part, dict, "an object", where).get("type")
        kind = check_choice(given, types, f"{where}.type")
        fields = _PART_FIELDS[kind] - (set() if has_breakpoints else {"prompt_cache_breakpoint"})
        check_fields(part, fields, where)
        if kind == "input_image":
            _check_image(part, where)
            evidence.images += 1
            text = ""
        elif kind == "input_json":
            text = _json_text(part, where)
        else:
            name = "refusal" if kind == "refusal" else "text"
            _check_text(part, name, where)
            text = part[name]
        is_breakpoint = part.get("prompt_cache_breakpoint") is not None
        if is_breakpoint:
            _check_breakpoint(part["prompt_cache_breakpoint"], f"{where}.prompt_cache_breakpoint")
        evidence.blocks.append(Block(role=role, text=text, is_breakpoint=is_breakpoint))


def _check_breakpoint(value: object, path: str) -> None:
    mode = check_fields(value, ("mode",), path).get("mode")
    check_choice(mode, ("explicit",), f"{path}.mode")


def _check_image(part: Json, path: str) -> None:
    _check_text(part, "image_url", path)
    if not _IMAGE.match(part["image_url"]):
        raise invalid_value(
            f"Invalid '{path}.image_url'. Expected a base64-encoded data URL with an image MIME "
            "type or an HTTP(S) URL.",
            f"{path}.image_url",
        )
    if part.get("detail") is not None:
        check_choice(part["detail"], _DETAILS, f"{path}.detail")


def _json_text(part: Json, path: str) -> str:
    """Return the compact JSON of an `input_json` part after its bounds were checked."""
    where = f"{path}.data"
    if "data" not in part:
        raise missing_parameter(where)
    data = part["data"]
    roots = data if isinstance(data, list) else [data]
    for root in roots:
        check_type(root, dict, "an object or an array of objects", where)
    values = 0
    level: list[object] = list(roots)
    depth = 1
    while level:
        values += len(level)
        if depth > JSON_LEVELS:
            raise invalid_value(f"Invalid '{where}': more than {JSON_LEVELS} levels.", where)
        level = [child for value in level for child in _children(value)]
        check_count(range(values + len(level)), 0, JSON_VALUES, where)
        depth += 1
    text = encode(data).decode()
    if len(text.encode()) > JSON_BYTES:
        raise invalid_value(f"Invalid '{where}': more than {JSON_BYTES} bytes.", where)
    return text


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
