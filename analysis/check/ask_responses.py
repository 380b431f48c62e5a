"""Open questions about the Responses API: its WebSocket, and the limits that HTTPS states.

io. `live` asks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from analysis.check.ask_realtime import LABEL, created, text_session
from analysis.check.questions import Heard, Question
from analysis.check.spending import Cost
from analysis.check.wires import Event, HttpReply, Talk, Wires, error_facts, part, parts
from analysis.errors import DeadlinePassed, TransportError
from analysis.wire import failures

ENDS = ("response.completed", "response.incomplete", "response.failed", "error")
"""Types of the events that end a request."""

OUTPUT_TOKENS = 16
"""Smallest cap that the Responses API takes."""

UNKNOWN_MODEL = "no-such-model"
PINGS = 3
"""Pings after which their interval is known."""

SEEN_EVENTS = 5
"""Last events of a socket that are told of at its end."""


def body(model: str, **fields: object) -> dict[str, object]:
    """Return a request for a one-word answer of a text model."""
    return {
        "model": model,
        "input": LABEL,
        "store": False,
        "reasoning": {"effort": "none"},
        "max_output_tokens": OUTPUT_TOKENS,
        **fields,
    }


async def ask_warm_up(wires: Wires) -> Heard:
    """12.2a: send a request that generates nothing, then one that goes on from it."""
    model = wires.models["responses-ws"]
    async with wires.socket("responses", model, is_model_named=False) as talk:
        events = await _asked(talk, body(model, generate=False))
        last = events[-1]
        if last["type"] == "error":
            return Heard(message="a warm-up is refused", facts={"refusal": _error(last)})
        response = part(last, "response")
        after = await _asked(talk, body(model, previous_response_id=response.get("id")))
    end = after[-1]
    kinds = [str(event["type"]) for event in events]
    facts = {
        "events": kinds,
        "status": response.get("status"),
        "output_items": len(parts(response.get("output"))),
        "usage": response.get("usage"),
        "follow_up": _error(end) if end["type"] == "error" else end["type"],
    }
    text = f"{' '.join(kinds)}; a request that goes on from "
    text += "it is refused" if end["type"] == "error" else f"it ends with {end['type']}"
    return Heard(message=text, facts=facts)


async def _asked(talk: Talk, fields: Mapping[str, object]) -> list[Event]:
    """Send a request and return its events, the last one included."""
    await talk.send({"type": "response.create", **fields}, is_paid=True)
    events = [await talk.next()]
    while events[-1].get("type") not in ENDS:
        events.append(await talk.next())
    return events


async def ask_error_headers(wires: Wires) -> Heard:
    """12.2c: make the service send an error frame, which costs nothing."""
    model = wires.models["responses-ws"]
    async with wires.socket("responses", model, is_model_named=False) as talk:
        await talk.send({"type": "response.create", **body(UNKNOWN_MODEL)})
        event = await talk.until(*ENDS)
    facts = {"keys": sorted(event), **_error(event)}
    headers = _headers(event)
    facts["headers"] = headers
    held = ", ".join(sorted(headers)) if headers else "no headers"
    return Heard(message=f"an error frame holds {held}", facts=facts)


async def ask_pings(wires: Wires) -> Heard:
    """12.2d: wait on an idle socket for the server's pings."""
    model = wires.models["responses-ws"]
    wait_s = wires.patience.ping_s
    ended = ""
    async with wires.socket("responses", model, is_model_named=False) as talk:
        deadline = wires.clock() + wait_s
        while len(talk.pings) < PINGS and (left_s := deadline - wires.clock()) > 0:
            try:
                # Pings wake nobody, so the socket is looked at several times on the way.
                await talk.next(wait_s=min(left_s, wait_s / 20))
            except DeadlinePassed:
                continue
            except TransportError as error:
                ended = failures.spoken(str(error))
                break
        pings = list(talk.pings)
    gaps = [round(after - before, 2) for before, after in pairwise(pings)]
    facts = {"pings": len(pings), "gaps_s": gaps, "waited_s": wait_s, "ended": ended}
    text = f"{len(pings)} pings" + (f", {gaps} s apart" if gaps else f" within {wait_s:g} s")
    return Heard(message=f"{text}; {ended}" if ended else text, facts=facts)


