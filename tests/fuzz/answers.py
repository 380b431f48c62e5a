"""What a model wrote, read into labels; the oracle reads it a second time, slowly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from analysis.labels.answer import Checked, check
from analysis.labels.label_set import LabelSet
from analysis.records import Ask, Choice, ChoiceReply, Reply, TextReply
from tests.fuzz.dice import Dice
from tests.fuzz.mutation import changed, torn, written

LABELS = LabelSet.load("ten_functions")
IDS = ("ab3f", "k7xz", "q1w2", "m5n8")
ASK = Ask(
    instructions="",
    content="",
    schema_name="s",
    schema={},
    max_output_tokens=100,
    tickets={short_id: 100 + place for place, short_id in enumerate(IDS)},
    estimated_input_tokens=1,
)
WORDS = (*IDS, "zzzz", "id", "labels", "answers", *LABELS.keys, *LABELS.keys[0].split("_"))
SHARES = (0.0, 0.2, 0.34, 0.35, 0.5, 0.65, 0.8, 1.0)


def answer(content: bytes, read: Callable[..., Checked] = check) -> None:
    """An answer in text or in choices: each chunk gets its own labels, or none."""
    dice = Dice(content)
    if dice.happens(4):
        choices = {dice.pick((*IDS, "zzzz")): _choice(dice) for _ in range(dice.below(6))}
        reply: Reply = ChoiceReply(choices=choices, model="m")
        _check_choices(read(reply, ASK, LABELS), choices)
        return
    text = _text(dice)
    found = read(TextReply(text=text, model="m"), ASK, LABELS)
    _check_sums(found)
    _check_text(found, text)


def _choice(dice: Dice) -> Choice:
    keys = (*LABELS.keys, "unheard_of")
    return Choice(probabilities={dice.pick(keys): dice.pick(SHARES) for _ in range(dice.below(4))})


def _text(dice: Dice) -> str:
    items: list[Any] = []
    for short_id in IDS[: dice.below(len(IDS) + 1) or None]:
        labels = [dice.pick(LABELS.keys) for _ in range(1 + dice.below(3))]
        items.append({"id": short_id, "labels": labels})
    good = {"answers": items}
    kind = dice.below(8)
    if kind == 7:
        return dice.raw(80).decode("utf-8", "surrogateescape")
    value = good if kind in (0, 6) else changed(good, dice, WORDS)
    text = torn(value, dice) if kind in (5, 6) else written(value, dice)
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def _check_sums(found: Checked) -> None:
    """Every chunk has one outcome, and only chunks that were asked have one."""
    outcomes = [*found.labels, *found.missing, *found.refused]
    assert sorted(outcomes) == sorted(ASK.tickets.values())
    assert all(LABELS.allows(labels) for labels in found.labels.values())
    assert found.confidences.keys() <= found.labels.keys()
    assert found.defect is None or not found.labels


def _check_text(found: Checked, text: str) -> None:
    """Compare with what the standard library reads; a cut text must hold each item whole."""
    try:
        items = json.loads(text)["answers"]
        named = [(one["id"], one.get("labels")) for one in items]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        for short_id, ticket in ASK.tickets.items():
            labels = list(found.labels.get(ticket, ()))
            assert not labels or (short_id in text and all(label in text for label in labels))
        return
    for short_id, ticket in ASK.tickets.items():
        own = [given for name, given in named if name == short_id]
        assert ticket not in found.labels or own == [list(found.labels[ticket])]


def _check_choices(found: Checked, choices: dict[str, Choice]) -> None:
    _check_sums(found)
    for short_id, ticket in ASK.tickets.items():
        shares = choices[short_id].probabilities if short_id in choices else None
        assert (ticket in found.refused) == (shares is not None and not shares)
        if ticket in found.labels:
            assert shares is not None
            main, *second = found.labels[ticket]
            assert shares[main] == max(shares.values()) == found.confidences[ticket]
            assert not second or shares[second[0]] == sorted(shares.values())[-2]
