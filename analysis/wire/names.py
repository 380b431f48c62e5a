"""Every event of the Realtime protocol by name, of both dialects and both directions.

Pure. `wire/dialects.py` puts the names into its tables. A name that stands here and that nobody
needs passes by silently, audio included; any other name is counted. Sources: the unions of
OpenAI's package 3.52 (GA) and 1.66 (beta), captured frames of 2026-09, user reports.
"""

from __future__ import annotations

_CLIENT_OF_BOTH = frozenset(
    {
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "output_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.truncate",
        "conversation.item.delete",
        "conversation.item.retrieve",
        "response.create",
        "response.cancel",
    }
)

GA_CLIENT = _CLIENT_OF_BOTH | {"session.close", "session.input_audio_buffer.append"}
"""The last two stand in no SDK; the server names them in its list of supported types."""

BETA_CLIENT = _CLIENT_OF_BOTH | {"transcription_session.update"}

_SERVER_OF_BOTH = frozenset(
    {
        "error",
        "session.created",
        "session.updated",
        "conversation.created",
        "conversation.item.created",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "conversation.item.deleted",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "response.created",
        "response.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "rate_limits.updated",
    }
)

GA_SERVER = _SERVER_OF_BOTH | {
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.segment",
    "input_audio_buffer.timeout_triggered",
    "input_audio_buffer.dtmf_event_received",
    "mcp_list_tools.in_progress",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
}

BETA_SERVER = _SERVER_OF_BOTH | {
    "transcription_session.updated",
    "response.text.delta",
    "response.text.done",
    "response.audio.delta",
    "response.audio.done",
    "response.audio_transcript.delta",
    "response.audio_transcript.done",
}

FREQUENT = (
    "response.function_call_arguments.delta",
    "response.output_text.delta",
    "response.text.delta",
    "response.function_call_arguments.done",
    "response.output_text.done",
    "response.text.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
)
"""Events of every answer that nobody waits for, since `response.done` holds all of it."""

FREQUENT_STARTS = tuple(f'{{"type":"{name}"'.encode() for name in FREQUENT)
"""How such an event begins where the type stands first, as it does in captures: most frames are
of this kind, and these need not be read at all."""
