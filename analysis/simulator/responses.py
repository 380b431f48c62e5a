"""POST /v1/responses: how a request is read and an answer spelled.

Pure. `routes` leads here, and `lanes` reads its requests with it. An answer that goes on from an
older one (`previous_response_id`) has its conversation in front of its input, but not its
instructions. Sources: sections 5.3, 6.3, 6.5 and 7.1 of the protocol notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from analysis.simulator.cache import Block
from analysis.simulator.faults import Draw
from analysis.simulator.mischief import disturb
from analysis.simulator.outcomes import Chunks, Form
from analysis.simulator.parameters import (
    check_cache_options,
    check_included,
    check_model,
    check_sampling,
    check_schema,
    check_stream,
    check_tier,
    not_offered,
    read_blocks,
    rendered,
    schema_not_served,
)
from analysis.simulator.profile import RESPONSES_MIN_OUTPUT_TOKENS
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_fields,
    check_integer,
    check_metadata,
    check_type,
    invalid_value,
    missing_parameter,
    unsupported,
)
from analysis.simulator.service import Job, Question, Service, encode, key_of
from analysis.simulator.streams import Stream, server_sent

_decode = msgspec.json.Decoder(dict[str, Any]).decode

FIELDS = frozenset(
    [
        "access_programs",
        "background",
        "context_management",
        "conversation",
        "image",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
"""Top-level fields, openai-python 3.52.0."""
_TEXT_FIELDS = ("instructions", "previous_response_id", "prompt_cache_key", "safety_identifier")
_STREAM_OPTIONS = frozenset({"include_obfuscation"})
_MESSAGE_FIELDS = frozenset({"type", "role", "content", "id", "status", "phase"})
_PART_FIELDS = frozenset({"type", "text", "prompt_cache_breakpoint", "annotations", "logprobs"})
_ROLES = ("user", "assistant", "system", "developer")
_PART_TYPES = ("input_text", "output_text")
_REASONING_FIELDS = frozenset({"effort", "summary", "generate_summary"})
_FORMAT_FIELDS = {
    "text": frozenset({"type"}),
    "json_object": frozenset({"type"}),
    "json_schema": frozenset({"type", "name", "description", "schema", "strict"}),
}


def check_request(service: Service, body: Json, *, is_input_needed: bool = True) -> Json:
    """Return the body if the service takes it, whatever it continues.

    Args:
        service: The account.
        body: The fields of the request.
        is_input_needed: A request that continues nothing must have an input.

    Raises:
        Refusal: Else.
    """
    request = check_fields(body, FIELDS, "")
    model = check_model(service, request)
    is_bare = not request.get("input") and not request.get("previous_response_id")
    if is_bare and is_input_needed:
        raise missing_parameter("input")
    for name in ("background", "conversation"):
        if request.get(name):
            raise not_offered(name)
    for name in _TEXT_FIELDS:
        if request.get(name) is not None:
            check_type(request[name], str, "a string", name)
    check_stream(request, _STREAM_OPTIONS)
    check_tier(request)
    check_cache_options(request)
    check_metadata(request.get("metadata"), "metadata")
    if request.get("max_output_tokens") is not None:
        cap = request["max_output_tokens"]
        check_integer(cap, RESPONSES_MIN_OUTPUT_TOKENS, None, "max_output_tokens")
    logprobs = "include" if check_included(service, request) else None
    if model != service.answerer.name:
        reasoning = check_fields(request.get("reasoning") or {}, _REASONING_FIELDS, "reasoning")
        effort = reasoning.get("effort")
        check_sampling(model, effort, "reasoning.effort", request, logprobs=logprobs)
    _check_format(service, request)
    return request


def _check_and_continue(service: Service, body: Json) -> Json:
    request = check_request(service, body)
    parent_id = request.get("previous_response_id")
    if not parent_id:
        return request
    parent = service.stored.get(parent_id)
    if parent is None:
        raise response_not_found(parent_id)
    return continued(request, parent)


def response_not_found(response_id: object) -> Refusal:
    """Return the refusal to continue a response that is not at hand, section 6.4."""
    return Refusal(
        f"Previous response with id '{response_id}' not found.",
        code="previous_response_not_found",
        param="previous_response_id",
    )


def items_of(value: object) -> list[Json]:
    """Return an `input` as a list of items, a string being one user message.

    Raises:
        Refusal: If it is neither.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    items: list[Json] = check_type(value, list, "a string or an array", "input")
    return items


def continued(request: Json, parent: Sequence[Json]) -> Json:
    """Return a request whose input starts with the conversation that it continues.

    Raises:
        Refusal: If its input is neither a string nor an array.
    """
    return {**request, "input": [*parent, *items_of(request.get("input"))]}


