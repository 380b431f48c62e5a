"""An answer gives each chunk its own labels or none, whatever the model wrote.

Swapped ids cannot be told by form: an answer in which two asked ids change places is as well formed
as the right one. Only asking again, alone or in another order, can show it.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.answer import Checked, check
from analysis.labels.label_set import LabelSet
from analysis.records import Ask, Choice, ChoiceReply, TextReply
from analysis.settings import SETTINGS

LABELS = LabelSet.load("ten_functions")
CASES = 1_000
Answer = list[dict[str, Any]]


def ask_for(*short_ids: str) -> Ask:
    """Return a question for chunks with these short ids; tickets count from 100."""
    return Ask(
        instructions="",
        content="",
        schema_name="s",
        schema={},
        max_output_tokens=100,
        tickets={short_id: 100 + place for place, short_id in enumerate(short_ids)},
        estimated_input_tokens=1,
    )


ASK = ask_for("a1", "b2")


def read(text: str, ask: Ask = ASK) -> Checked:
    """Return what a text is worth as answer."""
    return check(TextReply(text=text, model="m"), ask, LABELS)


def written(answer: Answer, **options: Any) -> str:
    """Return an answer as a model writes it."""
    return json.dumps({"answers": answer}, **options)


def true_answer(rng: random.Random) -> tuple[Ask, Answer]:
    """Return a question for one to six chunks and a right answer to it."""
    letters = string.ascii_lowercase + string.digits
    names = {"".join(rng.choices(letters, k=4)) for _ in range(rng.randint(1, 6))}
    others = [key for key in LABELS.keys if key not in LABELS.alone]
    answer: Answer = []
    for name in sorted(names):
        count = rng.randint(1, 2)
        labels = rng.sample(others, 2) if count == 2 else [rng.choice(LABELS.keys)]
        answer.append({"id": name, "labels": labels})
    rng.shuffle(answer)
    return ask_for(*(item["id"] for item in answer)), answer


def labels_of(ask: Ask, answer: Answer) -> dict[int, tuple[str, ...]]:
    """Return what a right answer says, by ticket."""
    return {ask.tickets[item["id"]]: tuple(item["labels"]) for item in answer}


def assert_consistent(found: Checked, ask: Ask) -> None:
    """Labeled and missing tickets are the asked ones, in order; a void answer labels nothing."""
    assert tuple(t for t in ask.tickets.values() if t not in found.labels) == found.missing
    assert set(found.labels) <= set(ask.tickets.values())
    assert not (found.defect and found.labels)
    assert bool(found.missing) == bool(found.note)
    assert len(found.note) < 300


def assert_void(found: Checked, defect: str, ask: Ask = ASK) -> None:
    """The answer gives nobody a label, for this reason."""
    assert_consistent(found, ask)
    assert (defect, {}) == (found.defect, dict(found.labels))


def test_a_whole_answer_labels_every_chunk() -> None:
    """Order and white space do not matter, the order of the labels does."""
    text = written(
        [{"id": "b2", "labels": ["example", "contrast"]}, {"labels": ["noise"], "id": "a1"}],
        indent=2,
    )
    found = read(f"\n{text}\n")
    expected = Checked(labels={101: ("example", "contrast"), 100: ("noise",)})
    assert expected == found


def test_right_answers_count_in_full() -> None:
    """In every spelling that JSON has for them."""
    for seed in range(CASES):
        ask, answer = true_answer(random.Random(seed))
        text = written(answer, indent=seed % 3 or None)
        name = answer[0]["id"]
        if seed % 2:
            text = text.replace(f'"{name}"', f'"\\u{ord(name[0]):04x}{name[1:]}"')
        found = read(text, ask)
        assert_consistent(found, ask)
        assert labels_of(ask, answer) == found.labels, f"seed {seed}"


def test_swapped_ids_cannot_be_told_by_form() -> None:
    """The audit has to find them: this answer is accepted, and wrongly so."""
    right = [{"id": "a1", "labels": ["noise"]}, {"id": "b2", "labels": ["example"]}]
    swapped = [{"id": "b2", "labels": ["noise"]}, {"id": "a1", "labels": ["example"]}]
    assert {100: ("noise",), 101: ("example",)} == read(written(right)).labels
    assert {100: ("example",), 101: ("noise",)} == read(written(swapped)).labels


def shifted(answer: Answer, rng: random.Random) -> str:
    """Ids move by one place and the last one is made up."""
    names = [*(item["id"] for item in answer[1:]), "?" + answer[0]["id"]]
    return written([{**item, "id": name} for item, name in zip(answer, names, strict=True)])


def doubled(answer: Answer, rng: random.Random) -> str:
    """One item stands twice, the second time with another label."""
    copy = {"id": rng.choice(answer)["id"], "labels": [rng.choice(LABELS.keys)]}
    return written([*answer, copy])


def foreign(answer: Answer, rng: random.Random) -> str:
    """One more item, of an id that nobody asked for, stands anywhere."""
    item = {"id": "?" + answer[0]["id"], "labels": ["noise"]}
    return written(sorted([*answer, item], key=lambda _: rng.random()))


def numbered(answer: Answer, rng: random.Random) -> str:
    """One id is a number."""
    return written([{**answer[0], "id": rng.randint(0, 9)}, *answer[1:]])


def nameless(answer: Answer, rng: random.Random) -> str:
    """One item has no id, or is no object at all."""
    item: Any = rng.choice([{"labels": ["noise"]}, None, 7, "noise", ["noise"], [[{}]], True])
    return written([*answer[1:], item])


def keyed_twice(answer: Answer, rng: random.Random) -> str:
    """One item has a key twice, with another value."""
    item = answer[-1]
    name, labels = json.dumps(item["id"]), json.dumps(item["labels"])
    extra = rng.choice(
        [
            '"labels": ["noise"]',
            f'"id": {json.dumps("?" + item["id"])}',
            f'"id": {name}',
            '"l\\u0061bels": ["noise"]',
            '"\\u0069d": "a1"',
        ]
    )
    rest = "".join(json.dumps(other) + "," for other in answer[:-1])
    return f'{{"answers": [{rest}{{"id": {name}, "labels": {labels}, {extra}}}]}}'


def wrapped(answer: Answer, rng: random.Random) -> str:
    """Prose or a code fence stands around the answer."""
    before, after = rng.choice(
        [("Sure: ", ""), ("", " Done."), ("```json\n", "\n```"), ("", "}"), ("[", "]"), ("", ",")]
    )
    return before + written(answer) + after


def broken(answer: Answer, rng: random.Random) -> str:
    """The answer is closed, and its JSON is wrong inside."""
    text = written(answer)
    return rng.choice(
        [
            text.replace("}]}", "},]}"),
            text.replace("}]}", "}}]}"),
            text.replace('"labels": [', '"labels": [,', 1),
            text.replace('"id":', "id:", 1),
            text.replace('{"id"', '{{"id"', 1).replace("}]}", "}}]}"),
            text.replace("[{", '["', 1),
            text.replace('"answers"', "'answers'"),
            text.replace('"answers"', '"answer"'),
            text.replace("}]}", "}] }}"),
        ]
    )


VOIDING: list[tuple[Callable[[Answer, random.Random], str], set[str]]] = [
    (shifted, {"foreign_id"}),
    (doubled, {"doubled_id"}),
    (foreign, {"foreign_id"}),
    (numbered, {"foreign_id"}),
    (nameless, {"foreign_id", "not_json"}),
    (keyed_twice, {"doubled_key"}),
    (wrapped, {"not_json"}),
    (broken, {"not_json"}),
]


@pytest.mark.parametrize(("mutate", "defects"), VOIDING)
def test_a_wrong_answer_is_void_as_a_whole(
    mutate: Callable[[Answer, random.Random], str], defects: set[str]
) -> None:
    """A foreign or doubled id, a doubled key, and closed JSON that does not parse void it."""
    for seed in range(CASES):
        rng = random.Random(seed)
        ask, answer = true_answer(rng)
        text = mutate(answer, rng)
        found = read(text, ask)
        assert_consistent(found, ask)
        assert found.defect in defects, f"seed {seed}: {text!r} gave {found}"


def test_of_a_short_answer_the_items_count_and_the_rest_is_missing() -> None:
    """Any part of the items, in any order."""
    for seed in range(CASES):
        rng = random.Random(seed)
        ask, answer = true_answer(rng)
        kept = rng.sample(answer, rng.randint(0, len(answer) - 1))
        found = read(written(kept), ask)
        assert_consistent(found, ask)
        assert (labels_of(ask, kept), None) == (found.labels, found.defect), f"seed {seed}"


BAD_LABELS: list[Any] = [
    ["nonsense"],
    ["noise", "example"],
    ["example", "noise"],
    ["example", "example"],
    ["example", "contrast", "key_thesis"],
    [],
    "noise",
    None,
    7,
    {"noise": True},
    [["noise"]],
    [None],
    [1],
    ["Noise"],
    ["noise "],
    [True, "noise"],
    [{"id": "a1"}],
]


def test_an_item_with_labels_that_may_not_be_is_missing_and_the_others_count() -> None:
    """Unknown labels, forbidden pairs, too many, and anything that is no list of strings."""
    for seed in range(CASES):
        rng = random.Random(seed)
        ask, answer = true_answer(rng)
        place = rng.randrange(len(answer))
        bad = {"id": answer[place]["id"], "labels": rng.choice(BAD_LABELS)}
        if rng.random() < 0.1:
            del bad["labels"]
        rest = [*answer[:place], *answer[place + 1 :]]
        found = read(written([*rest, bad]), ask)
        assert_consistent(found, ask)
        assert (labels_of(ask, rest), None) == (found.labels, found.defect), f"seed {seed}"


def test_a_cut_answer_gives_its_complete_items_at_every_place() -> None:
    """Cut at every character: the items that ended before count, and never a wrong label."""
    cuts = 0
    for seed in range(60):
        ask, answer = true_answer(random.Random(seed))
        text = written(answer, indent=seed % 3 or None)
        ends = [text.index("}", text.index(json.dumps(item["id"]))) for item in answer]
        for length in range(len(text)):
            found = read(text[:length], ask)
            assert_consistent(found, ask)
            complete = [item for item, end in zip(answer, ends, strict=True) if end < length]
            expected = labels_of(ask, complete)
            assert expected == found.labels, f"seed {seed}, cut at {length}: {text[:length]!r}"
            cuts += 1
    assert cuts > 10 * CASES


def test_any_other_text_in_place_of_the_end_gives_no_wrong_label() -> None:
    """A right beginning and any end: what counts is what the right answer says."""
    for seed in range(5 * CASES):
        rng = random.Random(seed)
        ask, answer = true_answer(rng)
        text = written(answer)
        junk = "".join(rng.choices('{}[]":,\\ \n' + "ab1", k=rng.randint(1, 12)))
        found = read(text[: rng.randrange(len(text))] + junk, ask)
        assert_consistent(found, ask)
        assert found.labels.items() <= labels_of(ask, answer).items(), f"seed {seed}"


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u2003"])
def test_an_empty_answer_is_a_defect(text: str) -> None:
    """Nothing but white space."""
    assert_void(read(text), "empty")


@pytest.mark.parametrize(
    "text", ["null", "[]", "{}", '"a1"', "7", '{"answers": {}}', "[[", "\ufeff{"]
)
def test_other_json_is_a_defect(text: str) -> None:
    """Closed JSON that is no answer."""
    assert_void(read(text), "not_json")


@pytest.mark.parametrize(
    "text", ["{", '{ "ans', '{"answers"', '{"answers":', '{"answers": [', " {"]
)
def test_an_answer_cut_in_its_opening_gives_nothing(text: str) -> None:
    """It is no defect of the whole: nothing contradicts the request."""
    found = read(text)
    assert ({}, None, (100, 101)) == (dict(found.labels), found.defect, found.missing)


def test_a_lone_surrogate_does_not_stop_the_reader() -> None:
    """Such a string cannot be written as UTF-8; its item does not count."""
    text = '{"answers": [{"id": "a1", "labels": ["noise"]}, {"id": "\ud800", "labels": []}]}'
    assert_void(read(text), "foreign_id")


DEEP = 100_000
HUGE = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "{" * HUGE,
        "[" * HUGE,
        '"' * HUGE,
        "\\" * HUGE,
        " " * HUGE + "x",
        '{"answers": [' + "[" * HUGE,
        '{"answers": [' + "{" * HUGE,
        '{"answers": [' + " " * HUGE + "}",
        '{"answers": [{"id": ' + '"' * HUGE,
        '{"answers": [{"id": "a1", "labels": ' + "[" * DEEP,
        '{"answers": [{"id": "a1", "labels": ' + "[" * DEEP + "]" * DEEP + "}]}",
        '{"answers": [' + '{"a":' * DEEP + "1" + "}" * DEEP + "]}",
        '{"answers": [{"id": ' + "9" * HUGE + "}]}",
        '{"answers": [{"id": "' + "x" * HUGE + '", "labels": []}]}',
        '{"answers": [{"id": ' + "[" * 500 + "]" * 500 + ', "labels": []}]}',
        '{"answers": [' + '{"id": "a1", "labels": ["noise"]}' + "," * HUGE,
        '{"answers": [' + '{"id":"a1","labels":["noise"]},' * (HUGE // 32),
    ],
    ids=lambda text: f"{text[:24]}-{len(text)}",
)
def test_huge_and_deep_texts_label_nobody(text: str) -> None:
    """They are read once from front to end, and no depth ends the reader with an exception.

    A reader that went over the rest of the text again for every bracket would take hours here.
    """
    found = read(text)
    assert_consistent(found, ASK)
    assert {} == dict(found.labels)


def test_too_deep_an_answer_is_a_defect() -> None:
    """Whether it is closed or not, and for the fast reader as for the slow one."""
    deep = '{"answers": [{"id": "a1", "labels": ' + "[" * DEEP
    assert_void(read(deep), "not_json")
    assert_void(read(deep + "]" * DEEP + "}]}"), "not_json")
    assert_void(read(deep + "\\"), "not_json")


def test_a_huge_item_that_is_cut_leaves_those_before_it() -> None:
    """The complete item counts, the endless one does not."""
    text = '{"answers": [{"id": "a1", "labels": ["noise"]}, {"id": "' + "\\\\" * HUGE
    assert {100: ("noise",)} == read(text).labels


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    """Whatever it is, it labels nobody unless it is an answer."""
    found = read(text)
    assert_consistent(found, ASK)
    assert {} == dict(found.labels)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["a1", "b2", "noise"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "labels", "answers", "x"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=4), st.booleans())
def test_any_json_is_read_as_a_slow_obvious_version_reads_it(
    items: list[Any], nested: bool
) -> None:
    """Nested junk of the right words gives exactly the items that count."""
    found = read(written(items) if nested else json.dumps(items))
    assert_consistent(found, ASK)
    names: list[Any] = [item.get("id") if isinstance(item, dict) else None for item in items]
    expected = {}
    is_asked = all(isinstance(name, str) and name in ASK.tickets for name in names)
    if nested and is_asked and len(set(names)) == len(names):
        for name, item in zip(names, items, strict=True):
            if item.get("labels") == ["noise"]:
                expected[ASK.tickets[name]] = ("noise",)
    assert expected == dict(found.labels)


def chosen(threshold: float = 0.25, label_set: LabelSet = LABELS, **shares: Any) -> Checked:
    """Return what a reply of choices is worth: short id -> probabilities, None if declined."""
    choices = {name: Choice(probabilities=found or {}) for name, found in shares.items()}
    settings = replace(SETTINGS, second_label_probability=threshold)
    return check(ChoiceReply(choices=choices, model="m"), ASK, label_set, settings=settings)


def test_the_top_choice_is_the_label_and_its_probability_the_confidence() -> None:
    """As the service stated it, and wherever it stands."""
    found = chosen(a1={"noise": 0.9, "example": 0.1}, b2={"example": 0.05, "contrast": 0.95})
    expected = Checked(
        labels={100: ("noise",), 101: ("contrast",)}, confidences={100: 0.9, 101: 0.95}
    )
    assert expected == found


@pytest.mark.parametrize(
    ("threshold", "second", "expected"),
    [
        (0.25, 0.25, ("example", "contrast")),
        (0.25, 0.24, ("example",)),
        (0.4, 0.3, ("example",)),
        (0.0, 0.0, ("example", "contrast")),
        (1.0, 0.5, ("example",)),
    ],
)
def test_a_runner_up_from_the_threshold_on_is_the_second_label(
    threshold: float, second: float, expected: tuple[str, ...]
) -> None:
    """The confidence stays that of the main label."""
    shares = {"noise": 0.0, "contrast": second, "example": 1 - second}
    if second == 0.5:
        shares = {"example": 0.5, "contrast": 0.5, "noise": 0.0}
    if second == 0.0:
        shares = {"contrast": 0.0, "example": 1.0, "noise": 0.0}
    found = chosen(threshold, a1=shares, b2=shares)
    assert ({100: expected, 101: expected}, 1 - second) == (found.labels, found.confidences[100])


def test_a_runner_up_that_may_not_stand_there_is_left_out() -> None:
    """Noise stays alone, a set of one label has one; no third choice takes the place."""
    shares = {"example": 0.4, "noise": 0.35, "contrast": 0.25}
    assert {100: ("example",)} == chosen(a1=shares).labels
    single = replace(LABELS, max_labels=1, pairs=())
    assert {100: ("example",)} == chosen(
        a1={"example": 0.6, "contrast": 0.4}, label_set=single
    ).labels
    assert {100: ("noise",)} == chosen(a1={"noise": 0.6, "contrast": 0.4}).labels


def test_without_pairs_a_runner_up_is_doubt_and_no_second_label() -> None:
    """Text routes may keep two such labels, since the model wrote both of them."""
    bare = replace(LABELS, pairs=(), kinds={})
    shares = {"example": 0.6, "contrast": 0.4}
    assert {100: ("example",)} == chosen(a1=shares, label_set=bare).labels
    assert {100: ("example", "contrast")} == chosen(a1=shares).labels


def test_of_equal_probabilities_the_one_that_stands_first_is_the_label() -> None:
    """The route puts there what the service chose."""
    found = chosen(a1={"contrast": 0.4, "example": 0.4, "key_thesis": 0.2})
    assert {100: ("contrast", "example")} == found.labels


def test_declined_chunks_are_not_missing_ones() -> None:
    """They are not to be asked again in the same way."""
    found = chosen(a1=None, b2={"noise": 1.0})
    assert ((100,), (), "") == (found.refused, found.missing, found.note)
    found = chosen(b2=None)
    assert ((101,), (100,), "1 of 2 chunks unanswered") == (
        found.refused,
        found.missing,
        found.note,
    )


def test_a_choice_that_is_no_label_of_the_set_does_not_count() -> None:
    """Whatever route let it through."""
    found = chosen(a1={"nonsense": 0.9, "noise": 0.1}, b2={"noise": 0.7, "nonsense": 0.3})
    assert ({101: ("noise",)}, (100,)) == (found.labels, found.missing)
