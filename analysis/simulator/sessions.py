"""What a Realtime session, response or item may hold: defaults, checks and the merge of updates.

Pure. `realtime` calls it for every client event that carries settings. Sources: sections 3.1, 3.3,
3.5 and 3.6 of the protocol notes; wordings that they do not give are guesses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from analysis.simulator.profile import (
    AUDIO_INPUT_FIELDS,
    AUDIO_MIN_RATE,
    AUDIO_OUTPUT_FIELDS,
    DEFAULT_INSTRUCTIONS,
    REALTIME_EFFORTS,
    REALTIME_MAX_OUTPUT_TOKENS,
    RESPONSE_FIELDS,
    SESSION_FIELDS,
    TOOL_DESCRIPTION_CHARACTERS,
    TOOL_FIELDS,
    TURN_DETECTION_FIELDS,
)
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_fields,
    check_length,
    check_metadata,
    check_type,
    invalid_value,
    missing_parameter,
)

_FORMATS = ("audio/pcm", "audio/pcmu", "audio/pcma")
_CHOICES = ("auto", "none", "required")
_ITEM_FIELDS = {
    "message": frozenset({"id", "object", "type", "status", "role", "content"}),
    "function_call": frozenset({"id", "object", "type", "status", "name", "call_id", "arguments"}),
    "function_call_output": frozenset({"id", "object", "type", "status", "call_id", "output"}),
    "item_reference": frozenset({"id", "type"}),
}
_FIXED_FIELDS = ("model", "audio")
_NULLABLE_FIELDS = ("tracing", "prompt", "include", "reasoning", "parallel_tool_calls")
_NEEDED_FIELDS = {
    "message": ("role", "content"),
    "function_call": ("name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "item_reference": ("id",),
}
_PART_TYPES = {"user": "input_text", "system": "input_text", "assistant": "output_text"}


def default_session(*, session_id: str, model: str, expires_at: int) -> Json:
    """Return the settings that a session starts with; it speaks until told to write."""
    pcm = {"type": "audio/pcm", "rate": AUDIO_MIN_RATE}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "prompt": None,
        "truncation": "auto",
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _default_turn_detection(),
            },
            "output": {"format": pcm, "voice": "alloy", "speed": 1},
        },
        "include": None,
    }


def _default_turn_detection() -> Json:
    return {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def updated(session: Json, update: object) -> Json:
    """Return the session after an update; the session itself stays as it is.

    Raises:
        Refusal: If any part of the update is wrong; then nothing of it applies.
    """
    if update is None:
        raise missing_parameter("session")
    fields = check_type(update, dict, "an object", "session")
    if "type" not in fields:
        raise missing_parameter("session.type")
    if fields["type"] not in ("realtime", "transcription"):
        raise unsupported(fields["type"], ("realtime", "transcription"), "session.type")
    if fields["type"] == "transcription":
        raise invalid_value(
            "Passing a transcription session update event to a realtime session is not allowed.",
            "session.type",
        )
    check_fields(fields, SESSION_FIELDS, "session")
    _check_settings(fields, "session")
    merged = session | {
        name: value
        for name, value in fields.items()
        if name not in _FIXED_FIELDS and (value is not None or name in _NULLABLE_FIELDS)
    }
    if "audio" in fields:
        audio = {side: dict(settings) for side, settings in session["audio"].items()}
        for side, settings in (fields["audio"] or {}).items():
            audio[side] |= settings or {}
        detection = audio["input"]["turn_detection"]
        if detection and detection["type"] == "server_vad":
            audio["input"]["turn_detection"] = _default_turn_detection() | detection
        merged["audio"] = audio
    _check_chosen_tool(merged, "session")
    return merged


def effective_response(session: Json, response: object) -> Json:
    """Return the session's settings with those of a `response.create` on top.

    Raises:
        Refusal: If the response has an unknown field or a wrong value.
    """
    fields = check_fields(response or {}, RESPONSE_FIELDS, "response")
    _check_settings(fields, "response")
    check_metadata(fields.get("metadata"), "response.metadata")
    if fields.get("input") is not None:
        for index, item in enumerate(
            check_type(fields["input"], list, "an array", "response.input")
        ):
            check_item(item, f"response.input[{index}]", is_reference_allowed=True)
    given = {name: value for name, value in fields.items() if value is not None}
    merged = session | given
    if "audio" in given:
        output = session["audio"]["output"] | (given["audio"].get("output") or {})
        merged["audio"] = session["audio"] | {"output": output}
    _check_chosen_tool(merged, "response")
    return merged


def unsupported(value: object, allowed: Collection[str], param: str) -> Refusal:
    """Return the refusal of a value that is not one of those listed."""
    names = [f"'{name}'" for name in allowed]
    listed = " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])}, and {names[-1]}"
    return invalid_value(f"Invalid value: '{value}'. Supported values are: {listed}.", param)


def _check_settings(fields: Mapping[str, object], param: str) -> None:
    """Check what sessions and responses have in common."""
    if fields.get("output_modalities") is not None:
        modalities = fields["output_modalities"]
        if modalities not in (["text"], ["audio"]):
            raise invalid_value(
                f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and "
                "['audio'].",
                f"{param}.output_modalities",
            )
    if fields.get("instructions") is not None:
        check_type(fields["instructions"], str, "a string", f"{param}.instructions")
    if fields.get("max_output_tokens") is not None:
        _check_output_cap(fields["max_output_tokens"], f"{param}.max_output_tokens")
    if fields.get("tools") is not None:
        tools = check_type(fields["tools"], list, "an array", f"{param}.tools")
        for index, tool in enumerate(tools):
            _check_tool(tool, f"{param}.tools[{index}]")
    if fields.get("tool_choice") is not None:
        _check_tool_choice(fields["tool_choice"], f"{param}.tool_choice")
    if fields.get("reasoning") is not None:
        reasoning = check_fields(fields["reasoning"], ("effort",), f"{param}.reasoning")
        effort = reasoning.get("effort")
        if effort is not None and effort not in REALTIME_EFFORTS:
            raise unsupported(effort, REALTIME_EFFORTS, f"{param}.reasoning.effort")
    if fields.get("audio") is not None:
        sides = ("input", "output") if param == "session" else ("output",)
        _check_audio(check_fields(fields["audio"], sides, f"{param}.audio"), f"{param}.audio")


def _check_output_cap(cap: object, param: str) -> None:
    if cap == "inf":
        return
    tokens = check_type(cap, int, "an integer", param)
    if 1 <= tokens <= REALTIME_MAX_OUTPUT_TOKENS:
        return
    side, extreme, bound = (
        ("below", "min", ">= 1")
        if tokens < 1
        else ("above", "max", f"<= {REALTIME_MAX_OUTPUT_TOKENS}")
    )
    raise Refusal(
        f"Invalid '{param}': integer {side} {extreme}imum value. Expected a value {bound}, but got "
        f"{tokens} instead.",
        code=f"integer_{side}_{extreme}_value",
        param=param,
    )


def _check_tool(value: object, param: str) -> None:
    tool = check_type(value, dict, "an object", param)
    if tool.get("type") != "function":
        raise unsupported(tool.get("type"), ("function",), f"{param}.type")
    check_fields(tool, TOOL_FIELDS, param)
    if "name" not in tool:
        raise missing_parameter(f"{param}.name")
    check_type(tool["name"], str, "a string", f"{param}.name")
    if tool.get("description") is not None:
        text = check_type(tool["description"], str, "a string", f"{param}.description")
        check_length(text, TOOL_DESCRIPTION_CHARACTERS, f"{param}.description")
    if tool.get("parameters") is not None:
        check_type(tool["parameters"], dict, "an object", f"{param}.parameters")


def _check_tool_choice(choice: object, param: str) -> None:
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise unsupported(choice, _CHOICES, param)
        return
    fields = check_fields(choice, ("type", "name"), param)
    if fields.get("type") != "function":
        raise unsupported(fields.get("type"), ("function",), f"{param}.type")
    if "name" not in fields:
        raise missing_parameter(f"{param}.name")


def _check_chosen_tool(merged: Json, param: str) -> None:
    """Refuse a choice of a function that is not among the tools."""
    choice = merged["tool_choice"]
    if isinstance(choice, dict):
        names = [tool["name"] for tool in merged["tools"]]
        if choice["name"] not in names:
            raise invalid_value(
                f"Tool choice '{choice['name']}' not found in 'tools' parameter.",
                f"{param}.tool_choice",
            )


def _check_audio(audio: Json, param: str) -> None:
    for side, fields in (("input", AUDIO_INPUT_FIELDS), ("output", AUDIO_OUTPUT_FIELDS)):
        if audio.get(side) is None:
            continue
        settings = check_fields(audio[side], fields, f"{param}.{side}")
        if settings.get("format") is not None:
            _check_audio_format(settings["format"], f"{param}.{side}.format")
        if settings.get("turn_detection") is not None:
            path = f"{param}.{side}.turn_detection"
            detection = check_type(settings["turn_detection"], dict, "an object", path)
            kind = detection.get("type")
            if kind not in TURN_DETECTION_FIELDS:
                raise unsupported(kind, TURN_DETECTION_FIELDS, f"{path}.type")
            check_fields(detection, TURN_DETECTION_FIELDS[kind], path)


def _check_audio_format(value: object, param: str) -> None:
    form = check_fields(value, ("type", "rate"), param)
    if form.get("type") not in _FORMATS:
        raise unsupported(form.get("type"), _FORMATS, f"{param}.type")
    if form["type"] != "audio/pcm":
        return
    if form.get("rate") is None:
        raise missing_parameter(f"{param}.rate")
    rate = check_type(form["rate"], int, "an integer", f"{param}.rate")
    if rate < AUDIO_MIN_RATE:
        raise Refusal(
            f"Invalid '{param}.rate': integer below minimum value. Expected a value >= "
            f"{AUDIO_MIN_RATE}, but got {rate} instead.",
            code="integer_below_min_value",
            param=f"{param}.rate",
        )


def check_item(value: object, param: str, *, is_reference_allowed: bool = False) -> Json:
    """Return the item if a conversation or an input may hold it.

    Raises:
        Refusal: Else. Parts other than text are refused: this service neither hears nor sees.
    """
    item: Json = check_type(value, dict, "an object", param)
    kinds = [kind for kind in _ITEM_FIELDS if is_reference_allowed or kind != "item_reference"]
    kind = item.get("type")
    if kind not in kinds:
        raise unsupported(kind, kinds, f"{param}.type")
    check_fields(item, _ITEM_FIELDS[kind], param)
    for name in _NEEDED_FIELDS[kind]:
        if name not in item:
            raise missing_parameter(f"{param}.{name}")
    if kind != "message":
        return item
    if item["role"] not in _PART_TYPES:
        raise unsupported(item["role"], _PART_TYPES, f"{param}.role")
    parts = check_type(item["content"], list, "an array", f"{param}.content")
    for index, part in enumerate(parts):
        path = f"{param}.content[{index}]"
        allowed = _PART_TYPES[item["role"]]
        if check_type(part, dict, "an object", path).get("type") != allowed:
            raise unsupported(part.get("type"), (allowed,), f"{path}.type")
        check_type(check_fields(part, ("type", "text"), path).get("text"), str, "a string", path)
    return item


def text_of(item: Json) -> str:
    """Return the text of a checked item, whatever its type."""
    if item["type"] == "message":
        return "".join(part["text"] for part in item["content"] if "text" in part)
    return str(item.get("arguments", item.get("output", "")))


def forced_tool(settings: Json) -> Json | None:
    """Return the tool that the answer has to call, or None if it may be text."""
    choice: object = settings["tool_choice"]
    tools: list[Json] = settings["tools"]
    if isinstance(choice, dict):
        return next((tool for tool in tools if tool["name"] == choice["name"]), None)
    return tools[0] if choice == "required" and tools else None
