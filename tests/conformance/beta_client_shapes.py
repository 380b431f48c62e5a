"""Strict shapes of the beta dialect's client events, written by hand from the protocol notes.

Sections 2.1 (events), 2.3 (session), 2.4 (`response.create`) and 2.5 (items). No other field is
allowed. The SDK has no beta types any more; `tests/simulator/beta_shapes.py` has the other side.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

Modalities: TypeAlias = list[Literal["audio", "text"]]
AudioFormat: TypeAlias = Literal["pcm16", "g711_ulaw", "g711_alaw"]
Voice: TypeAlias = Literal["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"]
Temperature: TypeAlias = Annotated[float, msgspec.Meta(ge=0.6, le=1.2)]
OutputCap: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=4_096)] | Literal["inf"]
Metadata: TypeAlias = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=64)], Annotated[str, msgspec.Meta(max_length=512)]],
    msgspec.Meta(max_length=16),
]


class Shape(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An object with these fields and no other; those with a default may be absent."""


class ServerVad(Shape, tag_field="type", tag="server_vad"):
    threshold: float | msgspec.UnsetType = msgspec.UNSET
    prefix_padding_ms: int | msgspec.UnsetType = msgspec.UNSET
    silence_duration_ms: int | msgspec.UnsetType = msgspec.UNSET
    create_response: bool | msgspec.UnsetType = msgspec.UNSET
    interrupt_response: bool | msgspec.UnsetType = msgspec.UNSET


class SemanticVad(Shape, tag_field="type", tag="semantic_vad"):
    eagerness: str | msgspec.UnsetType = msgspec.UNSET
    create_response: bool | msgspec.UnsetType = msgspec.UNSET
    interrupt_response: bool | msgspec.UnsetType = msgspec.UNSET


class Tool(Shape, tag_field="type", tag="function"):
    name: str
    parameters: dict[str, Any]
    description: Annotated[str, msgspec.Meta(max_length=1_024)] | msgspec.UnsetType = msgspec.UNSET


class FunctionChoice(Shape, tag_field="type", tag="function"):
    """The flat form, which every server takes."""

    name: str


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | FunctionChoice


class Session(Shape):
    modalities: Modalities | msgspec.UnsetType = msgspec.UNSET
    instructions: str | msgspec.UnsetType = msgspec.UNSET
    voice: Voice | msgspec.UnsetType = msgspec.UNSET
    input_audio_format: AudioFormat | msgspec.UnsetType = msgspec.UNSET
    output_audio_format: AudioFormat | msgspec.UnsetType = msgspec.UNSET
    input_audio_transcription: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    input_audio_noise_reduction: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    turn_detection: ServerVad | SemanticVad | msgspec.UnsetType | None = msgspec.UNSET
    tools: list[Tool] | msgspec.UnsetType = msgspec.UNSET
    tool_choice: ToolChoice | msgspec.UnsetType = msgspec.UNSET
    temperature: Temperature | msgspec.UnsetType = msgspec.UNSET
    max_response_output_tokens: OutputCap | msgspec.UnsetType = msgspec.UNSET


class InputText(Shape, tag_field="type", tag="input_text"):
    text: str


class Text(Shape, tag_field="type", tag="text"):
    text: str


class Message(Shape, tag_field="type", tag="message"):
    role: Literal["user", "assistant", "system"]
    content: list[InputText | Text]
    id: str | msgspec.UnsetType = msgspec.UNSET


class Reference(Shape, tag_field="type", tag="item_reference"):
    id: str


class Response(Shape):
    modalities: Modalities | msgspec.UnsetType = msgspec.UNSET
    instructions: str | msgspec.UnsetType = msgspec.UNSET
    voice: Voice | msgspec.UnsetType = msgspec.UNSET
    output_audio_format: AudioFormat | msgspec.UnsetType = msgspec.UNSET
    tools: list[Tool] | msgspec.UnsetType = msgspec.UNSET
    tool_choice: ToolChoice | msgspec.UnsetType = msgspec.UNSET
    temperature: Temperature | msgspec.UnsetType = msgspec.UNSET
    max_response_output_tokens: OutputCap | msgspec.UnsetType = msgspec.UNSET
    conversation: Literal["auto", "none"] | msgspec.UnsetType = msgspec.UNSET
    input: list[Message | Reference] | msgspec.UnsetType = msgspec.UNSET
    metadata: Metadata | msgspec.UnsetType = msgspec.UNSET


class Event(Shape, tag_field="type", kw_only=True):
    event_id: str | msgspec.UnsetType = msgspec.UNSET


class SessionUpdate(Event, tag="session.update"):
    session: Session


class ItemCreate(Event, tag="conversation.item.create"):
    item: Message
    previous_item_id: str | msgspec.UnsetType = msgspec.UNSET


class ItemDelete(Event, tag="conversation.item.delete"):
    item_id: str


class ItemRetrieve(Event, tag="conversation.item.retrieve"):
    item_id: str


class ResponseCreate(Event, tag="response.create"):
    response: Response | msgspec.UnsetType = msgspec.UNSET


class ResponseCancel(Event, tag="response.cancel"):
    response_id: str | msgspec.UnsetType = msgspec.UNSET


ClientEvent: TypeAlias = (
    SessionUpdate | ItemCreate | ItemDelete | ItemRetrieve | ResponseCreate | ResponseCancel
)
"""The events of text; those of audio are not sent here."""

_decoder: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)


def beta_client_complaints(frame: str) -> list[str]:
    """Return what is wrong with a frame of the client, none if it has its shape."""
    try:
        _decoder.decode(frame)
    except msgspec.ValidationError as error:
        return [str(error)]
    return []
