"""The frames of one Realtime response, from `response.created` to `response.done`.

Pure. `realtime` decides when each stage is due; this module spells it out. Order and shapes:
sections 3.2, 3.3 and 3.5 of the protocol notes.
"""

from __future__ import annotations

from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.service import Job, Receipt, Service, encode, tokens_of
from analysis.simulator.sessions import forced_tool

_OBFUSCATION = "kQ7vX2mZ9pLr4TbW"
_SPEECH = {
    "text": {
        "event": "response.output_text",
        "part": "text",
        "content": "output_text",
        "field": "text",
    },
    "audio": {
        "event": "response.output_audio_transcript",
        "part": "audio",
        "content": "output_audio",
        "field": "transcript",
    },
}
"""How a message is spelled in each modality; a spoken one comes as its transcript only."""


def frame(service: Service, kind: str, **fields: object) -> bytes:
    """Return a server event with an id of its own."""
    return encode({"type": kind, "event_id": service.new_id("event"), **fields})


def usage_of(receipt: Receipt) -> Json:
    """Return the usage object of a response."""
    asked, answered = receipt.input_tokens, receipt.output_tokens
    cached = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": asked + answered,
        "input_tokens": asked,
        "output_tokens": answered,
        "input_token_details": {
            "text_tokens": asked,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 0,
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
    """

    def __init__(self, service: Service, settings: Json, conversation_id: str | None) -> None:
        self.id = service.new_id("resp")
        self.conversation_id = conversation_id
        self.item: Json = {}
        self._service = service
        self._settings = settings
        self._speech = _SPEECH[settings["output_modalities"][0]]
        self._text = ""
        self._sent = 0
        self._status = "completed"

    def __repr__(self) -> str:
        return f"Reply({self.id}, {self._sent} of {len(self._text)} characters)"

    def created(self) -> list[bytes]:
        """Return the opening."""
        response = self._response("in_progress", None, [], None)
        return [frame(self._service, "response.created", response=response)]

    def begun(self, job: Job, previous_item_id: str | None) -> list[bytes]:
        """Return the start of the item and the first half of its deltas."""
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
            frames.append(self._conversation_frame("added", previous_item_id))
        if self.item["type"] == "message":
            frames.append(self._part_frame("added", ""))
        size = self._service.profile.delta_characters
        half = -(-len(self._text) // size) // 2
        return frames + self._deltas(half * size)

    def finished(self, receipt: Receipt, previous_item_id: str | None) -> list[bytes]:
        """Return the rest of the deltas, the ends of all parts, and `response.done`."""
        frames = self._deltas(len(self._text))
        text, item_id = self._text, self.item["id"]
        if self.item["type"] == "message":
            frames.append(
                self._content_frame(f"{self._speech['event']}.done", {self._speech["field"]: text})
            )
            frames.append(self._part_frame("done", text))
            content = {"type": self._speech["content"], self._speech["field"]: text}
            self.item = {**self.item, "status": self._status, "content": [content]}
        else:
            frames.append(
                frame(
                    self._service,
                    "response.function_call_arguments.done",
                    response_id=self.id,
                    item_id=item_id,
                    output_index=0,
                    call_id=self.item["call_id"],
                    name=self.item["name"],
                    arguments=text,
                )
            )
            self.item = {**self.item, "status": self._status, "arguments": text}
        if self.conversation_id:
            frames.append(self._conversation_frame("done", previous_item_id))
        frames.append(self._item_frame("response.output_item.done"))
        is_cut = self._status == "incomplete"
        details = {"type": "incomplete", "reason": "max_output_tokens"} if is_cut else None
        frames.append(self._done_frame(self._status, details, [self.item], usage_of(receipt)))
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
        usage = usage_of(receipt) if receipt else None
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
            kind = f"{self._speech['event']}.delta"
            place: Json = {"content_index": 0}
        else:
            kind = "response.function_call_arguments.delta"
            place = {"call_id": self.item["call_id"]}
        place |= {"response_id": self.id, "item_id": self.item["id"], "output_index": 0}
        return [
            frame(
                self._service,
                kind,
                **place,
                delta=piece,
                obfuscation=_OBFUSCATION[len(piece) % len(_OBFUSCATION) :],
            )
            for piece in pieces
        ]

    def _item_frame(self, kind: str) -> bytes:
        return frame(self._service, kind, response_id=self.id, output_index=0, item=self.item)

    def _conversation_frame(self, stage: str, previous_item_id: str | None) -> bytes:
        return frame(
            self._service,
            f"conversation.item.{stage}",
            previous_item_id=previous_item_id,
            item=self.item,
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
        part = {"type": self._speech["part"], self._speech["field"]: text}
        return self._content_frame(f"response.content_part.{stage}", {"part": part})

    def _done_frame(
        self, status: str, details: Json | None, output: list[Json], usage: Json | None
    ) -> bytes:
        response = self._response(status, details, output, usage)
        return frame(self._service, "response.done", response=response)

    def _response(
        self, status: str, details: Json | None, output: list[Json], usage: Json | None
    ) -> Json:
        audio = self._settings["audio"]["output"]
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": output,
            "conversation_id": self.conversation_id,
            "output_modalities": self._settings["output_modalities"],
            "max_output_tokens": self._settings["max_output_tokens"],
            "audio": {"output": {"format": audio["format"], "voice": audio["voice"]}},
            "usage": usage,
            "metadata": self._settings.get("metadata"),
        }
