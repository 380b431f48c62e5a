"""Asks questions of the live check at endpoints of the tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.check.live import QUESTIONS, answers
from analysis.check.questions import Answer, Question, select
from analysis.check.spending import Spending
from analysis.check.transcript import Mask, Transcript
from analysis.check.wires import Patience, Wires
from analysis.endpoint import Endpoint
from analysis.settings import DEFAULT_MODELS

SHORT = Patience(reply_s=10.0, ping_s=10.0, age_s=10.0)
NONCE = "2026-11-21T14:00:00"


def wires_to(
    endpoint: Endpoint,
    *,
    models: Mapping[str, str] = DEFAULT_MODELS,
    patience: Patience = SHORT,
    limit_usd: float | None = None,
) -> Wires:
    """Return wires without transcript."""
    return Wires(
        endpoint,
        models=models,
        spending=Spending(limit_usd),
        transcript=Transcript(None, mask=Mask(endpoint), clock=time.monotonic),
        clock=time.monotonic,
        nonce=NONCE,
        patience=patience,
    )


def answers_to(
    endpoint: Endpoint,
    questions: Sequence[Question] | str,
    *,
    routes: Sequence[str] | None = None,
    is_long: bool = False,
    **options: Any,
) -> list[Answer]:
    """Return what becomes of questions, given as such or by their numbers."""
    asked = select(QUESTIONS, questions) if isinstance(questions, str) else questions
    given: dict[str, Any] = {} if routes is None else {"routes": routes}

    async def collect() -> list[Answer]:
        wires = wires_to(endpoint, **options)
        try:
            return [one async for one in answers(wires, asked, is_long=is_long, **given)]
        finally:
            await wires.close()

    return asyncio.run(collect())


def facts_of(endpoint: Endpoint, number: str, **options: Any) -> dict[str, Any]:
    """Return the facts of one question, which has to be answered."""
    (answer,) = answers_to(endpoint, number, **options)
    assert "answered" == answer.outcome, answer.message
    return dict(answer.facts)
