"""What a client owes, kept beside it: each request ends once, with its own answer or with none.

The rules stand here a second time, on purpose, and simpler than in the client: an answer that
states our id belongs to that request; one that states only the service's id belongs to the request
that the service tied to that id before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.dice import Dice
from tests.fuzz.mutation import MARK, replaced, torn, written


@dataclass(slots=True)
class Books:
    """The requests of one connection.

    Attributes:
        open: Asked and not ended.
        tied: Id of a response -> the requests for which the service said that it began.
        marks: Number of a mark -> the requests that may get the text with this mark.
    """

    open: set[str] = field(default_factory=set)
    tied: dict[str, set[str]] = field(default_factory=dict)
    marks: list[set[str]] = field(default_factory=list)

    def asked(self, rid: str) -> None:
        """Note that a request was asked."""
        assert rid not in self.open, f"{rid} was asked twice"
        self.open.add(rid)

    def dropped(self, rid: str) -> None:
        """Note that nobody waits for a request any more."""
        self.open.discard(rid)

    def tie(self, response_id: Any, rid: str | None) -> None:
        """Note that the service began a response for a request."""
        if isinstance(response_id, str) and rid is not None:
            self.tied.setdefault(response_id, set()).add(rid)

    def written(self, frame: Any, owners: set[str], dice: Dice) -> str | bytes:
        """Return a frame as JSON whose texts bear a mark, which only the owners may get.

        A torn frame bears none: a tear may have changed the ids that say whose it is.
        """
        if dice.happens(16):
            return torn(replaced(frame, "no mark"), dice)
        self.marks.append(owners)
        return written(replaced(frame, f"mark-{len(self.marks) - 1}"), dice)

    def owners(self, response: Any, *, by_rid: bool = True) -> set[str]:
        """Return whose answer a response object is, by what it says of itself."""
        if not isinstance(response, dict):
            return set()
        metadata = response.get("metadata")
        rid = metadata.get("rid") if isinstance(metadata, dict) else None
        if by_rid and isinstance(rid, str):
            return {rid}
        response_id = response.get("id")
        return self.tied.get(response_id, set()) if isinstance(response_id, str) else set()

    def ended(self, rid: str, text: str | None = None) -> None:
        """Note the end of a request, with the text of its answer if there is one."""
        assert rid in self.open, f"{rid} ended twice, or was never asked"
        self.open.discard(rid)
        for number in MARK.findall(text or ""):
            owners = self.marks[int(number)]
            assert rid in owners, f"{rid} got the answer of {sorted(owners) or 'nobody'}"

    def compare(self, waiting: Iterable[str]) -> None:
        """Compare with what the client says it waits for."""
        listed = list(waiting)
        assert len(listed) == len(set(listed)), f"waits twice: {listed}"
        assert self.open == set(listed), f"open {sorted(self.open)}, waits for {sorted(listed)}"
