"""POST /v1/chat/completions: how a request is read and an answer spelled.

Pure. `routes` leads here. Sources: sections 5.3, 5.4 and 7.1 of the protocol notes, and
openai-python 3.52.0 for names. Two rules come from reports of users: metadata needs `store`
(langchaingo 1484 of March 2026, spiceai 5231), and an answer of type `json_object` needs the word
JSON in a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from analysis.simulator.cache import Block
from analysis.simulator.logprobs import Token, in_part, tokens_of, within
from analysis.simulator.outcomes import Chunks, Form
from analysis.simulator.parameters import (
    check_cache_options,
    check_logprobs,
    check_model,
    check_sampling,
    check_schema,
    check_stream,
    check_tier,
    not_offered,
    read_blocks,
    rendered,
    schema_not_served,
    unsupported_parameter,
)
from analysis.simulator.profile import MODELS_WITHOUT_MAX_TOKENS, SERVICE_TIERS
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
from analysis.simulator.service import Job, Question, Receipt, Service, encode, key_of
from analysis.simulator.streams import padding

REQUEST_ID_HEADER = "x-client-request-id"
"""A client's own name for a request; stands in the payment log where there is no metadata."""

_FIELDS = frozenset(
    [
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)
"""Top-level fields, openai-python 3.52.0."""

_NOT_OFFERED = ("tools", "functions", "audio", "prediction")
_CAPS = ("max_completion_tokens", "max_tokens")
_TEXT_FIELDS = ("user", "safety_identifier", "prompt_cache_key")
_STREAM_OPTIONS = frozenset({"include_usage", "include_obfuscation"})
_ROLES = ("developer", "system", "user", "assistant")
_MESSAGE_FIELDS = frozenset({"role", "content", "name", "refusal"})
_PART_FIELDS = frozenset({"type", "text", "prompt_cache_breakpoint"})
_PART_TYPES = ("text",)
_FORMAT_FIELDS = {
    "json_object": frozenset({"type"}),
    "json_schema": frozenset({"type", "json_schema"}),
    "text": frozenset({"type"}),
}
_SCHEMA_FIELDS = frozenset({"name", "description", "schema", "strict"})


def _check_request(service: Service, body: Json) -> Json:
    """Return the body if the service takes it.

    Raises:
        Refusal: Else.
    """
    request = check_fields(body, _FIELDS, "")
    model = check_model(service, request)
    if not request.get("messages"):
        raise missing_parameter("messages")
    for name in _NOT_OFFERED:
        if request.get(name):
            raise not_offered(name)
    if request.get("n") not in (None, 1):
        raise not_offered("n")
    for name in _TEXT_FIELDS:
        if request.get(name) is not None:
            check_type(request[name], str, "a string", name)
    check_stream(request, _STREAM_OPTIONS)
    check_tier(request)
    check_cache_options(request)
    _check_metadata(request)
    _check_caps(model, request)
    logprobs = "logprobs" if check_logprobs(service, request) else None
    if model != service.answerer.name:
        effort = request.get("reasoning_effort")
        check_sampling(model, effort, "reasoning_effort", request, logprobs=logprobs)
    _check_format(service, request)
    return request


def _check_metadata(request: Json) -> None:
    if request.get("store") is not None:
        check_type(request["store"], bool, "a boolean", "store")
    if check_metadata(request.get("metadata"), "metadata") and not request.get("store"):
        raise Refusal("The 'metadata' parameter is only allowed when 'store' is enabled.")


def _check_caps(model: str, request: Json) -> None:
    given = [name for name in _CAPS if request.get(name) is not None]
    if "max_tokens" in given and model in MODELS_WITHOUT_MAX_TOKENS:
        raise unsupported_parameter("max_tokens", " Use 'max_completion_tokens' instead.")
    if len(given) > 1:
        raise Refusal(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    for name in given:
        check_integer(request[name], 1, None, name)


def _check_format(service: Service, request: Json) -> None:
    form = request.get("response_format")
    if form is None:
        return
    kind = check_type(form, dict, "an object", "response_format").get("type")
    check_type(kind, str, "a string", "response_format.type")
    if kind not in _FORMAT_FIELDS:
        raise unsupported(kind, _FORMAT_FIELDS, "response_format.type")
    check_fields(form, _FORMAT_FIELDS[kind], "response_format")
    if kind != "json_schema":
        return
    if not service.has_json_schema:
        raise schema_not_served("response_format")
    param = "response_format.json_schema"
    if "json_schema" not in form:
        raise missing_parameter(param)
    schema = check_fields(form["json_schema"], _SCHEMA_FIELDS, param)
    check_schema(schema, param=param, schema_param="response_format", schema_code=None)


def _question(request: Json, headers: Mapping[str, str]) -> Question:
    """Return the account's view of a checked request.

    Raises:
        Refusal: If the messages have a form that the service does not take.
    """
    messages = _read_messages(request["messages"])
    form = request.get("response_format") or {}
    parts = list(chain.from_iterable(messages))
    is_json_asked = any("json" in part.text.lower() for part in parts)
    if form.get("type") == "json_object" and not is_json_asked:
        raise Refusal(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            param="messages",
        )
    users = [message for message in messages if message[0].role == "user"]
    if not users:
        raise invalid_value("Invalid 'messages': there is no user message.", "messages")
    request_id = headers.get(REQUEST_ID_HEADER)
    settings = (request.get("reasoning_effort"), request.get("verbosity"))
    return Question(
        route="chat",
        model=request["model"],
        key=key_of(headers) or "",
        content="".join(part.text for part in users[-1]),
        size_bytes=sum(len(part.text.encode()) for part in parts),
        schema=form.get("json_schema", {}).get("schema"),
        max_output_tokens=request.get("max_completion_tokens") or request.get("max_tokens"),
        metadata=request.get("metadata") or ({"rid": request_id} if request_id else {}),
        rendered=rendered(request, parts, *settings),
    )


def _read_messages(value: object) -> list[list[Block]]:
    """Return the blocks of each message, at least one per message."""
    messages = []
    for index, each in enumerate(check_type(value, list, "an array", "messages")):
        path = f"messages[{index}]"
        message = check_fields(each, _MESSAGE_FIELDS, path)
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
        messages.append(parts or [Block(role=role, text="")])
    return messages


def _completion(service: Service, request: Json, job: Job, now: float) -> Json:
    said = {"content": None, "refusal": job.text} if job.is_declined else {"content": job.text}
    message: Json = {"role": "assistant", "refusal": None, **said, "annotations": []}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": _logprobs(_tokens(service, request, job), request, job),
        "finish_reason": _finish_reason(job),
    }
    return {
        **_head(service, request, "chat.completion", now),
        "choices": [choice],
        "usage": _usage(job.receipt),
    }


def _tokens(service: Service, request: Json, job: Job) -> tuple[Token, ...]:
    """Return the tokens of an answer, none unless they are asked for."""
    return tokens_of(job, service.answerer.probability) if request.get("logprobs") else ()


def _logprobs(tokens: Sequence[Token], request: Json, job: Job) -> Json | None:
    if not request.get("logprobs"):
        return None
    stated = in_part(tokens, request.get("top_logprobs") or 0)
    return (
        {"content": None, "refusal": stated}
        if job.is_declined
        else {
            "content": stated,
            "refusal": None,
        }
    )


def _head(service: Service, request: Json, kind: str, now: float) -> Json:
    return {
        "id": service.new_id("chatcmpl"),
        "object": kind,
        "created": int(service.unix_time(now)),
        "model": service.answerer.name,
        "service_tier": SERVICE_TIERS[request.get("service_tier") or "auto"],
        "system_fingerprint": None,
    }


def _finish_reason(job: Job) -> str:
    return "length" if job.is_cut else "stop"


def _usage(receipt: Receipt) -> Json:
    return {
        "prompt_tokens": receipt.input_tokens,
        "completion_tokens": receipt.output_tokens,
        "total_tokens": receipt.input_tokens + receipt.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": receipt.cached_tokens,
            "cache_write_tokens": receipt.written_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "audio_tokens": 0,
        },
    }


