"""The events of one response of the Responses API, from `response.created` to the last one.

Pure. `responses` takes the whole object or spells the events as server-sent events, `lanes` sends
them over a WebSocket. Order and shapes: section 6.3 of the protocol notes, names of
openai-python 3.52.0.

    response.created, response.in_progress
    [response.output_item.added, .done of a reasoning item]
    response.output_item.added, response.content_part.added
    response.output_text.delta ..., response.output_text.done (or response.refusal...)
    response.content_part.done, response.output_item.done
    response.completed | response.incomplete | response.failed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

from analysis.simulator.logprobs import Token, in_event, in_part, tokens_of, within
from analysis.simulator.parameters import INCLUDED_LOGPROBS
from analysis.simulator.profile import DEFAULT_EFFORTS, SERVICE_TIERS
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.service import Job, Receipt, Service, encode

_PADDING = "kQ7vX2mZ9pLr4TbW"
_FAILURE_CODES = frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"})
"""Codes that the error of a response takes and this service knows; others are `server_error`."""


def server_sent(event: Json) -> bytes:
    """Spell one event for `text/event-stream`."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), encode(event))


def padding(piece: str) -> str:
    """Return what pads a delta, so that its size says less about its text."""
    return _PADDING[len(piece) % len(_PADDING) :]


