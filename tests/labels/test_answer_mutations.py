"""Twelve ways to spoil an answer, a thousand of each: no chunk gets a label that is not its own.

What counts as its own is what the true answer to this request says. One way cannot be told by form
and is not among them: a well-formed answer in which two ids of the same request changed places, see
`test_answer.test_swapped_ids_cannot_be_told_by_form`. Asking again, alone or in another order, is
what finds those.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator

import pytest

from analysis.labels.answer import check
from analysis.labels.label_set import LabelSet
from analysis.records import TextReply
from tests.labels.test_answer import (
    CASES,
    LABELS,
    Answer,
    ask_for,
    assert_consistent,
    labels_of,
    true_answer,
    written,
)

MARKS = '{}[]":,\\ \n'
Spoiled = Iterator[tuple[str, bool]]
"""Texts, and whether the whole of each must be void; else its sound items may count."""


def other_answer(rng: random.Random) -> Answer:
    """Return the answer to another request: with other ids."""
    _, answer = true_answer(rng)
    return [{**item, "id": "+" + item["id"][1:]} for item in answer]


def swapped(answer: Answer, rng: random.Random) -> Spoiled:
    """Two requests get each other's answers, whole or in part."""
    others = other_answer(rng)
    yield written(others), True
    place = rng.randrange(len(answer))
    yield written([*answer[:place], *others[:1], *answer[place + 1 :]]), True


def shifted(answer: Answer, rng: random.Random) -> Spoiled:
    """All ids move on by one place; the first one is another request's."""
    names = [other_answer(rng)[0]["id"], *(item["id"] for item in answer[:-1])]
    yield written([{**item, "id": name} for item, name in zip(answer, names, strict=True)]), True


def short(answer: Answer, rng: random.Random) -> Spoiled:
    """Items are left out, and the answer is closed as if it were whole."""
    yield written(rng.sample(answer, rng.randrange(len(answer)))), False


def doubled(answer: Answer, rng: random.Random) -> Spoiled:
    """One id stands twice, the second time with any labels, anywhere."""
    copy = {"id": rng.choice(answer)["id"], "labels": [rng.choice(LABELS.keys)]}
    place = rng.randint(0, len(answer))
    yield written([*answer[:place], copy, *answer[place:]]), True


def foreign(answer: Answer, rng: random.Random) -> Spoiled:
    """One more item has an id that nobody asked for: a near one, a number, a chunk's own id."""
    name = answer[0]["id"]
    wrong = rng.choice([name + " ", name.upper() + "Z", name[:-1], "", 7, None, "c1", name + "\0"])
    place = rng.randint(0, len(answer))
    item = {"id": wrong, "labels": ["noise"]}
    yield written([*answer[:place], item, *answer[place:]]), True


def cut(answer: Answer, rng: random.Random) -> Spoiled:
    """The text ends at any byte."""
    content = written(answer, indent=rng.choice([None, 1])).encode()
    for size in range(len(content)):
        yield content[:size].decode(), False


def misnamed(answer: Answer, rng: random.Random) -> Spoiled:
    """One label is none of the set, or may not stand there."""
    place = rng.randrange(len(answer))
    given = answer[place]["labels"]
    wrong = rng.choice(
        [
            [given[0].upper()],
            [given[0] + "s"],
            [LABELS.name_of(given[0], rng.choice(["en", "ru", "fr", "zh"]))],
            [given[0], given[0]],
            ["noise", "example"],
            [*given, "noise", "contrast"],
            [],
            given[0],
            ", ".join(LABELS.keys[:2]),
            {given[0]: True},
        ]
    )
    rest = [*answer[:place], {"id": answer[place]["id"], "labels": wrong}, *answer[place + 1 :]]
    yield written(rest), False


def wrapped(answer: Answer, rng: random.Random) -> Spoiled:
    """Prose, a code fence or a second answer stands around the answer."""
    text = written(answer)
    before, after = rng.choice(
        [
            ("Here are the labels:\n", ""),
            ("", "\nLet me know if you need more."),
            ("```json\n", "\n```"),
            ("", text),
            (text, ""),
            ("[", "]"),
            ('{"result": ', "}"),
            ("<answer>", "</answer>"),
            ("//\n", ""),
            ("", "}"),
            ("", "\u2028"),
            ("", "\u00a0\n"),
            ("\u2029", ""),
        ]
    )
    yield before + text + after, True


REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "Извините, я не могу с этим помочь.",
    "Je suis désolé, je ne peux pas vous aider.",
    "抱歉，我无法满足这个请求。",
    '"I cannot label these texts."',
    '{"error": "content policy"}',
    '{"refusal": "no"}',
    '{"answers": "I cannot"}',
)


def refused(answer: Answer, rng: random.Random) -> Spoiled:
    """The model declines, in words or in JSON, maybe naming an id."""
    name = answer[0]["id"]
    yield rng.choice(REFUSALS) + rng.choice(["", f" ({name})", f' "{name}": "noise"', "\n"]), True


