"""The frames of one Realtime response, from `response.created` to `response.done`.

Pure. `realtime` decides when each stage is due; this module spells it out in the dialect of the
service. Order and shapes: sections 2.5, 3.2, 3.3 and 3.5 of the protocol notes.
"""

from __future__ import annotations

from analysis.simulator.cache import tokens_of
from analysis.simulator.dialects import Dialect
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.service import Job, Receipt, Service, encode
from analysis.simulator.sessions import forced_tool

UNKNOWN_FIELD = "unheard_of"
"""Field that a profile may add to events and responses."""
_UNKNOWN_VALUE = {"since": 2027}
_OPTIONAL_FIELDS = ("object", "conversation_id", "metadata", "status_details")
"""Fields of a response that its type allows to leave out, beside settings (openai 3.52.0)."""
_OBFUSCATION = "kQ7vX2mZ9pLr4TbW"


def frame(service: Service, kind: str, **fields: object) -> bytes:
    """Return a server event with an id of its own."""
    if service.profile.adds_unknown_fields:
        fields[UNKNOWN_FIELD] = _UNKNOWN_VALUE
    return encode({"type": kind, "event_id": service.new_id("event"), **fields})


def usage_of(dialect: Dialect, receipt: Receipt) -> Json:
    """Return the usage object of a response."""
    asked, answered = receipt.input_tokens, receipt.output_tokens
    none = dict.fromkeys(dialect.usage_kinds, 0)
    cached = {**none, "text_tokens": receipt.cached_tokens}
    return {
        "total_tokens": asked + answered,
        "input_tokens": asked,
        "output_tokens": answered,
        "input_token_details": {
            **none,
            "text_tokens": asked,
            "cached_tokens": receipt.cached_tokens,
            "cached_tokens_details": cached,
        },
        "output_token_details": {"text_tokens": answered, "audio_tokens": 0},
    }


