"""The Decisions API over HTTPS: the body of a request, and the reply held against its questions.

Pure. `transport/decisions.py` calls it; statuses other than 2xx are read by `wire/failures.py`.

A request has one shared input and one question of type `choice` per chunk. The reply has one typed
answer per question, and no id of its own: what binds an answer to its chunk is the name of the
question, which holds the short id that the chunk got for this request alone. So names decide, not
places.

    what the reply holds                                   what follows
    another number of answers than questions               the whole answer is void
    a name that was not asked, none, or one twice          the whole answer is void
    `refusal`                                              the chunk was declined
    another type than `choice`, a value not offered or     the chunk has no answer
    missing, a probability outside of 0..1, a sum off
    by more than 0.02, a choice that is not the top one
    anything more than that                                is not looked at
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from analysis.errors import AnswerDefect, LocalProtocolError
from analysis.records import Ask, Choice, ChoiceReply, Request
from analysis.wire import failures
from analysis.wire.usage import StatedUsage, usage_of

CACHE_PREFIX_TOKENS = 1_024
"""Shortest prefix that the service caches. Source: OpenAI guide "Prompt caching", 2026."""

SAFETY_IDENTIFIER_SIZE = 64
"""Most characters of a safety identifier. Source: Responses reference; one copy says 128."""

SUM_TOLERANCE = 0.02
"""How far the probabilities of an answer may be from 1 in all; their rounding is not documented."""

TIE_TOLERANCE = 1e-9
"""By how much a choice may be below the highest probability: nothing but the noise of floats."""

_NAME_PREFIX = "c_"
_CACHE = {"mode": "explicit", "ttl": "30m"}
_BREAKPOINT = {"mode": "explicit"}
_BAD_BODY = (msgspec.MsgspecError, ValueError, RecursionError)


class _Error(msgspec.Struct):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None


class _Body(msgspec.Struct):
    model: str | None = None
    answers: list[Any] | None = None
    usage: StatedUsage | None = None
    error: _Error | None = None


class _Probability(msgspec.Struct):
    value: str
    probability: float


class _Choice(msgspec.Struct):
    choice: str
    probabilities: list[_Probability]


_decode = msgspec.json.Decoder(_Body).decode


def body(
    request: Request, *, is_cached: bool = False, safety_identifier: str | None = None
) -> dict[str, Any]:
    """Return the JSON body of `POST /decisions` for one request.

    Caching is asked for explicitly, since the default mode bills texts that never come again as
    written to the cache. No field is null: the service may not take it.

    Args:
        request: Its ask has choices.
        is_cached: The instructions reach `CACHE_PREFIX_TOKENS`: a breakpoint is set behind them.
        safety_identifier: Hashed id of the end user, at most `SAFETY_IDENTIFIER_SIZE` characters.

    Raises:
        LocalProtocolError: If the ask has no choices.
    """
    ask = request.ask
    if not ask.choices:
        raise LocalProtocolError("The decisions route needs an ask with choices.")
    instructions: Any = ask.instructions
    if is_cached:
        part = {"type": "input_text", "text": instructions, "prompt_cache_breakpoint": _BREAKPOINT}
        instructions = [part]
    choices = [{"value": key} for key in ask.choices]
    fields: dict[str, Any] = {
        "model": request.model,
        "input": [
            {"role": "developer", "content": instructions},
            {"role": "user", "content": ask.content},
        ],
        "questions": [
            {
                "type": "choice",
                "name": _NAME_PREFIX + short_id,
                "instructions": f"Main label of chunk {short_id}.",
                "choices": choices,
            }
            for short_id in ask.tickets
        ],
        "prompt_cache_options": _CACHE,
    }
    if safety_identifier:
        fields["safety_identifier"] = safety_identifier
    return fields


def read(content: bytes, *, ask: Ask, service_request_id: str | None = None) -> ChoiceReply:
    """Return the reply in the body of a 2xx answer; see the table at the top of the module.

    Chunks without an answer are left out of `choices`. In the probabilities of the others the
    value that the service chose stands first, the rest as the service lists it.

    Args:
        content: The raw body.
        ask: What was asked.
        service_request_id: The header `x-request-id`; the body has no id.

    Raises:
        TransportError: If the body is empty, or holds an error after which a retry is sound.
        RequestRejected: If the body holds a final error.
        AnswerDefect: If the answers are not those to the questions asked.
    """
    failures.check_body(content, service_request_id)
    try:
        found = _decode(content)
    except _BAD_BODY as error:
        raise AnswerDefect("The body is no JSON of decisions.", defect="malformed_reply") from error
    if found.error is not None:
        raise failures.from_code(
            code=str(found.error.code or ""),
            kind=found.error.type or "",
            message=found.error.message or "",
            request_id=service_request_id,
        )
    usage = usage_of(found.usage)
    with failures.billed(usage):
        named = _by_short_id(found.answers or [], ask.tickets)
    read_answers = ((short_id, _choice(named[short_id], ask.choices)) for short_id in ask.tickets)
    return ChoiceReply(
        choices={short_id: choice for short_id, choice in read_answers if choice is not None},
        model=found.model or "",
        usage=usage,
        service_request_id=service_request_id,
    )


def _by_short_id(answers: Sequence[Any], asked: Mapping[str, int]) -> Mapping[str, Any]:
    """Return short id -> its answer, for exactly the ids that were asked."""
    if len(answers) != len(asked):
        raise AnswerDefect(
            f"The reply holds {len(answers)} answers to {len(asked)} questions.",
            defect="wrong_count",
        )
    named: dict[str, Any] = {}
    for answer in answers:
        name = answer.get("name") if isinstance(answer, dict) else None
        short_id = name.removeprefix(_NAME_PREFIX) if isinstance(name, str) else ""
        if short_id not in asked or name != _NAME_PREFIX + short_id:
            shown = failures.spoken(repr(name))
            raise AnswerDefect(
                f"An answer names a question that was not asked: {shown}.", defect="foreign_id"
            )
        if short_id in named:
            raise AnswerDefect(f"Two answers name the question {name!r}.", defect="doubled_id")
        named[short_id] = answer
    return named


def _choice(answer: Mapping[str, Any], choices: Sequence[str]) -> Choice | None:
    """Return the answer to one question, or None if it cannot be used."""
    if answer.get("type") == "refusal":
        return Choice()
    if answer.get("type") != "choice":
        return None
    try:
        found = msgspec.convert(answer, _Choice)
    except msgspec.ValidationError:
        return None
    stated = {entry.value: entry.probability for entry in found.probabilities}
    if len(stated) != len(found.probabilities) or stated.keys() != set(choices):
        return None
    is_possible = all(0.0 <= share <= 1.0 for share in stated.values())
    if not is_possible or abs(sum(stated.values()) - 1.0) > SUM_TOLERANCE:
        return None
    top = stated.get(found.choice, -1.0)
    if top < max(stated.values()) - TIE_TOLERANCE:
        return None
    return Choice(probabilities={found.choice: top} | stated)
