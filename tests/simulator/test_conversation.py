"""Behaviour of the items of a conversation."""

from __future__ import annotations

import pytest

from analysis.simulator.conversation import Conversation, too_many_responses
from analysis.simulator.refusals import Refusal


def filled(*ids: str) -> Conversation:
    """Return a conversation with items of these ids."""
    conversation = Conversation()
    for item_id in ids:
        conversation.append({"id": item_id})
    return conversation


def test_items_go_where_they_are_told() -> None:
    """At the end, in front, or behind another; the item before is told."""
    conversation = filled("a", "b")
    told = [
        conversation.insert({"id": name}, after)
        for name, after in (("c", None), ("d", "root"), ("e", "a"))
    ]
    assert ["b", None, "a"] == told
    assert ["d", "a", "e", "b", "c"] == [item["id"] for item in conversation]
    assert ("c", None) == (conversation.last_id, Conversation().last_id)


def test_deleted_items_are_gone() -> None:
    """The id can be used again."""
    conversation = filled("a", "b")
    assert "a" == conversation.delete("a")
    assert "b" == conversation.insert({"id": "a"}, None)


@pytest.mark.parametrize(
    ("item_id", "code"),
    [
        (None, "missing_required_parameter"),
        ("x", "item_delete_invalid_item_id"),
        (["a"], "item_delete_invalid_item_id"),
    ],
)
def test_what_is_not_there_is_refused(item_id: object, code: str) -> None:
    """No id, an unknown one, and one that is no text."""
    with pytest.raises(Refusal) as caught:
        filled("a").delete(item_id)
    assert code == caught.value.code


def test_a_second_item_of_one_id_is_refused() -> None:
    """So is a place behind an item that is not there."""
    with pytest.raises(Refusal, match="already exists"):
        filled("a").insert({"id": "a"}, None)
    with pytest.raises(Refusal, match="not found"):
        filled("a").insert({"id": "b"}, "x")
    with pytest.raises(Refusal, match="not found"):
        filled("a").insert({"id": "b"}, ["a"])


def test_one_response_too_many_names_the_bound() -> None:
    """The code is the caller's."""
    refusal = too_many_responses(4, "busy")
    assert ("busy", True) == (refusal.code, "at most 4" in refusal.message)
