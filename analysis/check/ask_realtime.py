"""Open questions about the Realtime API: parallel responses, refusals, caps, latency.

io. `live` asks them. Sessions answer with text only; a session that forgets to say so pays for
audio, so the settings are confirmed before anything is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import median
from typing import Any

from analysis.check.questions import Heard, NotAsked, Question
from analysis.check.spending import Cost
from analysis.check.wires import Event, Talk, Wires, error_facts, part
from analysis.errors import AnalysisError
from analysis.wire import failures

STEPS = (4, 8, 16, 32)
"""Responses that are asked for at once, step by step until some are refused."""

ROUNDS = 5
"""Measured answers of each model; one more goes before and is not counted."""

OUTPUT_TOKENS = 64
CAPS = (4_096, 4_097, 32_000)
LARGE_MODEL = "gpt-realtime-2.1"
OLDER_MODEL = "gpt-realtime-mini"
DATED_VERSION = "2025-04-01-preview"

COUNTING = "Count from 1 to 20 in words, separated by spaces."
LABEL = (
    "Answer with one word, the label of this sentence, example or thesis: For instance, the line "
    "to the coast has been full since May."
)
_INSTRUCTIONS = "Do exactly what the user asks, briefly."


@asynccontextmanager
async def greeted(wires: Wires, model: str) -> AsyncIterator[tuple[Talk, str]]:
    """Open a session; yield it with its dialect, `ga` or `beta`.

    Raises:
        AnalysisError: If the server does not greet.
    """
    async with wires.socket("realtime", model) as talk:
        event = await talk.until("session.created", "error")
        if event["type"] == "error":
            raise _refusal(event)
        kind = part(event, "session").get("type")
        yield talk, "ga" if kind == "realtime" else "beta"


@asynccontextmanager
async def text_session(wires: Wires, model: str) -> AsyncIterator[tuple[Talk, str]]:
    """Open a session that answers with text only, confirmed by the server.

    Raises:
        AnalysisError: If the server does not greet or refuses the settings.
    """
    async with greeted(wires, model) as (talk, dialect):
        fields: dict[str, Any] = {"instructions": _INSTRUCTIONS}
        if dialect == "ga":
            fields |= {"type": "realtime", "output_modalities": ["text"]}
            fields |= {"audio": {"input": {"turn_detection": None}}}
        else:
            fields |= {"modalities": ["text"], "turn_detection": None}
        event = await updated(talk, fields, "text")
        if event["type"] == "error":
            raise _refusal(event)
        yield talk, dialect


async def updated(talk: Talk, fields: Mapping[str, object], event_id: str) -> Event:
    """Send a session.update; return the event that confirms or refuses it."""
    await talk.send({"type": "session.update", "event_id": event_id, "session": fields})
    return await talk.until("session.updated", "error")


def created(rid: str, text: str, dialect: str, **fields: object) -> dict[str, object]:
    """Return a `response.create` outside of the default conversation."""
    names = ("output_modalities", "max_output_tokens")
    if dialect == "beta":
        names = ("modalities", "max_response_output_tokens")
    content = [{"type": "input_text", "text": text}]
    response: dict[str, object] = {
        "conversation": "none",
        "metadata": {"rid": rid},
        "instructions": _INSTRUCTIONS,
        "input": [{"type": "message", "role": "user", "content": content}],
        names[0]: ["text"],
        names[1]: OUTPUT_TOKENS,
    }
    return {"type": "response.create", "event_id": rid, "response": response | fields}


async def ask_parallel(wires: Wires) -> Heard:
    """12.1: send more and more responses at once, until some are refused."""
    steps: list[dict[str, object]] = []
    refusal: Mapping[str, object] | None = None
    async with text_session(wires, wires.models["realtime"]) as (talk, dialect):
        for size in STEPS:
            step, refusal = await _burst(wires, talk, dialect, size)
            steps.append(step)
            if refusal is not None:
                break
    most = max(int(str(step["running_at_most"])) for step in steps)
    text = f"{most} out-of-band responses ran at once, {steps[-1]['sent']} were asked for; "
    if refusal is None:
        text += "none was refused"
    else:
        text += f"{steps[-1]['refused']} were refused ({refusal.get('code')})"
    return Heard(message=text, facts={"dialect": dialect, "steps": steps, "refusal": refusal})


async def _burst(
    wires: Wires, talk: Talk, dialect: str, size: int
) -> tuple[dict[str, object], dict[str, object] | None]:
    """Ask for `size` responses at once; return the counts and the first refusal."""
    waiting = {f"r{size}_{place}" for place in range(size)}
    started_at = wires.clock()
    for rid in sorted(waiting):
        await talk.send(created(rid, COUNTING, dialect), is_paid=True)
    running = most = completed = 0
    refusals: list[dict[str, object]] = []
    while waiting:
        event = await talk.until("response.created", "response.done", "error")
        if event["type"] == "error":
            error = part(event, "error")
            named = str(error.get("event_id"))
            if named not in waiting:
                raise _refusal(event)
            waiting.discard(named)
            refusals.append({"by": "error", **error_facts(error)})
            continue
        response = part(event, "response")
        running += 1 if event["type"] == "response.created" else -1
        most = max(most, running)
        if event["type"] == "response.done":
            waiting.discard(str(part(response, "metadata").get("rid")))
            completed += response.get("status") in ("completed", "incomplete")
            if response.get("status") == "failed":
                failure = part(response, "status_details", "error")
                refusals.append({"by": "response.done", **error_facts(failure)})
    counts: dict[str, object] = {
        "sent": size,
        "running_at_most": most,
        "completed": completed,
        "refused": len(refusals),
        "seconds": round(wires.clock() - started_at, 3),
    }
    return counts, refusals[0] if refusals else None


async def ask_temperature(wires: Wires) -> Heard:
    """12.4a: send a temperature that the dialect does not take."""
    async with greeted(wires, wires.models["realtime"]) as (talk, dialect):
        fields: dict[str, object] = {"temperature": 0.5}
        if dialect == "ga":
            fields = {"type": "realtime", "temperature": 0.6}
        event = await updated(talk, fields, "temperature")
    return _said(event, f"a temperature of {fields['temperature']} in {dialect}", dialect)


async def ask_cancel(wires: Wires) -> Heard:
    """12.4b: cancel where nothing runs."""
    async with greeted(wires, wires.models["realtime"]) as (talk, dialect):
        await talk.send({"type": "response.cancel", "event_id": "cancel"})
        event = await talk.until("error", "response.done")
    return _said(event, "response.cancel with nothing to cancel", dialect)


async def ask_caps(wires: Wires) -> Heard:
    """12.5: set caps on the output, one above what the documents say."""
    facts: dict[str, object] = {}
    taken: list[str] = []
    for model in dict.fromkeys((LARGE_MODEL, wires.models["realtime"])):
        outcomes: dict[str, object] = {}
        async with greeted(wires, model) as (talk, dialect):
            for cap in CAPS:
                fields: dict[str, object] = {"type": "realtime", "max_output_tokens": cap}
                if dialect == "beta":
                    fields = {"max_response_output_tokens": cap}
                event = await updated(talk, fields, f"cap_{cap}")
                is_taken = event["type"] == "session.updated"
                outcomes[str(cap)] = "accepted" if is_taken else error_facts(event.get("error"))
        highest = max((int(cap) for cap, said in outcomes.items() if said == "accepted"), default=0)
        taken.append(f"{model} takes up to {highest:,} of those tried")
        facts[model] = outcomes
    return Heard(message="; ".join(taken), facts=facts)


async def ask_dated(wires: Wires) -> Heard:
    """12.6: open Azure's dated form of the Realtime address."""
    place = wires.endpoint.place
    root = place.base_url.removesuffix("/v1")
    if not root.endswith("/openai"):
        raise NotAsked("the endpoint is no Azure resource")
    dated = replace(place, base_url=root, api_version=DATED_VERSION)
    facts: dict[str, object] = {"api_version": DATED_VERSION}
    try:
        async with wires.socket("realtime", wires.models["realtime"], place=dated) as talk:
            event = await talk.next()
    except AnalysisError as error:
        words = failures.spoken(str(error))
        facts |= {"outcome": "refused", "code": getattr(error, "code", ""), "words": words}
        return Heard(message=f"the dated form does not answer: {words}", facts=facts)
    facts |= {"outcome": "answered", "first_event": event.get("type")}
    facts |= {"error": error_facts(event.get("error"))}
    return Heard(message=f"the dated form answers with {event.get('type')}", facts=facts)


