"""The items that stand in front of every request of a session: created once, then referenced.

Pure. `wire/realtime.py` calls it between the confirmation of the settings and the first request. A
new context is created whole before it takes the place of the one before, whose items are then
deleted; nobody waits for these deletions, and their refusal does no harm, since requests see only
what they reference.
"""

from __future__ import annotations

from analysis.wire.dialects import Dialect
from analysis.wire.events import Event, FrameDue
from analysis.wire.items import Items
from analysis.wire.session import ContextItem

DROP_PREFIX = "drop-"
"""In front of an item's id: the id of the event that deletes an item of an old context."""


class Context:
    """The context of one session.

    Args:
        items: Of the session.
    """

    def __init__(self, items: Items) -> None:
        self._items = items
        self._given: tuple[ContextItem, ...] = ()
        self._wanted: tuple[ContextItem, ...] = ()
        self._seeding: dict[str, str] = {}
        self._open: set[str] = set()
        self.references: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Context({len(self.references)} items, waiting for {sorted(self._open)})"

    @property
    def is_complete(self) -> bool:
        """Whether every wanted item is confirmed."""
        return not self._open

    def begin(self, wanted: tuple[ContextItem, ...], dialect: Dialect) -> tuple[Event, ...]:
        """Return the frames that create the wanted items; none if they stand there already."""
        if wanted == self._given:
            return ()
        self._wanted, self._seeding = wanted, {}
        frames = []
        previous = "root"
        for item in wanted:
            item_id = self._items.new_id()
            event_id = f"context-{item_id}"
            frame = self._items.create(
                event_id, item.to_item(dialect), item_id=item_id, previous_item_id=previous
            )
            frames.append(FrameDue(frame=frame))
            self._seeding[event_id] = previous = item_id
        self._open = set(self._seeding)
        return tuple(frames)

    def take(self, wanted: tuple[ContextItem, ...]) -> tuple[Event, ...]:
        """Put the complete new context in the place of the old one; return what deletes that."""
        if wanted == self._given:
            return ()
        old, self.references = self.references, tuple(self._seeding.values())
        self._given = wanted
        return self._drop(old)

    def confirmed(self, event_id: str) -> bool:
        """Note the confirmation of an event; tell whether it was one of the context."""
        is_own = event_id in self._open
        self._open.discard(event_id)
        return is_own or event_id.startswith(DROP_PREFIX)

    def refused(self, event_id: str) -> tuple[Event, ...] | None:
        """Give a new context up; return what deletes its items, None if it was another event."""
        if event_id not in self._open:
            return None
        for name in self._open:
            self._items.forget(name)
        self._open = set()
        return self._drop(tuple(self._seeding.values()))

    def _drop(self, item_ids: tuple[str, ...]) -> tuple[Event, ...]:
        return tuple(
            FrameDue(frame=self._items.delete(f"{DROP_PREFIX}{item_id}", item_id))
            for item_id in item_ids
        )
