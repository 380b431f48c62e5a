"""What an HTTP request comes to: an answer or a refusal, and when it leaves.

Pure. `routes` chooses the address, `responses` and `chat` say how a request is read and an answer
spelled; `server` carries the outcome out. Sources: sections 5.2 and 5.3 of the protocol notes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from analysis.simulator.faults import Draw
from analysis.simulator.limits import go_duration
from analysis.simulator.parameters import check_shutdown
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.service import Job, Question, Receipt, Service, encode

Chunks: TypeAlias = tuple[tuple[float, bytes], ...]
"""Parts of a streamed body, each with the time at which it leaves; times never go back."""

NO_HEADERS: Mapping[str, str] = {}
_EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Delivery(StrEnum):
    """What the carrier does with an outcome when its time has come."""

    SEND = "send"
    DROP = "drop"
    TORN = "torn"
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOutcome:
    """What to send, and when.

    Attributes:
        at: When the answer leaves, or its first part.
        status: HTTP status.
        headers: Response headers, names in lower case.
        body: JSON; empty if the body is streamed.
        chunks: The parts of a streamed body.
        delivery: What becomes of it. A whole answer is sent, cut off before (drop), cut off in the
            middle (torn) or never sent (hang). Of a streamed one the parts are sent, and then the
            stream ends well (send), the connection is cut (drop) or nothing follows (hang); torn
            cuts in the middle of the last part.
        receipt: To be paid with `service.pay` before the answer or its last part is sent; None
            when it is free or already paid as lost.
    """

    at: float
    status: int
    headers: Mapping[str, str]
    body: bytes
    chunks: Chunks = ()
    delivery: Delivery = Delivery.SEND
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one route reads requests and spells answers.

    Attributes:
        check: Returns the body if the route takes it, else raises `Refusal`.
        question: Returns the account's view of a checked body; the headers are handed in.
        answer: Returns the body of the answer; the time is that of acceptance.
        stream: Returns the parts of a streamed answer, or no parts if a failure comes before
            them; None where nothing is streamed.
    """

    check: Callable[[Service, Json], Json]
    question: Callable[[Json, Mapping[str, str]], Question]
    answer: Callable[[Service, Json, Job, float], Json]
    stream: Callable[[Service, Json, Job, float], Chunks] | None = None


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
    extra = {**headers, **retry_headers(refusal)}
    content = {"error": refusal.fields()}
    return settle(service, content, at=at, status=refusal.status, headers=extra)


def retry_headers(refusal: Refusal) -> dict[str, str]:
    """Return the headers that tell when to come back, if that is known."""
    wait_s = refusal.retry_after_s
    if wait_s is None:
        return {}
    return {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(math.ceil(wait_s * 1_000))}


def limit_headers(
    service: Service, cost_tokens: int, now: float, *, lie: str = ""
) -> dict[str, str]:
    """Return the headers that tell how much of the limits is left, section 5.2."""
    headers = {}
    for state in service.limits.report(cost_tokens, now, lie=lie):
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
        check_shutdown(service, request["model"], now)
        job = service.start(form.question(request, headers), now)
    except msgspec.DecodeError:
        problem = "We could not parse the JSON body of your request. Send a JSON object."
        return refuse(service, Refusal(problem), at=now)
    except Refusal as refusal:
        limits = {} if refusal.status == 404 else limit_headers(service, 0, now)
        return refuse(service, refusal, at=now, headers=limits)
    told = limit_headers(service, job.cost_tokens, now, lie=job.draw.lie)
    told["openai-processing-ms"] = str(round(job.latency_s * 1_000))
    chunks: Chunks = ()
    if request.get("stream") and form.stream is not None:
        chunks = form.stream(service, request, job, now)
    if job.failure and not chunks:
        return refuse(service, job.failure, at=job.at, headers=told)
    delivery = _delivery(job.draw)
    receipt = None if job.failure else job.receipt
    if receipt and delivery is not Delivery.SEND:
        service.pay(receipt, is_delivered=False, now=now)
        receipt = None
    if chunks:
        parts = _parts(chunks, job)
        told |= _EVENT_STREAM
        return HttpOutcome(
            at=parts[0][0],
            status=200,
            headers={"x-request-id": service.new_id("req"), **told},
            body=b"",
            chunks=parts,
            delivery=delivery,
            receipt=receipt,
        )
    answer = form.answer(service, request, job, now)
    return settle(service, answer, at=job.at, headers=told, delivery=delivery, receipt=receipt)


def _delivery(draw: Draw) -> Delivery:
    """Return what the carrier does; over HTTP a half-open or stalled answer just never comes."""
    if draw.is_dropped:
        return Delivery.DROP
    if draw.is_torn:
        return Delivery.TORN
    if draw.is_hanging or draw.is_half_open or draw.is_stalled:
        return Delivery.HANG
    return Delivery.SEND


def _parts(chunks: Chunks, job: Job) -> Chunks:
    """Return the chunks that get out: a faulty stream ends early, at the time of its end.

    A dropped or hanging stream has its opening only; a stalled one goes on to its first delta.
    """
    draw = job.draw
    if draw.is_stalled:
        return chunks[: min(3, len(chunks) - 1)]
    if draw.is_dropped:
        return (*chunks[:1], (job.at, b""))
    if draw.is_hanging or draw.is_half_open:
        return chunks[:1]
    return chunks
