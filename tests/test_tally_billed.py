"""Estimates against the bill of the simulated service, which counts in its own way."""

from __future__ import annotations

import pytest

from analysis.records import Usage
from tests.observed_service import ObservedService, serving
from tests.virtual_loop import virtual

TEXTS = {
    "en": "The city council will meet on Monday to decide how the old harbour should be used. "
    "Nobody expects an easy debate: the port has employed three families for sixty years.",
    "fr": "Le conseil municipal se réunira lundi pour décider de l'avenir du vieux port. Personne "
    "n'espère un débat facile : le port fait vivre trois familles depuis soixante ans.",
    "ru": "Городской совет соберётся в понедельник и решит, как использовать старую гавань. Никто "
    "не ждёт лёгкого спора: порт кормит три семьи уже шестьдесят лет.",
    "zh": "市议会将于星期一开会，决定如何使用旧港口。没有人指望会有轻松的辩论：六十年来，"
    "这个港口养活了三个家庭。会议对所有居民开放，结果将在第二天公布。",
}


@virtual
@pytest.mark.parametrize("kind", ["rest", "realtime"])
@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("language", sorted(TEXTS))
async def test_an_estimate_is_within_a_tenth_of_the_bill(
    language: str, size: int, kind: str
) -> None:
    """In four languages, one by one and ten by ten; input and output together (simulated)."""
    chunks = [(str(place), f"{place}. {TEXTS[language]}") for place in range(40)]
    async with serving(kind, ObservedService(latency_ms=50)) as (analyzer, service):
        estimate = analyzer.estimate(chunks, chunks_per_request=size)
        await analyzer.analyze_batch(chunks, chunks_per_request=size)
        billed = Usage()
        for paid in service.payments:
            billed += Usage(input_tokens=paid["input_tokens"], output_tokens=paid["output_tokens"])
        assert estimate.requests == len(service.payments)
        estimated = estimate.input_tokens + estimate.output_tokens
        assert abs(estimated / (billed.input_tokens + billed.output_tokens) - 1) < 0.1


@virtual
@pytest.mark.parametrize("kind", ["rest", "realtime"])
@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("language", sorted(TEXTS))
async def test_an_estimate_with_titles_is_within_a_tenth_of_the_bill(
    language: str, size: int, kind: str
) -> None:
    """Eight titles of different lengths over five chunks each (simulated)."""
    chunks = [
        {
            "id": str(place),
            "title": f"{place // 5} {TEXTS[language][: 20 * (place // 5 + 1)]}",
            "text": f"{place}. {TEXTS[language]}",
        }
        for place in range(40)
    ]
    async with serving(kind, ObservedService(latency_ms=50)) as (analyzer, service):
        estimate = analyzer.estimate(chunks, chunks_per_request=size)
        await analyzer.analyze_batch(chunks, chunks_per_request=size)
        billed = sum(paid["input_tokens"] + paid["output_tokens"] for paid in service.payments)
        assert estimate.requests == len(service.payments) == (40 if size == 1 else 8)
        assert abs((estimate.input_tokens + estimate.output_tokens) / billed - 1) < 0.1


@virtual
async def test_what_is_billed_corrects_the_estimate_during_a_run() -> None:
    """Signs that take fewer tokens on this service than estimated: the next requests know it."""
    chunks = [(str(place), f"{place} " + "😀 🚆 🌙 " * 30) for place in range(60)]
    async with serving("rest") as (analyzer, service):
        estimate = analyzer.estimate(chunks, chunks_per_request=5)
        await analyzer.analyze_batch(chunks, chunks_per_request=5)
        billed = sum(paid["input_tokens"] for paid in service.payments)
        assert abs(estimate.input_tokens / billed - 1) > 0.1
        ratio = analyzer.statistics()["billed_to_estimated"]["rest"]
        assert abs(ratio * estimate.input_tokens / billed - 1) < 0.1