async def ask_age(wires: Wires) -> Heard:
    """12.2b: wait on an idle socket until the service closes it."""
    model = wires.models["responses-ws"]
    started_at = wires.clock()
    last: list[Event] = []
    error: TransportError | None = None
    async with wires.socket("responses", model, is_model_named=False) as talk:
        while error is None:
            try:
                last = [*last, await talk.next(wait_s=wires.patience.age_s)][-SEEN_EVENTS:]
            except TransportError as ended:
                error = ended
        code, reason = talk.close_code, failures.spoken(talk.close_reason)
    seconds = round(wires.clock() - started_at, 1)
    events = [{"type": event.get("type"), **_error(event)} for event in last]
    facts = {"seconds": seconds, "events": events, "code": code, "reason": reason}
    if isinstance(error, DeadlinePassed):
        return Heard(message=f"still open after {seconds:,} s", facts=facts)
    text = f"closed after {seconds:,} s with code {code} {reason}".rstrip()
    return Heard(message=text, facts=facts)


def _error(event: Event) -> dict[str, object]:
    """Return status and fields of an error frame, nested or flat."""
    fields = error_facts(event.get("error") or event)
    status = event.get("status", event.get("status_code"))
    return {"status": status, **fields} if event.get("type") == "error" else {}


def _headers(event: Event) -> dict[str, object]:
    """Return the headers in an error frame."""
    return {**part(event, "headers"), **part(event, "error", "headers")}


async def ask_limits(wires: Wires) -> Heard:
    """12.3: one request on each side, and what is said of limits with it."""
    text_model, realtime_model = wires.models["rest"], wires.models["realtime"]
    reply = await wires.answer("/responses", body(text_model))
    text_limits = limit_headers(reply)
    async with text_session(wires, realtime_model) as (talk, dialect):
        await talk.send(created("limits", LABEL, dialect), is_paid=True)
        stated = await _stated_limits(talk, wires.patience.late_s)
    facts = {
        text_model: {"headers": text_limits},
        realtime_model: {"rate_limits": stated},
    }
    of_text = text_limits.get("x-ratelimit-limit-tokens")
    of_realtime = next((one.get("limit") for one in stated if one.get("name") == "tokens"), None)
    text = f"tokens per minute: {text_model} {of_text}, {realtime_model} {of_realtime}"
    requests = text_limits.get("x-ratelimit-limit-requests")
    return Heard(message=f"{text}; requests per minute of {text_model}: {requests}", facts=facts)


async def _stated_limits(talk: Talk, late_s: float) -> list[Mapping[str, object]]:
    """Return the limits in the event before or after the answer; empty if there is none."""
    stated: list[Mapping[str, object]] = []
    is_done = False
    while not (is_done and stated):
        try:
            event = await talk.next(wait_s=late_s if is_done else None)
        except DeadlinePassed:
            if is_done:
                return []
            raise
        if event.get("type") == "rate_limits.updated":
            stated = parts(event.get("rate_limits"))
        is_done = is_done or event.get("type") in ("response.done", "error")
    return stated


def limit_headers(reply: HttpReply) -> dict[str, str]:
    """Return the headers that state limits."""
    return {
        name: value
        for name, value in sorted(reply.headers.items())
        if name.startswith(("x-ratelimit-", "retry-after"))
    }


QUESTIONS = (
    Question(
        number="12.2a",
        text="Which frames does a warm-up (generate: false) get?",
        routes=("responses-ws",),
        ask=ask_warm_up,
        costs=(
            Cost(model="responses-ws", requests=2, input_tokens=120, output_tokens=OUTPUT_TOKENS),
        ),
    ),
    Question(
        number="12.2b",
        text="How does a WebSocket of the Responses API end at 60 minutes?",
        routes=("responses-ws",),
        ask=ask_age,
        limit_s=3_900.0,
        is_long=True,
    ),
    Question(
        number="12.2c",
        text="What do the headers of an error frame hold?",
        routes=("responses-ws",),
        ask=ask_error_headers,
    ),
    Question(
        number="12.2d",
        text="At which interval does the server ping?",
        routes=("responses-ws",),
        ask=ask_pings,
    ),
    Question(
        number="12.2e",
        text="Does closing the socket stop the billing?",
        cannot="only the usage page of the account shows what a lost response cost",
    ),
    Question(
        number="12.3",
        text="Which limits hold for the text model and for Realtime; are they separate?",
        routes=("rest", "realtime"),
        ask=ask_limits,
        costs=(
            Cost(model="rest", requests=1, input_tokens=60, output_tokens=OUTPUT_TOKENS),
            Cost(model="realtime", requests=1, input_tokens=80, output_tokens=64),
        ),
    ),
)
"""Section 12 of the protocol notes, as far as it is about the Responses API and limits."""
