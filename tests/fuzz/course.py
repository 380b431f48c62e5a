"""The frames of a server on their way to a client, and what befalls them.

A `Course` holds what an orderly server would send next. The dice take it in order, out of order,
twice, changed, with parts of two frames exchanged, or put junk in between.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.dice import Dice
from tests.fuzz.mutation import ODD_VALUES, changed

LONGEST_HISTORY = 64

PLAIN, LATER, AGAIN, CHANGED, CHANGED_AGAIN, CROSSED, NAMED, RAW = range(8)
FATES = (PLAIN, PLAIN, PLAIN, PLAIN, LATER, AGAIN, CHANGED, CHANGED_AGAIN, CROSSED, NAMED, RAW)


@dataclass(slots=True)
class Course:
    """See the module.

    Attributes:
        dice: Chooses.
        words: Texts that mean something in the protocol, at most 256; the caller adds ids.
        names: Types of the events of the protocol.
        due: What the server sends next, in order.
        sent: What it has sent before.
    """

    dice: Dice
    words: list[str]
    names: Sequence[str]
    due: list[Any] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)

    def next_frame(self) -> tuple[Any, bool]:
        """Return the next frame and whether it is as the server made it; bytes are junk."""
        fate = self.dice.pick(FATES)
        if fate == RAW:
            return self.dice.raw(40), False
        if fate == NAMED or not (self.due or self.sent):
            return self._named(), False
        if fate in (AGAIN, CHANGED_AGAIN, CROSSED) and self.sent:
            frame = copy.deepcopy(self.dice.pick(self.sent))
            if fate == AGAIN:
                return frame, True
            if fate == CROSSED:
                return self._crossed(frame), False
            return changed(frame, self.dice, self.words), False
        if not self.due:
            return self._named(), False
        place = self.dice.below(min(len(self.due), 256)) if fate == LATER else 0
        frame = self.due.pop(place)
        if fate == CHANGED:
            return changed(frame, self.dice, self.words), False
        self.sent.append(frame)
        del self.sent[:-LONGEST_HISTORY]
        return copy.deepcopy(frame), True

    def _named(self) -> Any:
        """Return an event of a known type with fields by chance."""
        frame = {"type": self.dice.pick(self.names)}
        for _ in range(self.dice.below(4)):
            frame[self.dice.pick(self.words)] = copy.deepcopy(self.dice.pick(ODD_VALUES))
        return changed(frame, self.dice, self.words) if self.dice.happens(3) else frame

    def _crossed(self, frame: Any) -> Any:
        """Put parts of another frame in the place of a frame's own."""
        other = self.dice.pick(self.sent)
        names = [name for name in ("type", "stream_id", "error", "item") if name in other]
        inner, mine = other.get("response"), frame.get("response")
        if isinstance(inner, dict) and isinstance(mine, dict):
            name = self.dice.pick(("id", "metadata", "status", "output", *names))
            if name not in names and name in inner:
                mine[name] = copy.deepcopy(inner[name])
                return frame
        if names:
            name = self.dice.pick(names)
            frame[name] = copy.deepcopy(other[name])
        return frame