class Reply:
    """A response under way, and the frames of its stages.

    Args:
        service: Gives ids.
        settings: Settings in force: those of the session with those of the response on top.
        conversation_id: The default conversation, or None for a response out of band.
        dialect: Dialect of the connection; None is that of the service.
    """

    def __init__(
        self,
        service: Service,
        settings: Json,
        conversation_id: str | None,
        dialect: Dialect | None = None,
    ) -> None:
        self.id = service.new_id("resp")
        self.conversation_id = conversation_id
        self.item: Json = {}
        self._service = service
        self._settings = settings
        self._dialect = dialect or service.dialect
        is_spoken = "audio" in settings[self._dialect.modalities_field]
        self._speech = self._dialect.speech["audio" if is_spoken else "text"]
        self._text = ""
        self._sent = 0
        self._status = "completed"

    def __repr__(self) -> str:
        return f"Reply({self.id}, {self._sent} of {len(self._text)} characters)"

    def created(self) -> list[bytes]:
        """Return the opening."""
        response = self._response("in_progress", None, [], None)
        return [frame(self._service, "response.created", response=response)]

    @property
    def delta_count(self) -> int:
        """How many deltas the text makes; known once the reply has begun."""
        return -(-len(self._text) // self._service.profile.delta_characters)

    def begun(self, job: Job, previous_item_id: str | None) -> list[bytes]:
        """Return the start of the item."""
        self._text = job.text
        self._status = "incomplete" if job.is_cut else "completed"
        item_id = self._service.new_id("item")
        tool = forced_tool(self._settings)
        base = {"id": item_id, "object": "realtime.item", "status": "in_progress"}
        if tool and job.is_shaped:
            call_id = self._service.new_id("call")
            called = {"type": "function_call", "name": tool["name"], "call_id": call_id}
            self.item = {**base, **called, "arguments": ""}
        else:
            self.item = {**base, "type": "message", "role": "assistant", "content": []}
        frames = [self._item_frame("response.output_item.added")]
        if self.conversation_id:
            frames += self._conversation_frames(self._dialect.item_announced, previous_item_id)
        if self.item["type"] == "message":
            frames.append(self._part_frame("added", ""))
        return frames

    def spoken(self, number: int) -> list[bytes]:
        """Return the deltas up to this number, from 1."""
        return self._deltas(number * self._service.profile.delta_characters)

    def finished(self, receipt: Receipt, previous_item_id: str | None) -> list[bytes]:
        """Return the rest of the deltas, the ends of all parts, and `response.done`."""
        frames = self._deltas(len(self._text))
        text = self._text
        if self.item["type"] == "message":
            frames.append(
                self._content_frame(f"{self._speech.event}.done", {self._speech.field: text})
            )
            frames.append(self._part_frame("done", text))
            content = {"type": self._speech.content, self._speech.field: text}
            self.item = {**self.item, "status": self._status, "content": [content]}
        else:
            frames.append(self._arguments_frame(text))
            self.item = {**self.item, "status": self._status, "arguments": text}
        if self.conversation_id:
            frames += self._conversation_frames(self._dialect.item_settled, previous_item_id)
        frames.append(self._item_frame("response.output_item.done"))
        is_cut = self._status == "incomplete"
        details = {"type": "incomplete", "reason": "max_output_tokens"} if is_cut else None
        frames.append(
            self._done_frame(self._status, details, [self.item], usage_of(self._dialect, receipt))
        )
        return frames

    def failed(self, refusal: Refusal) -> list[bytes]:
        """Return the end of a response that gives no answer."""
        error = {"type": refusal.kind, "code": refusal.code, "message": refusal.message}
        return [self._done_frame("failed", {"type": "failed", "error": error}, [], None)]

    def cancelled(self, receipt: Receipt | None) -> list[bytes]:
        """Return the end of a response that the client cancelled."""
        frames = []
        if self.item:
            self.item = {**self.item, "status": "incomplete"}
            frames.append(self._item_frame("response.output_item.done"))
        details = {"type": "cancelled", "reason": "client_cancelled"}
        output = [self.item] if self.item else []
        usage = usage_of(self._dialect, receipt) if receipt else None
        return [*frames, self._done_frame("cancelled", details, output, usage)]

    def sent_tokens(self) -> int:
        """Return the tokens of the deltas so far."""
        return tokens_of(len(self._text[: self._sent].encode()))

    def _deltas(self, end: int) -> list[bytes]:
        """Return the deltas up to a position in the text."""
        size = self._service.profile.delta_characters
        pieces = [self._text[i : min(i + size, end)] for i in range(self._sent, end, size)]
        self._sent = max(self._sent, end)
        if self.item["type"] == "message":
            kind = f"{self._speech.event}.delta"
            place: Json = {"content_index": 0}
        else:
            kind = "response.function_call_arguments.delta"
            place = {"call_id": self.item["call_id"]}
        place |= {"response_id": self.id, "item_id": self.item["id"], "output_index": 0}
        if self._service.profile.adds_unknown_fields:
            place[UNKNOWN_FIELD] = _UNKNOWN_VALUE
        frames = []
        for piece in pieces:
            event = {"type": kind, "event_id": self._service.new_id("event"), **place}
            event["delta"] = piece
            if self._dialect.has_obfuscation:
                event["obfuscation"] = _OBFUSCATION[len(piece) % len(_OBFUSCATION) :]
            frames.append(encode(event))
        return frames

    def _item_frame(self, kind: str) -> bytes:
        return frame(self._service, kind, response_id=self.id, output_index=0, item=self.item)

    def _conversation_frames(
        self, kinds: tuple[str, ...], previous_item_id: str | None
    ) -> list[bytes]:
        place = {"previous_item_id": previous_item_id, "item": self.item}
        return [frame(self._service, kind, **place) for kind in kinds]

    def _arguments_frame(self, text: str) -> bytes:
        name = {"name": self.item["name"]} if self._dialect.is_call_named else {}
        return frame(
            self._service,
            "response.function_call_arguments.done",
            response_id=self.id,
            item_id=self.item["id"],
            output_index=0,
            call_id=self.item["call_id"],
            **name,
            arguments=text,
        )

    def _content_frame(self, kind: str, fields: Json) -> bytes:
        return frame(
            self._service,
            kind,
            response_id=self.id,
            item_id=self.item["id"],
            output_index=0,
            content_index=0,
            **fields,
        )

    def _part_frame(self, stage: str, text: str) -> bytes:
        part = {"type": self._speech.part, self._speech.field: text}
        return self._content_frame(f"response.content_part.{stage}", {"part": part})

    def _done_frame(
        self, status: str, details: Json | None, output: list[Json], usage: Json | None
    ) -> bytes:
        response = self._response(status, details, output, usage)
        return frame(self._service, "response.done", response=response)

    def _response(
        self, status: str, details: Json | None, output: list[Json], usage: Json | None
    ) -> Json:
        profile = self._service.profile
        metadata = self._settings.get("metadata") if profile.is_metadata_echoed else None
        response = {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": output,
            "conversation_id": self.conversation_id,
            **self._dialect.response_settings(self._settings),
            "usage": usage,
            "metadata": metadata,
        }
        if profile.adds_unknown_fields:
            response[UNKNOWN_FIELD] = _UNKNOWN_VALUE
        if profile.omits_optional_fields:
            kept = (name for name in response if name not in _OPTIONAL_FIELDS)
            return {name: response[name] for name in kept if response[name] is not None}
        return response
