"""Strict shapes of the beta dialect's server events, written by hand from the protocol notes, 2.5.

Every field is needed and no other is allowed. The SDK has no beta types any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from analysis.simulator.outputs import Output


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """An object with these fields and no other."""


class ServerVad(Shape, tag_field="type", tag="server_vad"):
    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    create_response: bool
    interrupt_response: bool


class SemanticVad(Shape, tag_field="type", tag="semantic_vad"):
    eagerness: str = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class Tool(Shape, tag_field="type", tag="function"):
    name: str
    parameters: dict[str, Any]
    description: str = ""


class Session(Shape):
    id: str
    object: Literal["realtime.session"]
    model: str
    expires_at: int
    modalities: list[Literal["audio", "text"]]
    instructions: str
    voice: str
    turn_detection: ServerVad | SemanticVad | None
    input_audio_format: str
    output_audio_format: str
    input_audio_transcription: dict[str, str] | None
    input_audio_noise_reduction: dict[str, str] | None
    tools: list[Tool]
    tool_choice: str | dict[str, Any]
    temperature: float
    max_response_output_tokens: int | Literal["inf"]


class InputText(Shape, tag_field="type", tag="input_text"):
    text: str


class Text(Shape, tag_field="type", tag="text"):
    text: str


class Audio(Shape, tag_field="type", tag="audio"):
    transcript: str


class InputAudio(Shape, tag_field="type", tag="input_audio"):
    transcript: str | None


Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class Message(Shape, tag_field="type", tag="message"):
    id: str
    object: Literal["realtime.item"]
    status: Status
    role: Literal["user", "assistant", "system"]
    content: list[InputText | Text | Audio | InputAudio]


class FunctionCall(Shape, tag_field="type", tag="function_call"):
    id: str
    object: Literal["realtime.item"]
    status: Status
    name: str
    call_id: str
    arguments: str


class Details(Shape):
    text_tokens: int
    audio_tokens: int


class InputDetails(Shape):
    text_tokens: int
    audio_tokens: int
    cached_tokens: int
    cached_tokens_details: Details


class Usage(Shape):
    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: InputDetails
    output_token_details: Details


class Response(Shape):
    object: Literal["realtime.response"]
    id: str
    status: Literal["in_progress", "completed", "cancelled", "incomplete", "failed"]
    status_details: dict[str, Any] | None
    output: list[Message | FunctionCall]
    conversation_id: str | None
    modalities: list[Literal["audio", "text"]]
    voice: str
    output_audio_format: str
    temperature: float
    max_output_tokens: int | Literal["inf"]
    usage: Usage | None
    metadata: dict[str, str] | None


class Event(Shape, tag_field="type"):
    event_id: str


class SessionCreated(Event, tag="session.created"):
    session: Session


class SessionUpdated(Event, tag="session.updated"):
    session: Session


class Conversation(Shape):
    id: str
    object: Literal["realtime.conversation"]


class ConversationCreated(Event, tag="conversation.created"):
    conversation: Conversation


class ItemCreated(Event, tag="conversation.item.created"):
    previous_item_id: str | None
    item: Message | FunctionCall


class ItemRetrieved(Event, tag="conversation.item.retrieved"):
    item: Message | FunctionCall


class ItemDeleted(Event, tag="conversation.item.deleted"):
    item_id: str


class BufferCommitted(Event, tag="input_audio_buffer.committed"):
    previous_item_id: str | None
    item_id: str


class BufferCleared(Event, tag="input_audio_buffer.cleared"):
    """No more fields."""


class ResponseCreated(Event, tag="response.created"):
    response: Response


class ResponseDone(Event, tag="response.done"):
    response: Response


class OutputEvent(Event):
    response_id: str
    output_index: Literal[0]


class OutputItemAdded(OutputEvent, tag="response.output_item.added"):
    item: Message | FunctionCall


class OutputItemDone(OutputEvent, tag="response.output_item.done"):
    item: Message | FunctionCall


class PartEvent(OutputEvent):
    item_id: str
    content_index: Literal[0]


class PartAdded(PartEvent, tag="response.content_part.added"):
    part: Text | Audio


class PartDone(PartEvent, tag="response.content_part.done"):
    part: Text | Audio


class TextDelta(PartEvent, tag="response.text.delta"):
    delta: str


class TextDone(PartEvent, tag="response.text.done"):
    text: str


class TranscriptDelta(PartEvent, tag="response.audio_transcript.delta"):
    delta: str


class TranscriptDone(PartEvent, tag="response.audio_transcript.done"):
    transcript: str


class ArgumentsDelta(OutputEvent, tag="response.function_call_arguments.delta"):
    item_id: str
    call_id: str
    delta: str


class ArgumentsDone(OutputEvent, tag="response.function_call_arguments.done"):
    item_id: str
    call_id: str
    arguments: str


class Limit(Shape):
    name: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset_seconds: float


class RateLimits(Event, tag="rate_limits.updated"):
    rate_limits: list[Limit]


class Problem(Shape):
    type: str
    code: str | None
    message: str
    param: str | None
    event_id: str | None


class Error(Event, tag="error"):
    error: Problem


ServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | ConversationCreated
    | ItemCreated
    | ItemRetrieved
    | ItemDeleted
    | BufferCommitted
    | BufferCleared
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | PartAdded
    | PartDone
    | TextDelta
    | TextDone
    | TranscriptDelta
    | TranscriptDone
    | ArgumentsDelta
    | ArgumentsDone
    | RateLimits
    | Error
)
_decoder: msgspec.json.Decoder[ServerEvent] = msgspec.json.Decoder(ServerEvent)


def beta_events(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """Return the frames as dicts, each having passed its strict shape."""
    frames = [output for output in outputs if isinstance(output, bytes)]
    for frame in frames:
        _decoder.decode(frame)
    return [msgspec.json.decode(frame) for frame in frames]


def beta_kinds(outputs: Sequence[Output]) -> list[str]:
    """Return the types of the frames, runs of the same delta taken as one."""
    types = [event["type"] for event in beta_events(outputs)]
    return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]
