"""Chat completions over HTTPS, for compatible servers: the body of a request, the reply in a body.

Pure. `transport/rest.py` calls it where a server has no Responses API; statuses other than 2xx are
read by `wire/failures.py`. The body is minimal, since compatible servers refuse what they do not
know. It has no `store` and no `metadata`: OpenAI takes metadata only of stored completions, and
nobody promises to echo it. HTTP pairs request and reply, and the ids inside of the content tell
whether an answer belongs to its request.
"""

from __future__ import annotations

from typing import Any

import msgspec

from analysis.errors import AnswerDefect, ModelRefused
from analysis.records import Request, TextReply
from analysis.wire import failures, responses, token_logprobs
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.usage import PromptUsage, usage_of

WHOLE = frozenset({"stop", "", None})
"""Values of `finish_reason` after which an answer is whole; some servers state none."""

_BAD_BODY = (msgspec.MsgspecError, ValueError, RecursionError)


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _Error(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None


class _Body(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: PromptUsage | None = None
    service_tier: str | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Body).decode


def body(
    request: Request,
    *,
    form: Form = STRICTEST,
    temperature: float = 0.0,
    service_tier: str | None = None,
    safety_identifier: str | None = None,
) -> dict[str, Any]:
    """Return the JSON body of `POST /chat/completions` for one request.

    Args:
        request: The question.
        form: How it is asked.
        temperature: Sent to models that take one.
        service_tier: Such as `flex`; None leaves it to the account's own setting.
        safety_identifier: Hashed id of the end user, or None.
    """
    ask = request.ask
    effort, takes_temperature = responses.family(request.model)
    fields: dict[str, Any] = {
        "model": request.model,
        "messages": [
            {"role": "system", "content": ask.instructions},
            {"role": "user", "content": ask.content},
        ],
        form.cap: ask.max_output_tokens,
    }
    if form.format == "json_schema":
        schema = {"name": ask.schema_name, "strict": True, "schema": ask.schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif form.format == "json_object":
        fields["response_format"] = {"type": "json_object"}
    if effort is not None:
        fields["reasoning_effort"] = effort
    if takes_temperature:
        fields["temperature"] = temperature
        if form.has_logprobs:
            fields["logprobs"] = True
    if service_tier is not None:
        fields["service_tier"] = service_tier
    if safety_identifier is not None:
        fields["safety_identifier"] = safety_identifier
    return {name: value for name, value in fields.items() if name not in form.without}


def headers(request: Request) -> dict[str, str]:
    """Return the headers beside key and type: our id, for logs and support, in place of metadata.

    Source: OpenAI reference "Debugging requests"; servers that do not know it leave it alone.
    """
    return {"X-Client-Request-Id": request.request_id}


def read(
    content: bytes, *, service_request_id: str | None = None, form: Form = STRICTEST
) -> responses.Answer:
    """Return the reply in the body of a 2xx answer, with the service tier if it states one.

    Args:
        content: The raw body.
        service_request_id: The header `x-request-id`; without it the completion's id stands in.
        form: How it was asked.

    Raises:
        TransportError: If the body is empty, or holds an error after which a retry is sound.
        RequestRejected: If the body holds a final error, or the model declined.
        AnswerDefect: If there is no usable answer in the body.
    """
    failures.check_body(content, service_request_id)
    try:
        found = _decode(content)
    except _BAD_BODY as error:
        raise AnswerDefect(
            "The body is no JSON of a chat completion.", defect="malformed_reply"
        ) from error
    service_id = service_request_id or found.id
    if found.error is not None:
        raise _stated_failure(found.error, content, service_id)
    usage = usage_of(found.usage)
    with failures.billed(usage):
        text, is_cut = _answer_of(found.choices or [], service_id)
    reply = TextReply(
        text=text,
        model=found.model or "",
        usage=usage,
        is_cut=is_cut,
        service_request_id=service_id,
        tokens=token_logprobs.of_completion(content) if form.has_logprobs else (),
    )
    return responses.Answer(reply=reply, service_tier=found.service_tier)


def _answer_of(choices: list[_Choice], service_id: str | None) -> tuple[str, bool]:
    """Return the one answer of a completion, and whether it was cut by its cap."""
    if len(choices) > 1:
        raise AnswerDefect(
            f"The completion holds {len(choices)} answers to one question.", defect="many_answers"
        )
    if not choices:
        raise AnswerDefect("The completion holds no answer.", defect="empty")
    is_cut = _check_end(choices[0], service_id)
    text = _text_of(choices[0].message)
    if not text.strip() and not is_cut:
        raise AnswerDefect("The completion holds no text.", defect="empty")
    return text, is_cut


def _stated_failure(error: _Error, content: bytes, service_id: str | None) -> failures.Failure:
    """Return what an error in a 2xx body means; gateways put the status of their source there."""
    if isinstance(error.code, int) and 400 <= error.code < 600:
        headers = {"x-request-id": service_id} if service_id else {}
        return failures.from_status(error.code, headers=headers, body=content)
    return failures.from_code(
        code=str(error.code or ""),
        kind=error.type or "",
        message=error.message or "",
        request_id=service_id,
    )


def _check_end(choice: _Choice, service_id: str | None) -> bool:
    """Return whether the answer was cut by its cap; raise if its end allows no answer."""
    if choice.finish_reason == "content_filter":
        raise ModelRefused(
            "The content filter stopped the answer.", code="content_filter", request_id=service_id
        )
    if choice.message is not None and choice.message.refusal:
        raise ModelRefused("The model declined to answer.", code="refusal", request_id=service_id)
    if choice.finish_reason == "length":
        return True
    if choice.finish_reason not in WHOLE:
        raise AnswerDefect(
            f"The completion ended with {failures.spoken(choice.finish_reason or '')}, which is no "
            "end that is known.",
            defect="unknown_status",
        )
    return False


def _text_of(message: _Message | None) -> str:
    content = message.content if message is not None else None
    if isinstance(content, list):
        return "".join(part.text or "" for part in content if part.type == "text")
    return content or ""
