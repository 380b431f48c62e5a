"""What a Realtime session or response is set to: its start, the merge of updates, the forced tool.

Pure. `realtime` calls it for every client event that carries settings; the dialect says which
fields there are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from analysis.simulator.dialects import Dialect
from analysis.simulator.fields import Check, chosen_name
from analysis.simulator.refusals import (
    Json,
    check_type,
    invalid_value,
    missing_parameter,
    unknown_parameter,
    unsupported,
)


def default_session(dialect: Dialect, *, session_id: str, model: str, expires_at: int) -> Json:
    """Return the settings that a session starts with; it speaks until told to write."""
    return {
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "expires_at": expires_at,
        **dialect.session_defaults,
    }


def updated(dialect: Dialect, session: Json, update: object) -> Json:
    """Return the session after an update; the session itself stays as it is.

    Raises:
        Refusal: If any part of the update is wrong; then nothing of it applies.
    """
    if update is None:
        raise missing_parameter("session")
    given: Json = check_type(update, dict, "an object", "session")
    if dialect.session_types:
        _check_session_type(given, dialect.session_types)
    _check_values(given, dialect.session_checks, "session")
    merged = _merged(dialect, session, given, nullable=dialect.nullable_fields)
    _check_chosen_tool(merged, "session")
    return merged


def effective_response(dialect: Dialect, session: Json, response: object) -> Json:
    """Return the session's settings with those of a `response.create` on top.

    Raises:
        Refusal: If the response has an unknown field or a wrong value.
    """
    given: Json = {} if response is None else check_type(response, dict, "an object", "response")
    _check_values(given, dialect.response_checks, "response")
    merged = _merged(dialect, session, given, nullable=())
    _check_chosen_tool(merged, "response")
    return merged


def _check_session_type(given: Json, known: tuple[str, ...]) -> None:
    if "type" not in given:
        raise missing_parameter("session.type")
    if given["type"] not in known:
        raise unsupported(given["type"], known, "session.type")
    if given["type"] != known[0]:
        raise invalid_value(
            "Passing a transcription session update event to a realtime session is not allowed.",
            "session.type",
        )


def _check_values(given: Json, checks: Mapping[str, Check], param: str) -> None:
    """Refuse unknown fields and wrong values; null counts as absent."""
    for name, value in given.items():
        path = f"{param}.{name}"
        if name not in checks:
            raise unknown_parameter(path)
        if value is not None:
            checks[name](value, path)


def _merged(dialect: Dialect, settings: Json, given: Json, *, nullable: Collection[str]) -> Json:
    merged = dict(settings)
    for name, value in given.items():
        if name in dialect.fixed_fields or (value is None and name not in nullable):
            continue
        merge = dialect.merges.get(name) if value is not None else None
        merged[name] = merge(settings[name], value) if merge else value
    return merged


def _check_chosen_tool(merged: Json, param: str) -> None:
    """Refuse a choice of a function that is not among the tools."""
    choice = merged["tool_choice"]
    if isinstance(choice, dict):
        name = chosen_name(choice)
        if name not in [tool["name"] for tool in merged["tools"]]:
            raise invalid_value(
                f"Tool choice '{name}' not found in 'tools' parameter.", f"{param}.tool_choice"
            )


def forced_tool(settings: Json) -> Json | None:
    """Return the tool that the answer has to call, or None if it may be text."""
    choice: object = settings["tool_choice"]
    tools: list[Json] = settings["tools"]
    if isinstance(choice, dict):
        name = chosen_name(choice)
        return next((tool for tool in tools if tool["name"] == name), None)
    return tools[0] if choice == "required" and tools else None