def conversation_after(request: Json, text: str | None) -> list[Json]:
    """Return the items of a conversation after the answer, which is None for a warm-up."""
    answer = [] if text is None else [{"role": "assistant", "content": text}]
    return [*items_of(request.get("input")), *answer]


def store(service: Service, response_id: str, request: Json, text: str | None) -> None:
    """Keep a response for the whole account unless the request forbids it."""
    if request.get("store") is False:
        return
    stored = service.stored
    stored[response_id] = conversation_after(request, text)
    while len(stored) > service.profile.responses.stored:
        del stored[next(iter(stored))]


def _check_format(service: Service, request: Json) -> None:
    text = check_fields(request.get("text") or {}, ("format", "verbosity"), "text")
    form = text.get("format")
    if form is None:
        return
    kind = check_type(form, dict, "an object", "text.format").get("type")
    check_type(kind, str, "a string", "text.format.type")
    if kind not in _FORMAT_FIELDS:
        raise unsupported(kind, _FORMAT_FIELDS, "text.format.type")
    check_fields(form, _FORMAT_FIELDS[kind], "text.format")
    if kind == "json_schema":
        if not service.has_json_schema:
            raise schema_not_served("text.format")
        check_schema(
            form,
            param="text.format",
            schema_param="text.format.schema",
            schema_code="invalid_json_schema",
        )


def _question(request: Json, headers: Mapping[str, str]) -> Question:
    """Return the account's view of a checked request.

    Raises:
        Refusal: If `input` has a form that the service does not take.
    """
    return question_of(request, key=key_of(headers) or "", route="responses")


def question_of(request: Json, *, key: str, route: str, is_answer_text: bool = True) -> Question:
    """Return the account's view of a checked request; a warm-up has no answer and needs no text.

    Raises:
        Refusal: If `input` has a form that the service does not take.
    """
    blocks = _read_input(request)
    users = [message for message in blocks if message[0].role == "user"]
    if not users and is_answer_text:
        raise invalid_value("Invalid 'input': it holds no user message.", "input")
    if request.get("instructions"):
        blocks.insert(0, [Block(role="instructions", text=request["instructions"])])
    parts = list(chain.from_iterable(blocks))
    text = request.get("text") or {}
    form = text.get("format") or {}
    effort = (request.get("reasoning") or {}).get("effort")
    return Question(
        route=route,
        model=request["model"],
        key=key,
        content="".join(part.text for part in users[-1]) if users else "",
        size_bytes=sum(len(part.text.encode()) for part in parts),
        schema=form.get("schema"),
        max_output_tokens=request.get("max_output_tokens"),
        metadata=request.get("metadata") or {},
        is_answer_text=is_answer_text,
        rendered=rendered(request, parts, effort, text.get("verbosity"), request.get("tools")),
    )


def _read_input(request: Json) -> list[list[Block]]:
    """Return the blocks of each message, at least one per message."""
    blocks = []
    for index, item in enumerate(items_of(request.get("input"))):
        path = f"input[{index}]"
        message = check_fields(item, _MESSAGE_FIELDS, path)
        if message.get("type", "message") != "message":
            raise unsupported(message["type"], ("message",), f"{path}.type")
        role = message.get("role")
        if role not in _ROLES:
            raise unsupported(role, _ROLES, f"{path}.role")
        parts = read_blocks(
            message.get("content"),
            f"{path}.content",
            role=role,
            types=_PART_TYPES,
            fields=_PART_FIELDS,
        )
        blocks.append(parts or [Block(role=role, text="")])
    return blocks


def _whole(service: Service, request: Json, job: Job, now: float) -> Json:
    stream = Stream(service, request, now=now)
    store(service, stream.id, request, job.text)
    return stream.whole(job)


def _streamed(service: Service, request: Json, job: Job, now: float) -> Chunks:
    stream = Stream(service, request, now=now)
    told = [(now, [stream.created(), stream.in_progress()])]
    if job.failure:
        told.append((job.at, [stream.failed(job.failure)]))
    else:
        store(service, stream.id, request, job.text)
        told += [(at, spell()) for at, spell in stream.spoken(job)]
        told.append((job.at, stream.finished(job)))
    return tuple((at, _spelled(events, job.draw)) for at, events in told)


def _spelled(events: list[Json], draw: Draw) -> bytes:
    if draw.is_mischievous:
        frames = disturb([encode(event) for event in events], draw)
        events = [_decode(frame) for frame in frames]
    return b"".join(map(server_sent, events))


RESPONSES = Form(check=_check_and_continue, question=_question, answer=_whole, stream=_streamed)
"""The form of this route; `outcomes.complete` uses it."""