def _streamed(service: Service, request: Json, job: Job, now: float) -> Chunks:
    """Return the chunks of a streamed answer; a failure comes before any of them."""
    if job.failure:
        return ()
    spell = _ChunkSpeller(service, request, now)
    size = service.profile.delta_characters
    tokens = _tokens(service, request, job)
    pieces = [job.text[i : i + size] for i in range(0, len(job.text), size)]
    name = "refusal" if job.is_declined else "content"
    opening = {"role": "assistant", "content": None, "refusal": None, name: ""}
    told = [(job.at - job.generation_s, spell.choice(opening))]
    for number, piece in enumerate(pieces, 1):
        at = job.at - job.generation_s * (1 - number / len(pieces))
        begun = within(tokens, job.text, (number - 1) * size, number * size)
        told.append((at, spell.choice({name: piece}, logprobs=_logprobs(begun, request, job))))
    end = [spell.choice({}, _finish_reason(job)), *spell.usage(job.receipt), b"data: [DONE]\n\n"]
    return (*told, (job.at, b"".join(end)))


class _ChunkSpeller:
    """Spells the chunks of one streamed completion; they share id, time and model."""

    def __init__(self, service: Service, request: Json, now: float) -> None:
        options = request.get("stream_options") or {}
        self._head = _head(service, request, "chat.completion.chunk", now)
        self._has_usage = bool(options.get("include_usage"))
        rules = service.profile.responses
        is_wanted = options.get("include_obfuscation") is not False
        self._has_padding = rules.has_obfuscation and is_wanted

    def choice(
        self, delta: Json, finish_reason: str | None = None, *, logprobs: Json | None = None
    ) -> bytes:
        """Spell the chunk that carries a piece of the message, or its end."""
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk: Json = {**self._head, "choices": [choice]}
        if self._has_usage:
            chunk["usage"] = None
        if self._has_padding:
            chunk["obfuscation"] = padding("".join(text for text in delta.values() if text))
        return b"data: %b\n\n" % encode(chunk)

    def usage(self, receipt: Receipt) -> list[bytes]:
        """Spell the chunk without choices that ends a stream whose usage was asked for."""
        if not self._has_usage:
            return []
        return [b"data: %b\n\n" % encode({**self._head, "choices": [], "usage": _usage(receipt)})]


CHAT = Form(check=_check_request, question=_question, answer=_completion, stream=_streamed)
"""The form of this route; `outcomes.complete` uses it."""
