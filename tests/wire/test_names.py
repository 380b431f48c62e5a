"""The names of all events of the Realtime protocol."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

from analysis.wire import names
from analysis.wire.dialects import BETA, GA, SERVER_EVENTS

from .examples import feed, frame, ready

BETA_CLIENT = """session.update input_audio_buffer.append input_audio_buffer.commit
input_audio_buffer.clear conversation.item.create conversation.item.truncate
conversation.item.delete response.create response.cancel"""
"""The nine of the SDK 1.66.5, as the protocol sheet lists them."""

BETA_CLIENT_LATER = """conversation.item.retrieve transcription_session.update
output_audio_buffer.clear"""

BETA_SERVER = """error session.created session.updated conversation.created
conversation.item.created conversation.item.truncated conversation.item.deleted
conversation.item.input_audio_transcription.completed
conversation.item.input_audio_transcription.failed input_audio_buffer.committed
input_audio_buffer.cleared input_audio_buffer.speech_started input_audio_buffer.speech_stopped
response.created response.done response.output_item.added response.output_item.done
response.content_part.added response.content_part.done response.text.delta response.text.done
response.audio.delta response.audio.done response.audio_transcript.delta
response.audio_transcript.done response.function_call_arguments.delta
response.function_call_arguments.done rate_limits.updated"""
"""The twenty-eight of the same SDK."""

BETA_SERVER_LATER = """conversation.item.retrieved transcription_session.updated
conversation.item.input_audio_transcription.delta output_audio_buffer.started
output_audio_buffer.stopped output_audio_buffer.cleared"""


def names_in(union: Any) -> set[str]:
    """Return the values of `type` of all members of a union."""
    if hasattr(union, "model_fields"):
        field = union.model_fields.get("type")
        return set() if field is None else set(get_args(field.annotation))
    return {name for member in get_args(union) for name in names_in(member)}


def test_the_ga_names_are_those_of_the_sdk() -> None:
    """Two client events more stand in the server's own list of supported types."""
    assert names_in(RealtimeServerEvent) == GA.server_events
    assert names_in(RealtimeClientEvent) | {
        "session.close",
        "session.input_audio_buffer.append",
    } == (GA.client_events)


def test_the_beta_names_are_those_of_the_last_beta_sdk() -> None:
    """Nine and twenty-eight at first, and what was added before the beta ended."""
    assert (9, 28) == (len(BETA_CLIENT.split()), len(BETA_SERVER.split()))
    assert {*BETA_CLIENT.split(), *BETA_CLIENT_LATER.split()} == BETA.client_events
    assert {*BETA_SERVER.split(), *BETA_SERVER_LATER.split()} == BETA.server_events


@pytest.mark.parametrize("name", sorted(SERVER_EVENTS))
def test_every_known_event_passes_while_requests_wait(name: str) -> None:
    """Audio, transcripts, tools of others: none is counted, and none ends a request."""
    handled = {"error", "session.created", "session.updated", "response.created", "response.done"}
    connection = ready("r1")
    events = feed(connection, frame(name, delta="AAAA", item_id="i", audio_end_ms=1))
    assert ("r1",) == connection.waiting
    if name not in handled | {"rate_limits.updated"}:
        assert ([], {}) == (events, connection.ignored)


def test_no_name_of_one_direction_is_one_of_the_other() -> None:
    """A table that was filled from the wrong list would show."""
    assert set() == names.GA_CLIENT & names.GA_SERVER
    assert set() == names.BETA_CLIENT & names.BETA_SERVER


@pytest.mark.parametrize("name", names.FREQUENT)
def test_what_passes_unread_is_what_passes_read(name: str) -> None:
    """Whether the type stands first or not; both are known names."""
    connection = ready()
    first = f'{{"type":"{name}","event_id":"e","delta":"x"}}'.encode()
    last = f'{{"event_id":"e","delta":"x","type":"{name}"}}'.encode()
    assert ((), ()) == (connection.receive(first), connection.receive(last))
    assert {} == connection.ignored
