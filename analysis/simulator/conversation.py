"""The items of one Realtime conversation: their order, and what may be asked of them.

Pure. `realtime` keeps one per connection. Source: sections 2.1 and 3.2 of the protocol notes.
"""

from __future__ import annotations

from collections.abc import Iterator

from analysis.simulator.fields import no_item
from analysis.simulator.refusals import Json, Refusal, invalid_value, missing_parameter


class Conversation:
    """Items by id, oldest first."""

    def __init__(self) -> None:
        self._items: dict[str, Json] = {}

    def __repr__(self) -> str:
        return f"Conversation({list(self._items)})"

    def __iter__(self) -> Iterator[Json]:
        return iter(self._items.values())

    @property
    def last_id(self) -> str | None:
        """Id of the newest item, or None."""
        return next(reversed(self._items), None)

    def append(self, item: Json) -> None:
        """Put an item of the service's own at the end."""
        self._items[item["id"]] = item

    def insert(self, item: Json, after: object) -> str | None:
        """Put a client's item behind another one.

        Args:
            item: A checked item with an id.
            after: `previous_item_id`: None is the end, `root` the front, else an id.

        Returns:
            Id of the item in front of it, or None.

        Raises:
            Refusal: If the id is taken, or there is no item of that name.
        """
        item_id = item["id"]
        if item_id in self._items:
            raise invalid_value(f"Item with id '{item_id}' already exists.", "item.id")
        if after is None:
            before = self.last_id
            self._items[item_id] = item
            return before
        if not isinstance(after, str) or (after != "root" and after not in self._items):
            raise no_item("create", after, "previous_item_id")
        items = list(self._items.items())
        place = 0 if after == "root" else list(self._items).index(after) + 1
        self._items = dict([*items[:place], (item_id, item), *items[place:]])
        return None if after == "root" else after

    def find(self, item_id: object, verb: str, param: str = "item_id") -> Json:
        """Return the item that a client names.

        Raises:
            Refusal: If it names none, or one that is not there; `verb` is what it wants to do.
        """
        if item_id is None:
            raise missing_parameter(param)
        if not isinstance(item_id, str) or item_id not in self._items:
            raise no_item(verb, item_id, param)
        return self._items[item_id]

    def delete(self, item_id: object) -> str:
        """Take an item out and return its id.

        Raises:
            Refusal: If there is none of that id.
        """
        name: str = self.find(item_id, "delete")["id"]
        del self._items[name]
        return name


def too_many_responses(most: int, code: str) -> Refusal:
    """Return the refusal of one more response on a connection (G)."""
    return Refusal(f"Too many responses in progress: at most {most} may run at once.", code=code)