class Stream:
    """A response under way, and the events of its stages.

    Args:
        service: Gives ids and rules.
        request: The checked body.
        now: Monotonic seconds of its acceptance.
    """

    def __init__(self, service: Service, request: Json, *, now: float) -> None:
        self.id = service.new_id("resp")
        self._service = service
        self._rules = service.profile.responses
        self._numbers = count()
        self._response = _response(service, request, self.id, now)
        self._output: list[Json] = []
        self._item: Json = {}
        self._text = ""
        self._sent = 0
        self._is_declined = False
        self._has_logprobs = INCLUDED_LOGPROBS in (request.get("include") or ())
        self._top_logprobs = request.get("top_logprobs") or 0
        self._tokens: tuple[Token, ...] = ()
        options = request.get("stream_options") or {}
        self._has_padding = (
            self._rules.has_obfuscation and options.get("include_obfuscation") is not False
        )
        self._has_reasoning = self._rules.has_reasoning_item and _is_reasoning(service, request)

    def __repr__(self) -> str:
        return f"Stream({self.id}, {self._sent} of {len(self._text)} characters)"

    def next_number(self) -> int:
        """Return the sequence number of the next event, and count it."""
        return next(self._numbers)

    def created(self) -> Json:
        """Return the first event."""
        return self._event("response.created", response=self._response)

    def in_progress(self) -> Json:
        """Return the event after the first."""
        return self._event("response.in_progress", response=self._response)

    def spoken(self, job: Job) -> Iterator[tuple[float, Callable[[], list[Json]]]]:
        """Yield what is told before the end: its time, and what spells it when that has come.

        First comes the item, then a delta at a time, all but the last one.
        """
        yield job.at - job.generation_s, partial(self._begun, job)
        if not job.generation_s:
            return
        size = self._service.profile.delta_characters
        pieces = -(-len(job.text) // size)
        for number in range(1, pieces):
            at = job.at - job.generation_s * (1 - number / pieces)
            yield at, partial(self._deltas, number * size)

    def finished(self, job: Job) -> list[Json]:
        """Return the rest of the deltas, the ends of part and item, and the last event."""
        events = self._deltas(len(self._text))
        status = self._complete_item(job)
        (part,) = self._item["content"]
        events.append(self._text_event("done", self._text, self._tokens))
        if self._rules.has_item_events:
            events.append(self._content("response.content_part.done", part=part))
        events.append(self._item_event("done", len(self._output), self._item))
        self._output.append(self._item)
        events.append(self._ended(status, job.at, job.receipt))
        return events

    def whole(self, job: Job) -> Json:
        """Return the response object that all events come to, for an answer in one piece."""
        self._begun(job)
        status = self._complete_item(job)
        self._output.append(self._item)
        return self._final(status, job.at, job.receipt)

    def prepared(self, receipt: Receipt, at: float) -> Json:
        """Return the last event of a warm-up: complete, with an empty output."""
        return self._ended("completed", at, receipt)

    def failed(self, refusal: Refusal) -> Json:
        """Return the last event of a response that gives no answer."""
        code = refusal.code if refusal.code in _FAILURE_CODES else "server_error"
        error = {"code": code, "message": refusal.message}
        response = {**self._response, "status": "failed", "error": error}
        return self._event("response.failed", response=response)

    def _begun(self, job: Job) -> list[Json]:
        events: list[Json] = []
        if self._has_reasoning:
            thought = {"id": self._service.new_id("rs"), "type": "reasoning", "summary": []}
            events += [self._item_event(stage, 0, thought) for stage in ("added", "done")]
            self._output.append(thought)
        self._text = job.text
        self._is_declined = job.is_declined
        if self._has_logprobs:
            self._tokens = tokens_of(job, self._service.answerer.probability)
        self._item = {
            "id": self._service.new_id("msg"),
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        if self._rules.has_item_events:
            events.append(self._item_event("added", len(self._output), self._item))
            events.append(self._content("response.content_part.added", part=self._part("", ())))
        return events

    def _deltas(self, end: int) -> list[Json]:
        """Return the deltas up to a position in the text."""
        size = self._service.profile.delta_characters
        events = []
        for start in range(self._sent, end, size):
            piece = self._text[start : min(start + size, end)]
            begun = within(self._tokens, self._text, start, start + len(piece))
            event = self._text_event("delta", piece, begun)
            if self._has_padding:
                event["obfuscation"] = padding(piece)
            events.append(event)
        self._sent = end
        return events

    def _event(self, kind: str, **fields: object) -> Json:
        return {"type": kind, "sequence_number": self.next_number(), **fields}

    def _item_event(self, stage: str, index: int, item: Json) -> Json:
        return self._event(f"response.output_item.{stage}", output_index=index, item=item)

    def _content(self, kind: str, **fields: object) -> Json:
        place = {"item_id": self._item["id"], "output_index": len(self._output)}
        return self._event(kind, **place, content_index=0, **fields)

    def _part(self, text: str, tokens: Sequence[Token]) -> Json:
        if self._is_declined:
            return {"type": "refusal", "refusal": text}
        logprobs = in_part(tokens, self._top_logprobs)
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    def _text_event(self, stage: str, text: str, tokens: Sequence[Token]) -> Json:
        """Return a piece of the text (`delta`) or the whole of it (`done`)."""
        if self._is_declined:
            name = "delta" if stage == "delta" else "refusal"
            return self._content(f"response.refusal.{stage}", **{name: text})
        name = "delta" if stage == "delta" else "text"
        logprobs = in_event(tokens, self._top_logprobs)
        return self._content(f"response.output_text.{stage}", **{name: text}, logprobs=logprobs)

    def _complete_item(self, job: Job) -> str:
        """Fill the message; return its status."""
        status = "incomplete" if job.is_cut else "completed"
        self._item = {
            **self._item,
            "status": status,
            "content": [self._part(self._text, self._tokens)],
        }
        return status

    def _ended(self, status: str, at: float, receipt: Receipt) -> Json:
        response = self._final(status, at, receipt)
        if self._rules.is_terminal_bare:
            del response["output"]
        return self._event(f"response.{status}", response=response)

    def _final(self, status: str, at: float, receipt: Receipt) -> Json:
        is_cut = status == "incomplete"
        return {
            **self._response,
            "status": status,
            "completed_at": None if is_cut else int(self._service.unix_time(at)),
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "output": self._output,
            "usage": usage_of(receipt),
        }


def usage_of(receipt: Receipt) -> Json:
    """Return the usage object of a response."""
    return {
        "input_tokens": receipt.input_tokens,
        "input_tokens_details": {
            "cached_tokens": receipt.cached_tokens,
            "cache_write_tokens": receipt.written_tokens,
        },
        "output_tokens": receipt.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": receipt.input_tokens + receipt.output_tokens,
    }


def _is_reasoning(service: Service, request: Json) -> bool:
    model = request["model"]
    default = None if model == service.answerer.name else DEFAULT_EFFORTS.get(model, "medium")
    effort = (request.get("reasoning") or {}).get("effort")
    return (effort or default) not in (None, "none")


def _response(service: Service, request: Json, response_id: str, now: float) -> Json:
    """Return the response object as it stands at the start."""
    text = request.get("text") or {}
    reasoning = request.get("reasoning") or {}
    temperature, top_p = request.get("temperature"), request.get("top_p")
    is_parallel = request.get("parallel_tool_calls")
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(service.unix_time(now)),
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "max_tool_calls": request.get("max_tool_calls"),
        "metadata": request.get("metadata") or {},
        "model": service.answerer.name,
        "output": [],
        "parallel_tool_calls": True if is_parallel is None else is_parallel,
        "previous_response_id": request.get("previous_response_id"),
        "prompt_cache_key": request.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": request.get("safety_identifier"),
        "service_tier": SERVICE_TIERS[request.get("service_tier") or "auto"],
        "store": request.get("store") is not False,
        "temperature": 1.0 if temperature is None else temperature,
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_logprobs": request.get("top_logprobs") or 0,
        "top_p": 1.0 if top_p is None else top_p,
        "truncation": request.get("truncation") or "disabled",
        "usage": None,
        "user": request.get("user"),
    }
