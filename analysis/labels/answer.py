"""Read a reply into labels per chunk, or name the defect that voids it.

Pure. dispatch calls `check` with every reply.

What counts (design 4.1): an item counts when it is complete, its id was asked for in this request
and occurs once, and its labels are in the set and allowed together. Complete items of a short or
cut answer count; the rest is missing and asked again. A foreign or doubled id voids the whole
answer, and so does closed JSON that does not parse; `NaN`, `Infinity` and blanks that JSON does not
know are no JSON. Broken JSON is never repaired: the reader below takes whole items from the front
and stops at the first thing that is not one.

An item may have keys that were not asked for, such as a reason: servers without strict schemas
write them, the answer is paid for, and they move no label to another chunk. The item does not count
where they leave open whose labels it holds: where one holds another item or the id of another chunk
of the request, at any depth. That is a matter of this item alone; the others count.

A reply of typed choices has been held against its request by the route that read it. Its main label
is the choice with the highest probability, which is the confidence too. The runner-up is the second
label if its probability reaches `second_label_probability` and the set favours the pair; if it does
not, the chunk has one label, and no third choice is looked at. Nobody said there that both labels
apply, so a pair that the set merely allows is taken for doubt about the main label.

A reply of text has the confidences that its tokens state, if it came with tokens; see
`token_probability`. The offline rules have none, whatever a service that asks them states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, assert_never

import msgspec

from analysis.labels import token_probability
from analysis.labels.label_set import LABELS_PER_CHUNK, LabelSet
from analysis.records import Ask, Choice, ChoiceReply, Reply, TextReply
from analysis.settings import DEFAULT_MODELS, SETTINGS, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a reply is worth.

    Attributes:
        labels: Ticket -> its labels, for the items that count.
        confidences: Ticket -> probability of its main label, where the route states one.
        missing: Tickets without a usable item, in the order of the request.
        refused: Tickets that the service declined to answer, while it answered the request.
        defect: Name of what voided the whole answer, or None. Then `labels` is empty.
        note: What was wrong, for people; empty when nothing was.
    """

    labels: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    confidences: Mapping[int, float] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()
    defect: str | None = None
    note: str = ""


class _Void(Exception):
    """Raised inside this module when the whole answer is void."""

    def __init__(self, defect: str, note: str) -> None:
        super().__init__(note)
        self.defect = defect


class _Answer(msgspec.Struct):
    answers: list[Any]


_ANSWER = msgspec.json.Decoder(_Answer)

_RULES = DEFAULT_MODELS["offline"]
"""The model that a service of rules reports; a probability of it is made up."""

_SHOWN = 40
"""Characters of a wrong id or of broken text that a note quotes."""


def check(reply: Reply, ask: Ask, label_set: LabelSet, *, settings: Settings = SETTINGS) -> Checked:
    """Return the labels that the reply gives to the chunks of this request.

    Never raises on what the model wrote.
    """
    match reply:
        case TextReply():
            return _check_text(reply, ask, label_set)
        case ChoiceReply():
            return _check_choices(reply, ask, label_set, settings)
        case _:
            assert_never(reply)


def _check_choices(
    reply: ChoiceReply, ask: Ask, label_set: LabelSet, settings: Settings
) -> Checked:
    labels: dict[int, tuple[str, ...]] = {}
    confidences: dict[int, float] = {}
    refused, missing = [], []
    for short_id, ticket in ask.tickets.items():
        choice = reply.choices.get(short_id)
        if choice is not None and not choice.probabilities:
            refused.append(ticket)
        elif choice is None or not label_set.allows((found := _ranked(choice))[:1]):
            missing.append(ticket)
        else:
            is_clear = len(found) > 1 and (
                choice.probabilities[found[1]] >= settings.second_label_probability
            )
            labels[ticket] = found if is_clear and label_set.favours(found) else found[:1]
            confidences[ticket] = choice.probabilities[found[0]]
    return Checked(
        labels=labels,
        confidences={} if reply.model == _RULES else confidences,
        missing=tuple(missing),
        refused=tuple(refused),
        note=_unanswered(missing, ask),
    )


def _ranked(choice: Choice) -> tuple[str, ...]:
    """Return the two most probable labels; of equal ones that which stands first."""
    return tuple(sorted(choice.probabilities, key=lambda key: -choice.probabilities[key])[:2])


def _unanswered(missing: Sequence[int], ask: Ask) -> str:
    return f"{len(missing)} of {len(ask.tickets)} chunks unanswered" if missing else ""


def _check_text(reply: TextReply, ask: Ask, label_set: LabelSet) -> Checked:
    everything = tuple(ask.tickets.values())
    try:
        items, end = _items(reply.text)
        labels, apart = _labels(items, ask, label_set)
    except _Void as void:
        return Checked(missing=everything, defect=void.defect, note=str(void))
    missing = tuple(ticket for ticket in everything if ticket not in labels)
    note = _unanswered(missing, ask)
    return Checked(
        labels=labels,
        confidences=_stated(reply, ask, label_set, labels),
        missing=missing,
        note=note and note + end + apart,
    )


def _stated(
    reply: TextReply, ask: Ask, label_set: LabelSet, labels: Mapping[int, tuple[str, ...]]
) -> dict[int, float]:
    """Return the confidences of a text: none without tokens, and none of rules."""
    if not reply.tokens or reply.model == _RULES:
        return {}
    return token_probability.confidences(
        reply.text, reply.tokens, tickets=ask.tickets, labels=labels, keys=label_set.keys
    )


