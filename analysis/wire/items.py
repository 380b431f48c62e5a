"""Items of a session's conversation: created, deleted and retrieved, each confirmed by the server.

Pure. `wire/realtime.py` and `wire/turns.py` call it. An item has an id of our making, so that it
can be referenced before the server confirms it. GA confirms a creation by two events and beta by
one; the first of them counts. A refusal names our event.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from analysis.errors import LocalProtocolError
from analysis.wire import failures
from analysis.wire.events import ItemConfirmed, ItemRefused
from analysis.wire.replies import ServiceError
from analysis.wire.session import encode

CREATED = frozenset(
    {"conversation.item.added", "conversation.item.done", "conversation.item.created"}
)
"""Events that announce an item of the conversation; servers are known that mix the dialects."""

DELETED = "conversation.item.deleted"
RETRIEVED = "conversation.item.retrieved"


REMEMBERED_ITEMS = 1_024
"""Ids of announced items that are known again when they are announced a second time."""


class _ItemFrame(msgspec.Struct):
    item: dict[str, Any] | None = None
    item_id: str | None = None

    @property
    def id(self) -> str | None:
        found = self.item_id if self.item is None else self.item.get("id")
        return found if isinstance(found, str) else None


_item_frame = msgspec.json.Decoder(_ItemFrame).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    verb: str
    item_id: str
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What an event said about an item.

    Attributes:
        item_id: By the server's id.
        is_new: It stands in the conversation now.
        confirmed: Our events that this confirms, in the order in which they were sent.
    """

    item_id: str
    is_new: bool
    confirmed: tuple[ItemConfirmed, ...] = ()


class Items:
    """Operations on items that wait for the server's word.

    Args:
        takes_foreign_ids: The only creation under way is confirmed by any new item of its role,
            for servers that give items ids of their own. Sound only where one item at a time is
            created.
    """

    def __init__(self, *, takes_foreign_ids: bool = False) -> None:
        self._takes_foreign_ids = takes_foreign_ids
        self._waiting: dict[str, _Operation] = {}
        self._announced: OrderedDict[str, None] = OrderedDict()
        self._made = 0

    def __repr__(self) -> str:
        return f"Items(waiting {list(self._waiting)})"

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of our events without an answer."""
        return tuple(self._waiting)

    def new_id(self) -> str:
        """Return an id for an item that this session has not seen."""
        self._made += 1
        return f"item_own_{self._made}"

    def create(
        self,
        event_id: str,
        item: Mapping[str, Any],
        *,
        item_id: str,
        previous_item_id: str | None = None,
    ) -> str:
        """Return the frame that creates an item.

        Args:
            event_id: Named again by the event that tells of the end.
            item: Without an id.
            item_id: From `new_id`, or the caller's own.
            previous_item_id: The item in front of it, `root` for the first place, None for the
                last one.
        """
        self._await(event_id, "create", item_id, str(item.get("role", "")))
        frame: dict[str, Any] = {
            "type": "conversation.item.create",
            "event_id": event_id,
            "item": {"id": item_id, **item},
        }
        if previous_item_id is not None:
            frame["previous_item_id"] = previous_item_id
        return encode(frame)

    def delete(self, event_id: str, item_id: str) -> str:
        """Return the frame that deletes an item."""
        self._await(event_id, "delete", item_id)
        return encode(
            {"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id}
        )

    def retrieve(self, event_id: str, item_id: str) -> str:
        """Return the frame that asks for an item."""
        self._await(event_id, "retrieve", item_id)
        return encode(
            {"type": "conversation.item.retrieve", "event_id": event_id, "item_id": item_id}
        )

    def forget(self, event_id: str) -> None:
        """Wait for this one no longer."""
        self._waiting.pop(event_id, None)

    def announced(self, name: str, frame: bytes | str) -> Announced | None:
        """Return what an event about an item says, None if it names no item."""
        found = _item_frame(frame)
        if found.id is None:
            return None
        verb = "delete" if name == DELETED else "retrieve" if name == RETRIEVED else "create"
        ended = self._ended_by(verb, found)
        self._announced[found.id] = None
        while len(self._announced) > REMEMBERED_ITEMS:
            self._announced.popitem(last=False)
        for event_id in ended:
            del self._waiting[event_id]
        item = found.item or {}
        return Announced(
            item_id=found.id,
            is_new=verb == "create",
            confirmed=tuple(
                ItemConfirmed(event_id=event_id, item_id=found.id, item=item) for event_id in ended
            ),
        )

    def refused(self, error: ServiceError) -> ItemRefused | None:
        """Return the end of the operation that an error names, None if it names none of ours."""
        if error.event_id not in self._waiting:
            return None
        del self._waiting[error.event_id]
        failure = failures.from_code(
            code=error.code or "", kind=error.type or "", message=error.message or ""
        )
        return ItemRefused(event_id=error.event_id, error=failure)

    def _ended_by(self, verb: str, found: _ItemFrame) -> list[str]:
        open_ones = [(key, one) for key, one in self._waiting.items() if one.verb == verb]
        ended = [key for key, one in open_ones if one.item_id == found.id]
        is_new = self._takes_foreign_ids and verb == "create" and found.id not in self._announced
        if ended or not is_new or len(open_ones) != 1:
            return ended
        key, only = open_ones[0]
        return [key] if (found.item or {}).get("role") == only.role else []

    def _await(self, event_id: str, verb: str, item_id: str, role: str = "") -> None:
        if event_id in self._waiting:
            raise LocalProtocolError(f"Event id {event_id} waits already.")
        self._waiting[event_id] = _Operation(verb=verb, item_id=item_id, role=role)
