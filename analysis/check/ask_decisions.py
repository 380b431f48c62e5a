"""Open questions about the Decisions API: counting, caching, refusals, limits, probabilities.

io. `live` asks them. The texts are of this module; no text of the user is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from analysis.check.ask_responses import body as response_body
from analysis.check.ask_responses import limit_headers
from analysis.check.questions import Heard, Question
from analysis.check.spending import Cost, usage_of
from analysis.check.wires import HttpReply, Wires, parts
from analysis.errors import AnswerDefect
from analysis.records import Usage

PATH = "/decisions"
LABELS = ("example", "key_thesis", "contrast", "off_topic")
SENTENCES = (
    "For instance, the line to the coast has been full since May.",
    "Night trains will only come back if borders stop mattering to timetables.",
    "Planes are faster, but nobody sleeps well in an airport.",
    "The bakery on the corner sells bread until noon.",
)
COUNTS = (1, 20, 400)
COUNTED_TIMES = 4
"""Questions of the three requests that show how input is counted, and how often the sentences
stand in it: much longer than a question, so that counting it again cannot be missed."""

GRID = ((1, 1), (20, 1), (100, 1), (1, 10), (20, 10))
"""(questions, times the input is repeated) of which the latency is measured."""

GRID_ROUNDS = 3
CACHED_CHARACTERS = 8_000
"""Length of a prefix that is surely cached: about 1,800 tokens of English, 1,024 are needed."""

WINDOW_CHARACTERS = 6_000_000
"""Length of an input beyond any stated window: above 1,100,000 tokens."""

DIGITS_SHOWN = 12


def numbered(times: int = 1) -> str:
    """Return the sentences as numbered chunks, all of them `times` times."""
    texts = SENTENCES * times
    return "\n".join(f"[{number}] {text}" for number, text in enumerate(texts, start=1))


def choices(values: Sequence[object] = LABELS) -> list[dict[str, object]]:
    """Return choices without descriptions."""
    return [{"value": value} for value in values]


def question(number: int, **fields: object) -> dict[str, object]:
    """Return a choice question about one of the sentences."""
    return {
        "type": "choice",
        "name": f"c{number}",
        "instructions": f"Main label of chunk [{number % len(SENTENCES) + 1}].",
        "choices": choices(),
        **fields,
    }


def questions(count: int) -> list[dict[str, object]]:
    """Return so many questions with names of their own."""
    return [question(number) for number in range(count)]


def request(wires: Wires, asked: Sequence[object], **fields: object) -> dict[str, object]:
    """Return the body of a request; nothing is cached unless the fields say so."""
    return {
        "model": wires.models["decisions"],
        "input": numbered(),
        "questions": list(asked),
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        **fields,
    }


def usage(reply: HttpReply) -> Usage:
    """Return the usage of a reply.

    Raises:
        AnswerDefect: If it states none.
    """
    found = usage_of(reply.body.get("usage"))
    if found is None or not found.input_tokens:
        raise AnswerDefect("The reply states no input tokens.", defect="no_usage")
    return found


async def ask_counting(wires: Wires) -> Heard:
    """D.1: the same input with more and more questions."""
    counted: dict[int, int] = {}
    for count in COUNTS:
        body = request(wires, questions(count), input=numbered(COUNTED_TIMES))
        counted[count] = usage(await wires.answer(PATH, body)).input_tokens
    (low, one), (_, some), (high, many) = counted.items()
    per_question = (many - one) / (high - low)
    is_once = per_question < one / 2
    facts = {
        "input_tokens": {str(count): tokens for count, tokens in counted.items()},
        "tokens_per_question": round(per_question, 2),
        "input_characters": len(numbered(COUNTED_TIMES)),
        "input_is_counted": "once" if is_once else "per question",
    }
    text = f"{one}, {some} and {many} input tokens for {', '.join(map(str, counted))} questions"
    return Heard(message=f"{text}: the input counts {facts['input_is_counted']}", facts=facts)


async def ask_caching(wires: Wires) -> Heard:
    """D.2: a long prefix twice in the default mode, and twice behind a breakpoint."""
    seen: dict[str, list[dict[str, int]]] = {"default": [], "explicit": []}
    for mode, counts in seen.items():
        prefix = f"{mode} {wires.nonce} " + (" ".join(SENTENCES) + " ") * 100
        part: dict[str, object] = {"type": "input_text", "text": prefix[:CACHED_CHARACTERS]}
        options: dict[str, object] = {}
        if mode == "explicit":
            part["prompt_cache_breakpoint"] = {"mode": "explicit"}
            options["prompt_cache_options"] = {"mode": "explicit", "ttl": "30m"}
        for text in SENTENCES[:2]:
            given = [
                {"role": "developer", "content": [part]},
                {"role": "user", "content": f"[1] {text}"},
            ]
            sent = {"model": wires.models["decisions"], "input": given, "questions": questions(1)}
            spent = usage(await wires.answer(PATH, sent | options))
            counts.append(
                {
                    "input_tokens": spent.input_tokens,
                    "written": spent.written_tokens,
                    "read": spent.cached_tokens,
                }
            )
    text = "; ".join(
        f"{mode} mode: {first['written']} of {first['input_tokens']} tokens written, then "
        f"{second['read']} read and {second['written']} written"
        for mode, (first, second) in seen.items()
    )
    return Heard(message=text, facts=seen)


REFUSED: Mapping[str, Mapping[str, Any]] = {
    "401 questions": {"questions": questions(401)},
    "no question": {"questions": []},
    "1 choice": {"questions": [question(0, choices=choices(["example"]))]},
    "256 choices": {
        "questions": [question(0, choices=choices([f"v{number}" for number in range(256)]))]
    },
    "the same value twice": {"questions": [question(0, choices=choices(["example"] * 2))]},
    "the same name twice": {"questions": [question(0), question(0)]},
    "empty instructions": {"questions": [question(0, instructions="")]},
    "a name of 61 characters": {"questions": [question(0, name="n" * 61)]},
    "a name of 300 characters": {"questions": [question(0, name="n" * 300)]},
}
"""What is wrong -> the fields that make it so."""


async def ask_refusals(wires: Wires) -> Heard:
    """D.4: requests that are wrong in one way each; some may be answered, and then cost."""
    facts: dict[str, object] = {}
    for name, fields in REFUSED.items():
        reply = await wires.post(PATH, request(wires, fields["questions"]))
        if reply.status == 200:
            count = len(parts(reply.body.get("answers")))
            facts[name] = {"status": reply.status, "answers": count}
        else:
            facts[name] = reply.error
    taken = [name for name, said in facts.items() if isinstance(said, dict) and "answers" in said]
    text = f"{len(facts) - len(taken)} of {len(facts)} wrong requests are refused"
    return Heard(message=f"{text}; taken: {', '.join(taken) or 'none'}", facts=facts)


async def ask_window(wires: Wires) -> Heard:
    """D.4w: an input beyond the window; it costs much if it is taken."""
    text = (" ".join(SENTENCES) + " ") * (WINDOW_CHARACTERS // 200)
    reply = await wires.post(PATH, request(wires, questions(1), input=text[:WINDOW_CHARACTERS]))
    facts = {"characters": WINDOW_CHARACTERS, **reply.error}
    if reply.status == 200:
        facts["input_tokens"] = usage(reply).input_tokens
    return Heard(message=f"HTTP {reply.status} {facts.get('code') or ''}".rstrip(), facts=facts)


async def ask_limits(wires: Wires) -> Heard:
    """D.5: one request here and one of the Responses API with the same model, twice by turns."""
    model = wires.models["decisions"]
    facts: dict[str, object] = {"model": model}
    left: list[str | None] = []
    for number in range(2):
        here = await wires.answer(PATH, request(wires, questions(1)))
        there = await wires.answer("/responses", response_body(model))
        facts[f"decisions_{number + 1}"] = limit_headers(here)
        facts[f"responses_{number + 1}"] = limit_headers(there)
        left += [reply.headers.get("x-ratelimit-remaining-requests") for reply in (here, there)]
    stated = facts["decisions_1"]
    if not stated:
        return Heard(message="no rate-limit headers", facts=facts)
    is_equal = _of_limits(stated) == _of_limits(facts["responses_1"])
    facts["limits_are_equal"] = is_equal
    words = "equal to" if is_equal else "other than"
    text = f"limits {words} those of the Responses API with {model}; requests left, by turns: "
    return Heard(message=text + ", ".join(map(str, left)), facts=facts)


def _of_limits(headers: object) -> dict[str, str]:
    """Return what is allowed, without what is left of it."""
    named = headers if isinstance(headers, dict) else {}
    return {name: value for name, value in named.items() if "-limit-" in name}


async def ask_probabilities(wires: Wires) -> Heard:
    """D.6: order, digits, sums, and the formula of the confidence."""
    reply = await wires.answer(PATH, request(wires, questions(len(SENTENCES) * 5)))
    answers = parts(reply.body.get("answers"))
    found = [answer for answer in answers if len(_chances(answer)) > 1]
    chances = [_chances(answer) for answer in found]
    gaps = [
        abs(answer["confidence"] - (max(row) - 1 / len(row)) / (1 - 1 / len(row)))
        for answer, row in zip(found, chances, strict=True)
        if isinstance(answer.get("confidence"), int | float)
    ]
    orders = [[one.get("value") for one in parts(answer["probabilities"])] for answer in found]
    kept = sum(order == list(LABELS) for order in orders)
    facts = {
        "answers": len(found),
        "in_option_order": kept,
        "digits_at_most": max((_digits(one) for row in chances for one in row), default=0),
        "sum_off_by_at_most": max((round(abs(sum(row) - 1), 9) for row in chances), default=None),
        "exactly_1": sum(max(row) == 1 for row in chances),
        "confidence_off_the_formula_by_at_most": max(map(_rounded, gaps), default=None),
    }
    text = f"{kept} of {len(found)} answers keep the order of the choices, at most "
    return Heard(message=f"{text}{facts['digits_at_most']} digits", facts=facts)


def _chances(answer: Mapping[str, Any]) -> list[float]:
    """Return the probabilities of an answer as far as they are numbers."""
    told = [one.get("probability") for one in parts(answer.get("probabilities"))]
    return [float(one) for one in told if isinstance(one, int | float)]


def _rounded(value: float) -> float:
    return round(value, 6)


def _digits(value: float) -> int:
    """Return the decimal places of a probability as it was written."""
    shown = f"{value:.{DIGITS_SHOWN}f}".rstrip("0")
    return len(shown.partition(".")[2])


async def ask_latency(wires: Wires) -> Heard:
    """D.8: more questions and a longer input, by turns."""
    taken: dict[tuple[int, int], list[float]] = {cell: [] for cell in GRID}
    for _ in range(GRID_ROUNDS):
        for (count, times), values in taken.items():
            body = request(wires, questions(count), input=numbered(times))
            values.append(round(1_000 * (await wires.answer(PATH, body)).seconds, 1))
    facts = [
        {
            "questions": count,
            "input_characters": len(numbered(times)),
            "ms": values,
            "median_ms": median(values),
        }
        for (count, times), values in taken.items()
    ]
    shown = ", ".join(
        f"{one['questions']} questions on {one['input_characters']} characters "
        f"{one['median_ms']:g} ms"
        for one in facts
    )
    return Heard(message=shown, facts={"cells": facts})


async def ask_model(wires: Wires) -> Heard:
    """D.9: the model that a reply names."""
    reply = await wires.answer(PATH, request(wires, questions(1)))
    facts = {"asked": wires.models["decisions"], "read_back": reply.body.get("model")}
    return Heard(message=f"{facts['asked']} reads back as {facts['read_back']}", facts=facts)


async def ask_batch(wires: Wires) -> Heard:
    """D.10: a batch of a file that does not exist, at this address and at one that is known."""
    facts: dict[str, object] = {}
    told: list[str] = []
    for address in ("/v1/decisions", "/v1/responses"):
        body = {
            "input_file_id": "file-none",
            "endpoint": address,
            "completion_window": "24h",
        }
        reply = await wires.post("/batches", body, is_paid=False)
        facts[address] = reply.error
        told.append(f"{address} HTTP {reply.status} {reply.error.get('param')}")
    is_same = _without_words(facts["/v1/decisions"]) == _without_words(facts["/v1/responses"])
    facts["is_refused_alike"] = is_same
    text = f"a batch of a file that does not exist: {', '.join(told)} (status, wrong parameter)"
    return Heard(message=text, facts=facts)


def _without_words(facts: object) -> dict[str, object]:
    named = facts if isinstance(facts, dict) else {}
    return {name: value for name, value in named.items() if name != "message"}


_INPUT = 130
_PER_QUESTION = 50
"""Tokens at most of input and question as they are sent here, with their choices."""


def _cost(count: int, *, times: int = 1, requests: int = 1) -> Cost:
    tokens = _INPUT * times + _PER_QUESTION * count
    return Cost(model="decisions", requests=requests, input_tokens=tokens)


QUESTIONS = (
    Question(
        number="D.1",
        text="Is the input counted once, whatever the number of questions?",
        routes=("decisions",),
        ask=ask_counting,
        costs=tuple(_cost(count, times=COUNTED_TIMES) for count in COUNTS),
    ),
    Question(
        number="D.2",
        text="What does the default cache mode write; does an explicit breakpoint hit?",
        routes=("decisions",),
        ask=ask_caching,
        costs=(Cost(model="decisions", requests=4, input_tokens=2_200),),
    ),
    Question(
        number="D.3",
        text="Do the layouts of several chunks in one request agree?",
        cannot="it needs chunks that a person has labelled",
    ),
    Question(
        number="D.4",
        text="Status, code and words for requests that are wrong in one way?",
        routes=("decisions",),
        ask=ask_refusals,
        costs=(_cost(401), _cost(60), _cost(2, requests=7)),
    ),
    Question(
        number="D.4w",
        text="Status, code and words for an input beyond the window?",
        routes=("decisions",),
        ask=ask_window,
        costs=(Cost(model="decisions", requests=1, input_tokens=WINDOW_CHARACTERS // 4),),
        limit_s=300.0,
        is_long=True,
    ),
    Question(
        number="D.5",
        text="Are limits stated, and are they those of the model on the Responses API?",
        routes=("decisions", "rest"),
        ask=ask_limits,
        costs=(
            _cost(1, requests=2),
            Cost(model="decisions", requests=2, input_tokens=60, output_tokens=16),
        ),
    ),
    Question(
        number="D.6",
        text="How are probabilities rounded, and do they keep the order of the choices?",
        routes=("decisions",),
        ask=ask_probabilities,
        costs=(_cost(len(SENTENCES) * 5),),
    ),
    Question(
        number="D.7",
        text="How often are questions refused on our topics?",
        cannot="a run over your own texts shows it: refused rows have `refused` in semfn_error",
    ),
    Question(
        number="D.8",
        text="How does the latency grow with questions and with the length of the input?",
        routes=("decisions",),
        ask=ask_latency,
        costs=tuple(_cost(count, times=times, requests=GRID_ROUNDS) for count, times in GRID),
    ),
    Question(
        number="D.9",
        text="Which model does a reply name?",
        routes=("decisions",),
        ask=ask_model,
        costs=(_cost(1),),
    ),
    Question(
        number="D.10",
        text="Does the Batch API take the address /v1/decisions?",
        routes=("decisions",),
        ask=ask_batch,
    ),
)
"""Section 11 of the notes on decisions."""
