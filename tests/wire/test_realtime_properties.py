"""A Realtime connection against junk, shuffled, doubled and exchanged frames."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.wire.events import (
    Answered,
    Breach,
    RequestEnded,
    SessionConfigured,
    SessionRefused,
    Violation,
)
from analysis.wire.realtime import RealtimeConnection

from .examples import (
    DIALECTS,
    SETTINGS,
    answers,
    breaches,
    call,
    created,
    default_session,
    done,
    effective_session,
    endings,
    feed,
    frame,
    message,
    passing,
    ready,
    request,
)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"{}",
        b'{"type":5}',
        b'{"type":"response.done"}',
        b'{"type":"response.done","response":[]}',
        b'{"type":"response.created","response":{"id":5}}',
        b'{"type":"error"}',
        b'{"type":"rate_limits.updated","rate_limits":[{}]}',
        b'{"type":"rate_limits.updated","rate_limits":[{"name":"a","limit":1' + b"0" * 400 + b"}]}",
        b'{"type":"session.created","session":"x"}',
        b'{"type":"x\\ud800"}',
        b"[" * 100_000,
        '{"type":"\ud800"}',
    ],
)
def test_a_malformed_frame_is_a_violation(junk: bytes | str) -> None:
    """Junk is counted, and the requests go on waiting."""
    connection = ready("r1")
    assert [Breach.MALFORMED] == breaches(feed(connection, junk))
    assert ("r1",) == connection.waiting


NAMES = st.sampled_from(
    [
        "session.created",
        "session.updated",
        "response.created",
        "response.done",
        "error",
        "x",
        "rate_limits.updated",
        "response.output_text.delta",
        "response.text.done",
        "conversation.created",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.deleted",
        "conversation.item.retrieved",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "status",
                    "metadata",
                    "rid",
                    "output",
                    "usage",
                    "error",
                    "code",
                    "session",
                    "type",
                    "response",
                    "event_id",
                    "status_details",
                    "content",
                    "audio",
                    "input",
                    "modalities",
                    "temperature",
                    "turn_detection",
                    "tool_choice",
                    "function",
                    "instructions",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    junk=st.binary(max_size=60)
    | st.text(max_size=60)
    | st.builds(
        lambda name, fields: json.dumps(fields | {"type": name}),
        NAMES,
        st.dictionaries(
            st.sampled_from(["response", "session", "error", "rate_limits", "item", "item_id"]),
            VALUES,
            max_size=3,
        ),
    ),
    state=st.sampled_from(["new", "ready", "configuring", "turns"]),
    dialect=st.sampled_from(DIALECTS),
)
def test_no_frame_makes_a_connection_raise(junk: bytes | str, state: str, dialect: str) -> None:
    """Whatever a peer sends, in any state and dialect, comes back as events."""
    connection = RealtimeConnection() if state == "new" else ready("r1", dialect=dialect)
    if state == "configuring":
        connection.configure(SETTINGS)
    if state == "turns":
        connection = RealtimeConnection(takes_turns=True)
        feed(connection, frame("session.created", session=default_session(dialect)))
        connection.configure(SETTINGS)
        feed(connection, frame("session.updated", session=effective_session(dialect)))
        connection.ask(request("r1"))
    assert isinstance(connection.receive(junk), tuple)


SESSION_NAMES = ("modalities", "instructions", "tool_choice", "temperature", "turn_detection")


@settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(SESSION_NAMES), VALUES), data=st.data())
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_confirmation_makes_a_connection_raise(
    dialect: str, changes: dict[str, object], data: st.DataObject
) -> None:
    """A confirmation with any values in it is taken or refused."""
    connection = ready(dialect=dialect)
    connection.configure(SETTINGS)
    session = effective_session(dialect) | changes
    if data.draw(st.booleans()):
        session["temperature"] = 10**400
    (event,) = feed(connection, frame("session.updated", session=session))
    assert isinstance(event, SessionConfigured | SessionRefused | Violation)


def end_of(number: int, rid: int, dialect: str) -> str:
    """Return the end of a response: a call in even ones, in odd ones text."""
    text = f"answer to r{rid}"
    output = [message(text, dialect)] if number % 2 else [call(text)]
    return done(f"p{number}", f"r{rid}", output=output)


@st.composite
def parallel_scripts(draw: st.DrawFn, dialect: str) -> tuple[int, list[str]]:
    """Return a number of requests and their events: shuffled, doubled, some ids exchanged."""
    count = draw(st.integers(1, 5))
    texts = []
    for number in range(count):
        texts.append(created(f"p{number}", f"r{number}"))
        texts += draw(
            st.lists(st.sampled_from(passing(f"p{number}", "a wrong text", dialect)), max_size=2)
        )
        texts.append(end_of(number, number, dialect))
    texts += draw(st.lists(st.sampled_from(texts), max_size=4))
    ids = st.integers(0, count)
    for response, rid in draw(st.lists(st.tuples(ids, ids), max_size=3)):
        # A planted reply: its text is the one of its rid, its response id is another's.
        texts.append(end_of(response, rid, dialect))
    return count, draw(st.permutations(texts))


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_request_ever_gets_its_neighbours_answer(dialect: str, data: st.DataObject) -> None:
    """Any order, doubling and exchange gives a request its own answer, or none and a violation."""
    count, texts = data.draw(parallel_scripts(dialect))
    rids = [f"r{number}" for number in range(count)]
    connection = ready(*rids, dialect=dialect)
    events = feed(connection, *texts)
    found, ended = answers(events), endings(events)
    assert all(text == f"answer to {rid}" for rid, text in found.items())
    assert found.keys().isdisjoint(ended)
    assert set(rids) == found.keys() | ended.keys() | set(connection.waiting)
    ends = [event for event in events if isinstance(event, Answered | RequestEnded)]
    assert len(ends) == len(found) + len(ended)
    assert bool(breaches(events)) or len(found) == count


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=200, deadline=None)
@given(data=st.data(), count=st.integers(2, 6))
def test_ids_exchanged_between_two_replies_never_pass(
    dialect: str, data: st.DataObject, count: int
) -> None:
    """When all responses were created, no exchange of ids gives anybody an answer."""
    order = data.draw(st.permutations(range(count)))
    rids = [f"r{number}" for number in range(count)]
    connection = ready(*rids, dialect=dialect)
    feed(connection, *(created(f"p{number}", f"r{number}") for number in range(count)))
    exchanged = [(number, other) for number, other in enumerate(order)]
    events = feed(connection, *(end_of(number, other, dialect) for number, other in exchanged))
    own = {f"r{number}" for number, other in exchanged if number == other}
    assert own == answers(events).keys()
    assert set(rids) - own == endings(events).keys()
