"""What an HTTP request comes to: an answer or a refusal, and when it leaves.

Pure. `routes` chooses the address, `responses` and `chat` say how a request is read and an answer
spelled; `server` carries the outcome out. Sources: sections 5.2 and 5.3 of the protocol notes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from analysis.simulator.limits import go_duration
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.service import Job, Question, Receipt, Service, encode

NO_HEADERS: Mapping[str, str] = {}
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Delivery(StrEnum):
    """What the carrier does with an outcome when its time has come."""

    SEND = "send"
    DROP = "drop"
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOutcome:
    """What to send, and when.

    Attributes:
        at: When the answer leaves.
        status: HTTP status.
        headers: Response headers, names in lower case.
        body: JSON.
        delivery: Send it, cut the connection instead, or never answer.
        receipt: To be paid at `at` with `service.pay`, before sending; None when it is free or
            already paid as lost.
    """

    at: float
    status: int
    headers: Mapping[str, str]
    body: bytes
    delivery: Delivery = Delivery.SEND
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one route reads requests and spells answers.

    Attributes:
        check: Returns the body if the route takes it, else raises `Refusal`.
        question: Returns the account's view of a checked body; the headers are handed in.
        answer: Returns the body of the answer; the time is that of acceptance.
    """

    check: Callable[[Service, Json], Json]
    question: Callable[[Json, Mapping[str, str]], Question]
    answer: Callable[[Service, Json, Job, float], Json]


def settle(
    service: Service,
    content: Json,
    *,
    at: float,
    status: int = 200,
    headers: Mapping[str, str] = NO_HEADERS,
    delivery: Delivery = Delivery.SEND,
    receipt: Receipt | None = None,
) -> HttpOutcome:
    """Return an outcome with the headers that every answer has."""
    fixed = {"content-type": "application/json", "x-request-id": service.new_id("req")}
    return HttpOutcome(
        at=at,
        status=status,
        headers={**fixed, **headers},
        body=encode(content),
        delivery=delivery,
        receipt=receipt,
    )


def refuse(
    service: Service, refusal: Refusal, *, at: float, headers: Mapping[str, str] = NO_HEADERS
) -> HttpOutcome:
    """Return the outcome that tells a refusal."""
    extra = dict(headers)
    if refusal.retry_after_s is not None:
        extra["retry-after"] = str(math.ceil(refusal.retry_after_s))
        extra["retry-after-ms"] = str(math.ceil(refusal.retry_after_s * 1_000))
    content = {"error": refusal.fields()}
    return settle(service, content, at=at, status=refusal.status, headers=extra)


def _limit_headers(service: Service, cost_tokens: int, now: float) -> dict[str, str]:
    headers = {}
    for state in service.limits.report(cost_tokens, now):
        headers[f"x-ratelimit-limit-{state.name}"] = str(state.limit)
        headers[f"x-ratelimit-remaining-{state.name}"] = str(state.remaining)
        headers[f"x-ratelimit-reset-{state.name}"] = go_duration(state.reset_s)
    return headers


def complete(
    service: Service, form: Form, *, headers: Mapping[str, str], body: bytes, now: float
) -> HttpOutcome:
    """Answer a request for a completion, with the limits in the headers."""
    try:
        request = form.check(service, _decode(body))
        job = service.start(form.question(request, headers), now)
    except msgspec.DecodeError:
        problem = "We could not parse the JSON body of your request. Send a JSON object."
        return refuse(service, Refusal(problem), at=now)
    except Refusal as refusal:
        limits = {} if refusal.status == 404 else _limit_headers(service, 0, now)
        return refuse(service, refusal, at=now, headers=limits)
    told = _limit_headers(service, job.cost_tokens, now)
    told["openai-processing-ms"] = str(round(job.latency_s * 1_000))
    if job.failure:
        return refuse(service, job.failure, at=job.at, headers=told)
    delivery = Delivery.SEND
    receipt: Receipt | None = job.receipt
    if job.draw.is_dropped or job.draw.is_hanging:
        service.pay(job.receipt, is_delivered=False, now=now)
        delivery = Delivery.DROP if job.draw.is_dropped else Delivery.HANG
        receipt = None
    answer = form.answer(service, request, job, now)
    return settle(service, answer, at=job.at, headers=told, delivery=delivery, receipt=receipt)
