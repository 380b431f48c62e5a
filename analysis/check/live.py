"""Ask an endpoint the open questions of the protocol notes, one after the other.

io. Part of `analysis.check`; `semfn check --live` shows each answer as it comes. A question that
fails does not stop the others, unless the failure is about the key or the money; a route that
does not exist is tried once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from analysis import __version__
from analysis.check import ask_decisions, ask_realtime, ask_responses
from analysis.check.findings import cure_of
from analysis.check.questions import (
    ANSWERED,
    FAILED,
    NOT_ASKED,
    Answer,
    NotAsked,
    Question,
)
from analysis.check.spending import BudgetSpent
from analysis.check.transcript import Mask
from analysis.check.wires import Wires
from analysis.endpoint import AZURE_HOSTS, EMBEDDED
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    ConfigurationError,
    RouteClosed,
    TransportError,
)
from analysis.prices import PriceTable, price_table
from analysis.records import Ending
from analysis.wire import failures

ROUTES = ("realtime", "responses-ws", "rest", "decisions")
"""Routes about which there are questions."""

SHEET_DATE = "2026-11-21"
"""Day of the protocol notes whose questions these are."""


def _order(number: str) -> tuple[str, int, str]:
    """Return a key by which 12.2a stands before 12.10, and D.2 before D.10."""
    section, _, part = number.partition(".")
    digits = "".join(sign for sign in part if sign.isdigit())
    return section, int(digits), part.removeprefix(digits)


QUESTIONS: tuple[Question, ...] = tuple(
    sorted(
        ask_realtime.QUESTIONS + ask_responses.QUESTIONS + ask_decisions.QUESTIONS,
        key=lambda question: _order(question.number),
    )
)
"""All questions by their numbers."""

LONG_REASON = "it takes an hour or costs more than all others; ask with --long"


def highest_cost(
    asked: Sequence[Question], models: Mapping[str, str], table: PriceTable, *, is_long: bool
) -> float | None:
    """Return what the questions cost at most in US dollars.

    Returns:
        None if one of the models has no price in the table.
    """
    parts = [one.usd(models, table) for one in asked if one.ask and (is_long or not one.is_long)]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


async def answers(
    wires: Wires,
    asked: Sequence[Question],
    *,
    routes: Collection[str] = ROUTES,
    is_long: bool = False,
) -> AsyncIterator[Answer]:
    """Yield what becomes of each question.

    Args:
        wires: To the endpoint.
        asked: Questions in order.
        routes: Questions that need others are not asked.
        is_long: Those that take an hour or much money are asked, too.
    """
    shut = {route: "left out" for route in ROUTES if route not in routes}
    over = ""
    mask = Mask(wires.endpoint)
    for question in asked:
        reason = over or _reason(question, shut, is_long=is_long)
        if reason or question.ask is None:
            yield _answer(wires, mask, question, NOT_ASKED, reason)
            continue
        try:
            async with asyncio.timeout(question.limit_s):
                heard = await question.ask(wires)
        except NotAsked as error:
            yield _answer(wires, mask, question, NOT_ASKED, str(error))
        except BudgetSpent as error:
            over = str(error)
            yield _answer(wires, mask, question, NOT_ASKED, over)
        except AnalysisError as error:
            if isinstance(error, AccountClosed):
                over = f"the account is closed ({error.code})"
            if _is_shut(error) and len(question.routes) == 1:
                shut[question.routes[0]] = failures.spoken(str(error))
            yield _failed(wires, mask, question, error)
        except TimeoutError:
            message = f"not finished within {question.limit_s:g} s"
            yield _answer(wires, mask, question, FAILED, message)
        else:
            yield _answer(wires, mask, question, ANSWERED, heard.message, heard.facts)


def _is_shut(error: AnalysisError) -> bool:
    """Tell whether the whole route has the same fault: no such address, or nobody there."""
    is_unreached = isinstance(error, TransportError) and error.ending is Ending.UNSENT
    return isinstance(error, RouteClosed) or is_unreached


def _reason(question: Question, shut: Mapping[str, str], *, is_long: bool) -> str:
    """Return why a question is not asked, or an empty text."""
    if question.ask is None:
        return question.cannot
    if question.is_long and not is_long:
        return LONG_REASON
    return next((f"route {route}: {shut[route]}" for route in question.routes if route in shut), "")


def _failed(wires: Wires, mask: Mask, question: Question, error: AnalysisError) -> Answer:
    facts = {"error": type(error).__name__, "code": getattr(error, "code", "")}
    message = failures.spoken(str(error))
    if isinstance(error, ConfigurationError | AccountClosed):
        message += f" {cure_of(error)}"
    return _answer(wires, mask, question, FAILED, message, facts)


def _answer(
    wires: Wires,
    mask: Mask,
    question: Question,
    outcome: str,
    message: str,
    facts: Mapping[str, object] | None = None,
) -> Answer:
    """Return an answer without key and account, with what it cost."""
    shown = mask.value(facts or {})
    assert isinstance(shown, dict)  # a mapping went in
    return Answer(
        number=question.number,
        text=question.text,
        outcome=outcome,
        message=mask(message),
        facts=shown,
        spent=wires.spending.take_part(),
        is_simulated=wires.endpoint.host == EMBEDDED,
    )


def shown_host(base_url: str) -> str:
    """Return the host of an address as a page may show it; the name of a resource stays out."""
    host = urlsplit(base_url).hostname or ""
    for end in AZURE_HOSTS:
        if host.endswith(end):
            return f"*{end}"
    return host


def document(wires: Wires, given: Sequence[Answer], asked_at: datetime) -> dict[str, object]:
    """Return all answers as one value for JSON, fit for the protocol notes.

    Args:
        wires: To the endpoint that was asked.
        given: The answers.
        asked_at: In UTC.
    """
    is_simulated = wires.endpoint.host == EMBEDDED
    return {
        "version": 1,
        "kind": "live check",
        "sheet": SHEET_DATE,
        "asked_at": asked_at.isoformat(timespec="seconds"),
        "semfn": __version__,
        "host": "local service" if is_simulated else shown_host(wires.endpoint.base_url),
        "is_simulated": is_simulated,
        "models": {route: wires.models[route] for route in ROUTES},
        "prices_of": price_table().date,
        "spent": wires.spending.total.to_dict(),
        "answers": [answer.to_dict() for answer in given],
    }