def _items(text: str) -> tuple[Sequence[Any], str]:
    """Return the complete items of the answer, and how it ended if it was cut."""
    if not text.strip():
        raise _Void("empty", "the answer is empty")
    try:
        items = _ANSWER.decode(text.encode()).answers
    except (msgspec.DecodeError, UnicodeEncodeError):
        return _items_of_cut(text), "; the answer was cut"
    except RecursionError:
        raise _Void("not_json", "the answer is nested too deeply") from None
    if _is_plain(text, items):
        return items, ""
    return _items_of_cut(text), ""  # the slow reader notices a key that occurs twice


def _is_plain(text: str, items: Sequence[Any]) -> bool:
    """Tell whether no key can occur twice in an answer that parses: the fast reader takes the last.

    That is so if every item has each key and the text holds each key once per item. A backslash
    could spell a key in another way; such texts go to the slow reader.
    """
    return (
        text.count('"id"') == len(items)
        and text.count('"labels"') == len(items)
        and text.count('"answers"') == 1
        and "\\" not in text
        and all(isinstance(item, dict) and "id" in item and "labels" in item for item in items)
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Void("doubled_key", "an item of the answer has the same key twice")
    return found


def _refuse(constant: str) -> NoReturn:
    """Raise what the reader raises at other text that is no JSON."""
    raise ValueError(f"{constant} is no JSON")


_READER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
_SPACE = " \t\r\n"


def _items_of_cut(text: str) -> list[Any]:
    """Take whole items from `{"answers": [item, item ...`, which may end anywhere.

    A closed answer must be closed right; anything else than an item, a comma or the end voids it.
    """
    items: list[Any] = []
    place = _skip(text, 0)
    for mark in ("{", '"answers"', ":", "["):
        if not text.startswith(mark, place):
            if mark.startswith(text[place:]):
                return items  # cut inside the opening
            shown = text[:_SHOWN]
            raise _Void("not_json", f"the answer does not open as asked: {shown!r}")
        place = _skip(text, place + len(mark))
    is_more = False  # a comma promised one more item
    while place < len(text) and (is_more or text[place] != "]"):
        if text[place] != "{":
            raise _Void("not_json", f"no item at character {place} of the answer")
        try:
            item, place = _READER.raw_decode(text, place)
        except ValueError as broken:
            if _is_open(text, place):
                return items  # cut inside an item, which therefore does not count
            raise _Void("not_json", f"broken item in the answer: {broken}") from broken
        except RecursionError:
            raise _Void("not_json", "an item of the answer is nested too deeply") from None
        items.append(item)
        place = _skip(text, place)
        is_more = text.startswith(",", place)
        if is_more:
            place = _skip(text, place + 1)
        elif place < len(text) and text[place] != "]":
            raise _Void("not_json", f"no comma at character {place} of the answer")
    rest = "".join(mark for mark in text[place:] if mark not in _SPACE)
    if rest not in ("", "]", "]}"):
        shown = text[-_SHOWN:]
        raise _Void("not_json", f"the answer does not close as asked: {shown!r}")
    return items


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SPACE:
        place += 1
    return place


def _is_open(text: str, start: int) -> bool:
    """Tell whether the object that begins at `start` is still open at the end of the text."""
    depth, in_string, escaped = 0, False, False
    for mark in text[start:]:
        if escaped:
            escaped = False
        elif in_string:
            escaped = mark == "\\"
            in_string = mark != '"'
        elif mark == '"':
            in_string = True
        elif mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
            if depth == 0:
                return False
    return True


def _labels(
    items: Sequence[Any], ask: Ask, label_set: LabelSet
) -> tuple[dict[int, tuple[str, ...]], str]:
    """Return the labels of the items that count, and what the set does not let stand together."""
    seen: set[str] = set()
    labels: dict[int, tuple[str, ...]] = {}
    apart = ""
    for item in items:
        short_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(short_id, str):
            raise _Void("foreign_id", "an item of the answer has no id that is a string")
        if short_id not in ask.tickets:
            shown = short_id[:_SHOWN]
            raise _Void("foreign_id", f"the answer names an id that was not asked: {shown!r}")
        if short_id in seen:
            raise _Void("doubled_id", f"the answer names the id {short_id!r} twice")
        seen.add(short_id)
        given = item.get("labels")
        is_list = isinstance(given, list) and all(isinstance(label, str) for label in given)
        if is_list and label_set.allows(given) and _is_one(item, ask):
            labels[ask.tickets[short_id]] = tuple(given)
        elif is_list and not apart:
            apart = _apart(given, label_set)
    return labels, apart


def _apart(given: Sequence[str], label_set: LabelSet) -> str:
    """Return which two labels of the set may not stand together, or nothing."""
    is_pair = len(given) == LABELS_PER_CHUNK and all(label_set.allows([key]) for key in given)
    if not is_pair or label_set.allows(given):
        return ""
    return f"; the label set does not allow {' with '.join(given)}"


def _is_one(item: Mapping[str, Any], ask: Ask) -> bool:
    """Tell whether the keys beside id and labels hold no other item and no id of another chunk."""
    inside = [value for key, value in item.items() if key not in ("id", "labels")]
    while inside:
        value = inside.pop()
        if isinstance(value, dict):
            if "labels" in value:
                return False
            inside += value.values()
        elif isinstance(value, list):
            inside += value
        elif isinstance(value, str) and value in ask.tickets and value != item["id"]:
            return False
    return True