async def ask_effort(wires: Wires) -> Heard:
    """12.7: one-word answers of two models by turns, the newer one at effort minimal."""
    newer = wires.models["realtime"]
    efforts: dict[str, dict[str, object]] = {
        newer: {"reasoning": {"effort": "minimal"}},
        OLDER_MODEL: {},
    }
    if len(efforts) == 1:
        raise NotAsked(f"the model of the route realtime is the older one, {OLDER_MODEL}")
    taken: dict[str, list[float]] = {model: [] for model in efforts}
    async with (
        text_session(wires, newer) as (talk, dialect),
        text_session(wires, OLDER_MODEL) as (older, _),
    ):
        if dialect == "beta":
            raise NotAsked("the beta dialect knows no reasoning effort")
        for number in range(ROUNDS + 1):
            for model, one in ((newer, talk), (OLDER_MODEL, older)):
                ms = await _answered_ms(wires, one, f"{number}", efforts[model])
                if number:
                    taken[model].append(ms)
    facts = {
        model: {**efforts[model], "ms": values, "median_ms": round(median(values), 1)}
        for model, values in taken.items()
    }
    text = ", ".join(f"{model} {median(values):.0f} ms" for model, values in taken.items())
    return Heard(message=f"median to the end of a one-word answer: {text}", facts=facts)


