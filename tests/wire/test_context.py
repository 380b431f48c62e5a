"""What stands in front of every request of a session."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from analysis.wire.events import Event, FrameDue, SessionConfigured, SessionRefused
from analysis.wire.realtime import RealtimeConnection
from analysis.wire.session import ContextItem

from .examples import (
    DIALECTS,
    SETTINGS,
    effective_session,
    error_frame,
    feed,
    frame,
    greeted,
    request,
)

TALK = (
    ContextItem(role="system", text="You know the book."),
    ContextItem(role="user", text="What is it about?"),
    ContextItem(role="assistant", text="Cycling."),
)


def sent(events: list[Event]) -> list[dict[str, Any]]:
    """Return the frames among these events."""
    return [json.loads(event.frame) for event in events if isinstance(event, FrameDue)]


def configure(connection: RealtimeConnection, *context: ContextItem) -> list[Event]:
    """Set a session with this context; return the events after the server's confirmation."""
    connection.configure(replace(SETTINGS, context=context))
    session = effective_session(connection.dialect)
    return feed(connection, frame("session.updated", session=session))


def confirm(connection: RealtimeConnection, creations: list[dict[str, Any]]) -> list[Event]:
    """Confirm the creation of these items."""
    name = "created" if connection.dialect == "beta" else "added"
    texts = [frame(f"conversation.item.{name}", item=one["item"]) for one in creations]
    return feed(connection, *texts)


def references(connection: RealtimeConnection, rid: str) -> list[str]:
    """Return the ids to which a request refers, in front of its pack."""
    (text,) = connection.ask(request(rid))
    *found, pack = json.loads(text)["response"]["input"]
    assert "message" == pack["type"] and {"item_reference"} >= {one["type"] for one in found}
    return [one["id"] for one in found]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_context_is_created_in_its_order_and_then_referenced(dialect: str) -> None:
    """The first item goes to the front, each other one behind the one before it."""
    connection = greeted(dialect)
    creations = sent(configure(connection, *TALK))
    ids = [one["item"]["id"] for one in creations]
    assert ["root", *ids[:2]] == [one["previous_item_id"] for one in creations]
    assert [one.text for one in TALK] == [one["item"]["content"][0]["text"] for one in creations]
    assert [] == confirm(connection, creations[:2])
    assert not connection.is_ready
    (event,) = confirm(connection, creations[2:])
    assert isinstance(event, SessionConfigured)
    assert (ids, ids) == (references(connection, "r1"), references(connection, "r2"))


def test_without_a_context_a_request_is_its_pack() -> None:
    """Off by default: nothing is created, nothing is referenced."""
    connection = greeted()
    (event,) = configure(connection)
    assert isinstance(event, SessionConfigured)
    assert [] == references(connection, "r1")


def test_a_new_context_takes_the_place_of_the_old_one() -> None:
    """The same one is not created again; an old one is deleted after the new one stands."""
    connection = greeted()
    old = sent(configure(connection, TALK[0]))
    confirm(connection, old)
    assert [] == sent(configure(connection, TALK[0]))
    new = sent(configure(connection, TALK[1]))
    events = confirm(connection, new)
    (drop,) = sent(events)
    assert ("conversation.item.delete", old[0]["item"]["id"]) == (drop["type"], drop["item_id"])
    assert [new[0]["item"]["id"]] == references(connection, "r1")
    assert [] == feed(connection, error_frame(drop["event_id"], "item_delete_invalid_item_id"))
    events = configure(connection)
    assert (1, []) == (len(sent(events)), references(connection, "r2"))
    deleted = frame("conversation.item.deleted", item_id=new[0]["item"]["id"])
    assert [] == feed(connection, deleted)


def test_a_refused_item_refuses_the_settings() -> None:
    """The server's words reach the caller; what it has taken of the context is deleted."""
    connection = greeted()
    creations = sent(configure(connection, *TALK))
    confirm(connection, creations[:1])
    refused, *drops = feed(connection, error_frame(creations[1]["event_id"], "invalid_value"))
    assert isinstance(refused, SessionRefused) and "item of the context" in refused.message
    assert ("invalid_value", 3) == (refused.code, len(drops))
    assert [] == confirm(connection, creations[2:])
    assert not connection.is_ready
    confirm(connection, sent(configure(connection, TALK[1])))
    assert 1 == len(references(connection, "r1"))


def test_the_repr_shows_what_is_awaited() -> None:
    """A failing test prints it."""
    connection = greeted()
    configure(connection, TALK[0])
    assert "Context(0 items, waiting for ['context-item_own_1'])" == repr(connection._context)
