"""Valid JSON made wrong: fields dropped, types changed, values swapped, texts torn.

What is made never depends on anything but its arguments.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from tests.fuzz.dice import Dice

Json: TypeAlias = Any
Place: TypeAlias = tuple[Any, Any]
"""A list or an object, and an index or a key in it."""

MOST_CHANGES = 3

ODD_VALUES: tuple[Json, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    400,
    2**31,
    2**63,
    10**30,
    10**400,
    -(2**64),
    0.5,
    1.5,
    -1e308,
    "",
    " ",
    "0",
    "none",
    "\u0000",
    "\u200b",
    "\ud800",
    "x" * 600,
    "9" * 400 + "s",
    "{}",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": None},
    {"id": 5},
)


def changed(value: Json, dice: Dice, words: Sequence[str]) -> Json:
    """Return a copy with one to three changes.

    Args:
        value: Left alone.
        dice: Chooses places and changes.
        words: Texts that mean something where the value goes to.
    """
    found = copy.deepcopy(value)
    for _ in range(1 + dice.below(MOST_CHANGES)):
        places = list(_places(found))[:256]
        if not places:
            return dice.pick(ODD_VALUES)
        _change(dice.pick(places), places, dice, words)
    return found


def written(value: Json, dice: Dice) -> str | bytes:
    """Return a value as JSON, in one of the forms that mean the same."""
    match dice.below(12):
        case 11:
            return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        case 10:
            return json.dumps(value).encode()
        case 9:
            return json.dumps(value, indent=1)
        case _:
            return json.dumps(value)


def torn(value: Json, dice: Dice) -> str | bytes:
    """Return a value as JSON that was cut, doubled, or has wrong bytes in it."""
    text = json.dumps(value)
    place = dice.below(256) * len(text) // 256
    match dice.below(4):
        case 0:
            return text[:place]
        case 1:
            return text[:place] + text[place + 1 :]
        case 2:
            return text.encode()[:place] + dice.raw(4) + text.encode()[place:]
        case _:
            return text + text


def _places(value: Json) -> Iterator[Place]:
    """Yield every place in a value, from the outside to the inside."""
    queue = [value] if isinstance(value, dict | list) else []
    while queue:
        holder = queue.pop(0)
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                queue.append(holder[key])


def _change(place: Place, places: Sequence[Place], dice: Dice, words: Sequence[str]) -> None:
    holder, key = place
    match dice.below(8):
        case 0:
            holder[key] = dice.pick(words)
        case 1:
            holder[key] = copy.deepcopy(dice.pick(ODD_VALUES))
        case 2:
            del holder[key]
        case 3:
            other, name = dice.pick(places)
            if _has(other, name):
                holder[key] = copy.deepcopy(other[name])
        case 4:
            other, name = dice.pick(places)
            if _has(other, name):
                first, second = copy.deepcopy(holder[key]), copy.deepcopy(other[name])
                holder[key], other[name] = second, first
        case 5:
            again = copy.deepcopy(holder[key])
            _add(holder, again, dice, words)
        case 6:
            holder[key] = [holder[key], copy.deepcopy(holder[key])][: 1 + dice.below(2)]
        case _:
            _add(holder, copy.deepcopy(dice.pick(ODD_VALUES)), dice, words)


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _add(holder: Any, value: Json, dice: Dice, words: Sequence[str]) -> None:
    if isinstance(holder, list):
        holder.insert(dice.below(len(holder) + 1) if len(holder) < 255 else 0, value)
    else:
        holder[dice.pick(words)] = value


MARK = re.compile(r"mark-(\d+)")


def replaced(value: Json, word: str) -> Json:
    """Return a copy in which every mark in a text is this word."""
    if isinstance(value, str):
        return MARK.sub(word, value)
    if isinstance(value, list):
        return [replaced(one, word) for one in value]
    if isinstance(value, dict):
        return {name: replaced(one, word) for name, one in value.items()}
    return value
