"""Items of a conversation, and the server's word on them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.realtime import RealtimeClientEvent, ResponseItemReference
from pydantic import TypeAdapter

from analysis.errors import LocalProtocolError, RequestRejected
from analysis.wire.dialects import BETA, GA
from analysis.wire.events import Ignored, ItemConfirmed, ItemRefused
from analysis.wire.items import Items
from analysis.wire.outofband import OutOfBand, cancel_frame
from analysis.wire.realtime import RealtimeConnection
from analysis.wire.session import ContextItem, Terms

from .examples import DIALECTS, error_frame, feed, frame, ready, request

OUTLINE = ContextItem(role="user", text="the outline")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_first_announcement_confirms_a_creation(dialect: str) -> None:
    """GA announces an item twice and beta once; the second one is nothing new."""
    connection = ready(dialect=dialect)
    sent = json.loads(connection.create_item("e1", OUTLINE, previous_item_id="root"))
    item = {"id": "item_own_1", **OUTLINE.to_item(GA)}
    assert {
        "type": "conversation.item.create",
        "event_id": "e1",
        "previous_item_id": "root",
        "item": item,
    } == sent
    names = ("created",) if dialect == "beta" else ("added", "done")
    events = feed(connection, *(frame(f"conversation.item.{name}", item=item) for name in names))
    assert [ItemConfirmed(event_id="e1", item_id="item_own_1", item=item)] == events


def test_a_deletion_and_a_look_are_confirmed_by_their_own_events() -> None:
    """An item that was merely announced confirms neither."""
    connection = ready()
    assert {"type": "conversation.item.delete", "event_id": "e1", "item_id": "i"} == (
        json.loads(connection.delete_item("e1", "i"))
    )
    assert "conversation.item.retrieve" == json.loads(connection.retrieve_item("e2", "i"))["type"]
    item = {"id": "i", "type": "message"}
    assert [] == feed(connection, frame("conversation.item.added", item=item))
    events = feed(
        connection,
        frame("conversation.item.retrieved", item=item),
        frame("conversation.item.deleted", item_id="i"),
        frame("conversation.item.deleted", item_id="i"),
    )
    assert [
        ItemConfirmed(event_id="e2", item_id="i", item=item),
        ItemConfirmed(event_id="e1", item_id="i", item={}),
    ] == events


def test_a_refusal_names_our_event() -> None:
    """An error about another event is none of ours."""
    connection = ready()
    connection.delete_item("e1", "i")
    other, refused = feed(connection, error_frame("e9", "odd"), error_frame("e1", "invalid_value"))
    assert Ignored(type="error.odd") == other
    assert isinstance(refused, ItemRefused) and "e1" == refused.event_id
    assert isinstance(refused.error, RequestRejected)


def test_a_close_refuses_what_waits() -> None:
    """Nobody hangs on an item of a session that has ended."""
    connection = ready()
    connection.retrieve_item("e1", "i")
    first, _ = connection.closed(1006, "")
    assert isinstance(first, ItemRefused) and "e1" == first.event_id


def test_the_text_of_an_assistant_is_spelled_as_the_dialect_does() -> None:
    """The words of a model are output."""
    said = ContextItem(role="assistant", text="yes")
    kinds = [said.to_item(dialect)["content"][0]["type"] for dialect in (GA, BETA)]
    assert ["output_text", "text"] == kinds


def test_an_id_of_the_servers_own_counts_once_and_for_the_right_role() -> None:
    """A new item of the awaited role is ours; one that was announced before is not."""
    items = Items(takes_foreign_ids=True)

    def announced(item_id: str, role: str) -> int:
        text = json.dumps({"item": {"id": item_id, "role": role}})
        found = items.announced("conversation.item.added", text)
        assert found is not None
        return len(found.confirmed)

    assert 0 == announced("theirs_1", "user")
    items.create("e1", {"role": "user"}, item_id="mine")
    assert [0, 0, 1, 0] == [
        announced("theirs_1", "user"),
        announced("theirs_2", "assistant"),
        announced("theirs_3", "user"),
        announced("theirs_3", "user"),
    ]


def test_an_event_without_an_item_says_nothing() -> None:
    """Neither an error nor a confirmation."""
    connection = ready()
    connection.delete_item("e1", "i")
    assert [] == feed(
        connection,
        frame("conversation.item.added", item={"id": 5}),
        frame("conversation.item.deleted"),
    )


def test_our_own_misuse_is_an_error() -> None:
    """An id of an event is used once, and only on a session that is set up."""
    items = Items()
    items.delete("e1", "i")
    assert "Items(waiting ['e1'])" == repr(items)
    with pytest.raises(LocalProtocolError):
        items.delete("e1", "j")
    for verb in ("delete_item", "retrieve_item"):
        with pytest.raises(LocalProtocolError):
            getattr(RealtimeConnection(), verb)("e1", "i")
    with pytest.raises(LocalProtocolError):
        RealtimeConnection().create_item("e1", OUTLINE)


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_the_sdk_types_accept_our_frames_about_items(role: str) -> None:
    """OpenAI's own types know every field of them and of a cancellation."""
    adapter: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
    items = Items()
    item = ContextItem(role=role, text="x").to_item(GA)
    frames = [
        items.create("e1", item, item_id=items.new_id(), previous_item_id="root"),
        items.delete("e2", "item_own_1"),
        items.retrieve("e3", "item_own_1"),
        cancel_frame("r1", "p1"),
        Terms(dialect=GA).respond(request("r2")),
    ]
    for text in frames:
        event = adapter.validate_json(text)
        assert json.loads(text) == event.model_dump(mode="json", exclude_unset=True)
        assert not event.model_extra


def test_a_reference_is_of_the_sdks_own_type() -> None:
    """The union of client events leaves references out; the SDK has a type for them beside it."""
    terms = Terms(dialect=GA, references=("item_own_1",))
    (text,) = OutOfBand().ask(request("r1"), terms)
    reference = json.loads(text)["response"]["input"][0]
    assert reference == ResponseItemReference.model_validate(reference).model_dump()
