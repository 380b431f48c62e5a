"""Every message of both sides has its type, and the page says what was found."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import pytest

from analysis.simulator.faults import FAULTS
from analysis.wire.dialects import BETA, GA
from tests.conformance import client_plays, suites
from tests.conformance.plays import perform_all
from tests.conformance.suites import ALLOWED, Message, judge, sent
from tests.conformance.table import PAGE, Verdicts, fields_of, page, run

DRIFT = 0.05
"""Share by which a count may differ: the last frames before a cut are there or not."""

TEXT_EVENTS = {
    "session.update",
    "conversation.item.create",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "response.create",
    "response.cancel",
}
ROUTES = ("realtime ga", "realtime beta", "responses-ws", "responses", "chat", "decisions")
_COUNT = re.compile(r"(?<=\| )[\d,]+(?= \|)")


@cache
def verdicts() -> Verdicts:
    """Play everything once."""
    return run()


def test_nothing_is_refused() -> None:
    """Each line would name the play, the message and the field."""
    assert [] == verdicts().refusals


def test_page_is_in_step() -> None:
    """But for small differences of counts. If it fails: `python -m tests.conformance.table`."""
    made, kept = page(verdicts()), PAGE.read_text(encoding="utf-8")
    assert _COUNT.sub("N", made) == _COUNT.sub("N", kept)
    counts = zip(_COUNT.findall(made), _COUNT.findall(kept), strict=True)
    pairs = [(int(new.replace(",", "")), int(old.replace(",", ""))) for new, old in counts]
    assert [] == [(new, old) for new, old in pairs if abs(new - old) > 2 + DRIFT * old]


def test_every_route_is_heard_in_both_directions() -> None:
    """No route is good because nobody spoke."""
    scores = verdicts().scores
    for route in ROUTES:
        assert scores[route, "to service"].checked >= 100
        assert scores[route, "to client"].checked >= 100


@pytest.mark.parametrize("suite", [suites.GA, suites.BETA])
def test_our_client_says_every_event_about_text(suite: str) -> None:
    """And no event that its dialect does not have."""
    kinds = set(verdicts().scores[suite, "to service"].kinds)
    dialect = GA if suite == suites.GA else BETA
    assert TEXT_EVENTS == kinds
    assert kinds <= dialect.client_events


def test_every_allowance_is_needed() -> None:
    """One that nothing needs any more would hide what comes later."""
    assert [] == [one for one in ALLOWED if not verdicts().used[one]]


def test_every_fault_is_played() -> None:
    """Against our client on each route."""
    played = {name for faults in client_plays.FAULTS for name in faults}
    assert set(FAULTS) == played


@pytest.mark.parametrize(
    ("suite", "text", "complaint"),
    [
        ("realtime ga", '{"type": "response.cancel", "reason": "x"}', "reason: not in the type"),
        ("realtime beta", '{"type": "response.cancel", "reason": "x"}', "unknown field `reason`"),
        ("responses-ws", '{"type": "response.create", "stream_id": 1}', "stream_id: int in place"),
        ("chat", '{"model": "m", "messages": [], "max_token": 1}', "max_token: not in the type"),
        ("decisions", '{"model": "m", "input": "x"}', "questions: absent"),
    ],
)
def test_a_wrong_message_of_our_client_is_refused(suite: str, text: str, complaint: str) -> None:
    """On every route."""
    assert any(complaint in line for line in judge(sent(suite, text, "x")))


@pytest.mark.parametrize("name", ROUTES)
def test_a_wrong_message_of_the_service_is_refused(name: str) -> None:
    """A field too many is one, and so is each event or body without its first field."""
    (play,) = [one for one in client_plays.plays() if one.name.strip() == name]
    ((_, said),) = perform_all(iter([play]))
    told = [one for one in said if (one.suite, one.direction) == (name, "to client")]
    assert told
    for spoil in (_with_more, _with_less):
        found = Verdicts()
        found.take(name, [spoil(one) for one in told])
        assert len(told) == found.scores[name, "to client"].refused


def _with_more(message: Message) -> Message:
    return replace(message, text=json.dumps({**json.loads(message.text), "bogus": 1}))


def _with_less(message: Message) -> Message:
    content = json.loads(message.text)
    missing = next(name for name in ("type", "model", "usage", "id") if name in content)
    return replace(message, text=json.dumps({n: one for n, one in content.items() if n != missing}))


def test_fields_are_named_by_their_path() -> None:
    """Lists of objects are entered, schemas are not."""
    text = '{"a": {"b": [{"c": 1}, {"d": []}]}, "schema": {"e": 1}, "f": ["x"]}'
    assert ["a.b[].c", "a.b[].d", "schema", "f"] == list(fields_of(text))