async def _answered_ms(wires: Wires, talk: Talk, rid: str, fields: Mapping[str, object]) -> float:
    started_at = wires.clock()
    await talk.send(created(rid, LABEL, "ga", **fields), is_paid=True)
    event = await talk.until("response.done", "error")
    if event["type"] == "error":
        raise _refusal(event)
    return round(1_000 * (wires.clock() - started_at), 1)


def _said(event: Event, what: str, dialect: str) -> Heard:
    """Return what the server said to one event."""
    if event["type"] != "error":
        facts: dict[str, object] = {"dialect": dialect, "outcome": "accepted"}
        return Heard(message=f"{what}: taken, {event['type']}", facts=facts)
    facts = {"dialect": dialect, "outcome": "refused", **error_facts(event.get("error"))}
    return Heard(message=f"{what}: {facts.get('code')}: {facts.get('message')}", facts=facts)


def _refusal(event: Event) -> failures.Failure:
    """Return the exception for an error event."""
    error = part(event, "error")
    return failures.from_code(
        code=str(error.get("code") or ""),
        kind=str(error.get("type") or ""),
        message=str(error.get("message") or ""),
    )


QUESTIONS = (
    Question(
        number="12.1",
        text="How many out-of-band Realtime responses may run at once; what does a refusal say?",
        routes=("realtime",),
        ask=ask_parallel,
        costs=(
            Cost(
                model="realtime",
                requests=sum(STEPS),
                input_tokens=60,
                output_tokens=OUTPUT_TOKENS,
            ),
        ),
        limit_s=300.0,
    ),
    Question(
        number="12.4a",
        text="How is a temperature refused that the dialect does not take?",
        routes=("realtime",),
        ask=ask_temperature,
    ),
    Question(
        number="12.4b",
        text="How is response.cancel refused with nothing to cancel?",
        routes=("realtime",),
        ask=ask_cancel,
    ),
    Question(
        number="12.5",
        text=f"Is max_output_tokens above 4,096 taken on {LARGE_MODEL}?",
        routes=("realtime",),
        ask=ask_caps,
    ),
    Question(
        number="12.6",
        text="Does Azure's dated Realtime address still answer?",
        ask=ask_dated,
    ),
    Question(
        number="12.7",
        text=f"Is the newer mini at effort minimal faster than {OLDER_MODEL} for one label?",
        routes=("realtime",),
        ask=ask_effort,
        costs=tuple(
            Cost(
                model=model,
                requests=ROUNDS + 1,
                input_tokens=80,
                output_tokens=OUTPUT_TOKENS,
            )
            for model in ("realtime", OLDER_MODEL)
        ),
    ),
)
"""Section 12 of the protocol notes, as far as it is about Realtime."""