def emptied(answer: Answer, rng: random.Random) -> Spoiled:
    """Nothing comes, or an answer without items or without what belongs into them."""
    name = answer[0]["id"]
    hollow: list[Answer] = [[], [{"id": name}], [{"id": name, "labels": []}]]
    blank = "".join(rng.choices(" \t\r\n", k=rng.randrange(9)))
    yield rng.choice([blank, *(written(one) for one in hollow)]), False


def jumbled(answer: Answer, rng: random.Random) -> Spoiled:
    """The parts of items come apart: keys twice, items in items, lists in parallel, no JSON."""
    item, other = answer[-1], rng.choice(answer)
    name, labels = json.dumps(item["id"]), json.dumps(other["labels"])
    own = json.dumps(item["labels"])
    names, lists = [one["id"] for one in answer], [one["labels"] for one in answer]
    yield f'{{"answers": [{{"id": {name}, "labels": {own}, "labels": {labels}}}]}}', True
    yield f'{{"answers": [{{"labels": {labels}, "id": "?", "id": {name}}}]}}', True
    yield f'{{"answers": [], "answers": [{{"id": {name}, "labels": {own}}}]}}', True
    yield json.dumps({"answers": {"id": names, "labels": lists}}), True
    yield json.dumps({"answers": [[*pair] for pair in zip(names, lists, strict=True)]}), True
    yield json.dumps({one["id"]: one["labels"] for one in answer}), True
    constant = rng.choice([math.nan, math.inf, -math.inf])
    yield written([*answer[:-1], {**item, "confidence": constant}]), True
    yield written([*answer[:-1], {**item, "labels": [constant]}]), True
    first = answer[0]
    yield written([{**item, "labels": first["labels"], "chunk": first["id"]}]), False
    yield written([{**item, "labels": first["labels"], "next": [first]}]), False


def scratched(answer: Answer, rng: random.Random) -> Spoiled:
    """One character is lost, doubled, or another one."""
    text = written(answer)
    place = rng.randrange(len(text))
    new = rng.choice(["", text[place] * 2, rng.choice(MARKS), rng.choice("abcxyz019_")])
    yield text[:place] + new + text[place + 1 :], False


MUTATIONS: tuple[Callable[[Answer, random.Random], Spoiled], ...] = (
    swapped,
    shifted,
    short,
    doubled,
    foreign,
    cut,
    misnamed,
    wrapped,
    refused,
    emptied,
    jumbled,
    scratched,
)


def spoiled_answers(
    mutate: Callable[[Answer, random.Random], Spoiled],
) -> Iterator[tuple[int, str, bool]]:
    """Yield seed, text and whether it must be void, without end."""
    for seed in itertools.count():
        rng = random.Random(seed)
        _, answer = true_answer(rng)
        for text, is_void in mutate(answer, rng):
            yield seed, text, is_void


def faults_of(
    mutate: Callable[[Answer, random.Random], Spoiled], cases: int = CASES
) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Return spoiled answers that gave a wrong label, and those that should be void and are not.

    `benchmarks/quality.py` counts them, too.
    """
    wrong, not_void = [], []
    for seed, text, is_void in itertools.islice(spoiled_answers(mutate), cases):
        ask, answer = true_answer(random.Random(seed))
        found = check(TextReply(text=text, model="m"), ask, LABELS)
        assert_consistent(found, ask)
        if not found.labels.items() <= labels_of(ask, answer).items():
            wrong.append((seed, text))
        if is_void and (found.labels or not found.missing):
            not_void.append((seed, text))
    return wrong, not_void


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_no_chunk_gets_a_label_that_is_not_its_own(
    mutate: Callable[[Answer, random.Random], Spoiled],
) -> None:
    """Of a thousand spoiled answers none gives one, and those that must be void are."""
    wrong, not_void = faults_of(mutate)
    assert ([], []) == (wrong, not_void)


def test_the_mutations_are_twelve_and_change_the_answer() -> None:
    """A mutation that leaves answers as they are would show nothing."""
    assert 12 == len(set(MUTATIONS))
    for mutate in MUTATIONS:
        unchanged = 0
        for seed, text, _ in itertools.islice(spoiled_answers(mutate), CASES):
            _, answer = true_answer(random.Random(seed))
            unchanged += text == written(answer)
        assert unchanged < CASES * 0.2, mutate.__name__


@pytest.mark.parametrize("name", [name for name in LabelSet.available() if name != LABELS.name])
def test_labels_of_another_set_are_no_labels(name: str) -> None:
    """An answer that belongs to a run with another set gives nobody a label."""
    other = LabelSet.load(name)
    keys = [key for key in other.keys if key not in LABELS.keys]
    ask = ask_for(*keys)
    text = written([{"id": key, "labels": [key]} for key in keys])
    assert {} == dict(check(TextReply(text=text, model="m"), ask, LABELS).labels)
    assert len(keys) == len(check(TextReply(text=text, model="m"), ask, other).labels)
