"""The confidence of a label is the product over the tokens that spell its key, or there is none.

Answers are put together piece by piece here, so that the place of each key is known without
reading the answer.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.answer import check
from analysis.labels.token_probability import confidences
from analysis.records import TextReply, Tokens
from tests.labels.test_answer import ASK, LABELS, VOIDING, ask_for, true_answer, written

KEYS = ("noise", "noise_late", "claim", "proof", "aside")
"""One of them begins another one."""
IDS = ("a1", "b2", "c3", "d4")
TICKETS = {name: 100 + place for place, name in enumerate(IDS)}
PLAIN = '{"answers":[{"id":"a1","labels":["noise"]},{"id":"b2","labels":["claim","aside"]}]}'
LABELLED = {100: ("noise",), 101: ("claim", "aside")}


def pieces(text: str, size: int, logprob: float = -0.25) -> Tokens:
    """Return a text in tokens of so many bytes, all with the same log probability."""
    encoded = text.encode()
    return tuple((encoded[at : at + size], logprob) for at in range(0, len(encoded), size))


def cut_at(text: str, cuts: Mapping[int, float]) -> Tokens:
    """Return a text in tokens that begin at these bytes; the first begins at 0."""
    starts = sorted(cuts)
    ends = [*starts[1:], len(text.encode())]
    return tuple(
        (text.encode()[start:end], cuts[start]) for start, end in zip(starts, ends, strict=True)
    )


def found(
    text: str,
    tokens: Tokens,
    labels: Mapping[int, Sequence[str]] | None = None,
    keys: Sequence[str] = KEYS,
) -> dict[int, float]:
    """Return the confidences of an answer."""
    labels = LABELLED if labels is None else labels
    return confidences(text, tokens, tickets=TICKETS, labels=labels, keys=keys)


def with_logprob(text: str, place: int, logprob: float | None) -> Tokens:
    """Return a text in tokens of three bytes, that around a place with another log probability."""
    stated = math.nan if logprob is None else logprob
    return tuple(
        (piece, stated if number == place // 3 else -0.25)
        for number, (piece, _) in enumerate(pieces(text, 3))
    )


# What must not become a confidence


@pytest.mark.parametrize(
    "tokens",
    [
        (),
        pieces(PLAIN, 4)[:-1],
        pieces(PLAIN, 4)[1:],
        (*pieces(PLAIN, 4), (b" ", 0.0)),
        (*pieces(PLAIN, 4), (b"<|end|>", 0.0)),
        pieces(PLAIN.replace("noise", "Noise"), 4),
        pieces(f"\ufeff{PLAIN}", 4),
        pieces(f" {PLAIN}", 4),
        tuple(reversed(pieces(PLAIN, 4))),
    ],
)
def test_tokens_that_are_not_the_text_give_nothing(tokens: Tokens) -> None:
    """Missing, further, other and misplaced ones: all of the answer is without a confidence."""
    assert {} == found(PLAIN, tokens)


@pytest.mark.parametrize("logprob", [None, math.nan, 0.001, 1.0, math.inf])
def test_a_token_without_a_log_probability_spoils_its_item_only(logprob: float | None) -> None:
    """None stated, no number, or one that is no logarithm of a probability."""
    tokens = with_logprob(PLAIN, PLAIN.index("noise") + 3, logprob)
    assert {101: math.exp(-0.75)} == pytest.approx(found(PLAIN, tokens))


def test_a_bad_token_outside_of_the_keys_does_no_harm() -> None:
    """It is the brace in front of all."""
    assert {100, 101} == set(found(PLAIN, with_logprob(PLAIN, 0, None)))


def test_the_sign_for_very_unlikely_tokens_is_a_tiny_probability() -> None:
    """-9999 stands for whatever is not among the likeliest ones."""
    tokens = with_logprob(PLAIN, PLAIN.index("noise") + 3, -9999.0)
    assert 0.0 == found(PLAIN, tokens)[100]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace('"noise"', '"n\\u006fise"'),
        PLAIN.replace('"a1"', '"a\\u0031"'),
        PLAIN.replace('"labels":["noise"]', '"l\\u0061bels":["noise"]'),
        PLAIN.replace('"labels":["noise"]', '"labels":["noise"],"why":"x"'),
        PLAIN.replace('"labels":["noise"]', '"labels":["noise"],"labels":["noise"]'),
        PLAIN.replace('"labels":["noise"]', '"labels":["noise",]'),
        PLAIN.replace('["noise"]', '"noise"'),
        PLAIN.replace('"a1"', "1"),
    ],
)
def test_an_item_in_another_form_has_none(text: str) -> None:
    """Escapes, further and doubled keys, no list, no string; whatever else was accepted."""
    assert 100 not in found(text, pieces(text, 3))


def test_an_item_inside_of_another_one_is_not_read() -> None:
    """The labels are those of the outer one, which is in no plain form."""
    inner = '{"id":"a1","labels":["noise"]}'
    text = f'{{"answers":[{{"why":{inner},"id":"a1","labels":["noise"]}}]}}'
    assert {} == found(text, pieces(text, 3))


def test_items_behind_one_in_another_form_have_theirs() -> None:
    """It is passed over whole."""
    text = PLAIN.replace('"a1"', '"a\\u0031"')
    assert {101: math.exp(-0.5)} == pytest.approx(found(text, pieces(text, 3)))


@pytest.mark.parametrize(
    "labels", [{}, {100: ("claim",)}, {100: ("noise", "aside")}, {101: ("aside", "claim")}]
)
def test_only_labels_that_count_get_one(labels: dict[int, tuple[str, ...]]) -> None:
    """What the text spells has to be what was accepted, with all labels in order."""
    assert {} == found(PLAIN, pieces(PLAIN, 3), labels)


@pytest.mark.parametrize("text", ["", "noise", "[]", '{"answers":{}}', '{"more":1,"answers":[]}'])
def test_other_texts_have_none(text: str) -> None:
    """The opening is not the one that was asked for."""
    assert {} == found(text, pieces(text, 3))


# What is one


def test_the_tokens_of_the_key_count_and_no_others() -> None:
    """The quote before it is a token of its own; what stands behind the key is the next one."""
    at = PLAIN.index("claim")
    cuts = {0: -5.0, at: -0.1, at + 2: -0.2, at + 5: -7.0}
    assert {101: math.exp(-0.3)} == pytest.approx(
        found(PLAIN, cut_at(PLAIN, cuts), {101: ("claim", "aside")})
    )


def test_a_token_that_holds_a_part_of_the_key_counts_whole() -> None:
    """Quotes, brackets and even the id may stand in it."""
    at = PLAIN.index("claim")
    cuts = {0: -5.0, at - 2: -0.1, at + 4: -0.2, at + 7: -7.0}
    assert {101: math.exp(-0.3)} == pytest.approx(
        found(PLAIN, cut_at(PLAIN, cuts), {101: ("claim", "aside")})
    )


def test_the_quote_decides_where_a_key_begins_another_one() -> None:
    """`noise` could still become `noise_late`; without that key the quote says nothing."""
    at = PLAIN.index("noise")
    tokens = cut_at(PLAIN, {0: -5.0, at: -0.1, at + 5: -0.4, at + 6: -7.0})
    assert {100: math.exp(-0.5)} == pytest.approx(found(PLAIN, tokens, {100: ("noise",)}))
    alone = found(PLAIN, tokens, {100: ("noise",)}, ("noise", "claim"))
    assert {100: math.exp(-0.1)} == pytest.approx(alone)


def test_ids_bind_confidences_wherever_their_items_stand() -> None:
    """The second chunk is answered first, with its labels before its id."""
    text = (
        ' {\n"answers" : [ {"labels":["claim"] , "id":"b2"}, {"id":"a1","labels":["proof"]} ] }\n'
    )
    at, behind = text.index("claim"), text.index("proof")
    tokens = cut_at(text, {0: -5.0, at: -0.1, at + 5: -5.0, behind: -0.2, behind + 5: -5.0})
    labels = {100: ("proof",), 101: ("claim",)}
    expected = {101: math.exp(-0.1), 100: math.exp(-0.2)}
    assert expected == pytest.approx(found(text, tokens, labels))


def test_places_are_counted_in_bytes() -> None:
    """An item in another form, with letters of several bytes, stands before the key."""
    text = PLAIN.replace('"labels":["noise"]', '"labels":["noise"],"why":"почему é"')
    at = len(text[: text.index("claim")].encode())
    tokens = cut_at(text, {0: -5.0, at: -0.1, at + 5: -5.0})
    assert {101: math.exp(-0.1)} == pytest.approx(found(text, tokens))


def test_tokens_may_part_a_letter_and_be_empty() -> None:
    """Bytes are compared, not letters; an empty token belongs to no key."""
    text = PLAIN.replace('"labels":["noise"]', '"labels":["noise"],"why":"é"')
    at = text.encode().index(b"claim")
    cuts = {0: -5.0, text.index("é") + 1: -5.0, at: -0.1, at + 2: -0.3, at + 5: -5.0}
    tokens = cut_at(text, cuts)
    place = next(number for number, (piece, _) in enumerate(tokens) if piece == b"cl")
    tokens = (*tokens[: place + 1], (b"", math.nan), *tokens[place + 1 :])
    assert {101: math.exp(-0.4)} == pytest.approx(found(text, tokens))


@pytest.mark.parametrize("length", [len(PLAIN) - 1, len(PLAIN) - 2, PLAIN.index("},") + 1, 60])
def test_complete_items_of_a_cut_answer_have_theirs(length: int) -> None:
    """Those that the cut spoiled are missing anyway."""
    text = PLAIN[:length]
    checked = check(
        TextReply(text=text, model="m", tokens=pieces(text, 3), is_cut=True), ASK, LABELS
    )
    assert set(checked.labels) == set(checked.confidences)


answers = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True),
        st.booleans(),
    ),
    max_size=len(IDS),
    unique_by=lambda item: item[0],
)


@given(
    answer=answers,
    spaces=st.sampled_from(["", " ", "\n  ", "\t"]),
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.05, 0.3, 0.7, 1.0]),
)
def test_any_tokens_of_a_right_answer_give_the_product(
    answer: list[tuple[str, list[str], bool]], spaces: str, seed: int, share: float
) -> None:
    """Held against a product over all bytes of the key, one by one."""
    rng = random.Random(seed)
    text, keys = f'{{"answers":{spaces}[', {}
    for number, (name, labels, is_id_first) in enumerate(answer):
        text += f"{',' if number else ''}{spaces}{{"
        text += f'"id":{spaces}"{name}",{spaces}"labels":["' if is_id_first else '"labels":["'
        keys[name] = (len(text), labels[0])
        text += f'",{spaces}"'.join(labels) + '"]'
        text += f"{spaces}}}" if is_id_first else f',"id":"{name}"{spaces}}}'
    text += "]}"
    starts = [0, *(at for at in range(1, len(text)) if rng.random() < share)]
    tokens = cut_at(text, {at: -rng.expovariate(1.0) for at in starts})
    owner = [number for number, (piece, _) in enumerate(tokens) for _ in piece]
    expected = {}
    for name, (at, key) in keys.items():
        size = len(key) + (key == "noise")
        product = 1.0
        for number in set(owner[at : at + size]):
            product *= math.exp(tokens[number][1])
        expected[TICKETS[name]] = product
    accepted = {TICKETS[name]: tuple(given) for name, given, _ in answer}
    assert expected == pytest.approx(found(text, tokens, accepted))


@given(
    text=st.text(alphabet='{}[]":, \\é' + "answeridlbo12", max_size=60),
    size=st.integers(1, 7),
)
def test_no_text_makes_it_fail(text: str, size: int) -> None:
    """Whatever stands there, there is no confidence without an accepted label."""
    for whole in (text, PLAIN[:42] + text, PLAIN[:14] + text):
        assert set(found(whole, pieces(whole, size))) <= {100, 101}
        assert {} == found(whole, pieces(whole, size), {})


# With the answer check


def test_tokens_make_no_rejected_answer_an_accepted_one() -> None:
    """Each wrong form with tokens of every kind is worth the same as without."""
    for mutate, _ in VOIDING:
        for seed in range(200):
            rng = random.Random(seed)
            ask, answer = true_answer(rng)
            text = mutate(answer, rng)
            bare = check(TextReply(text=text, model="m"), ask, LABELS)
            for tokens in (pieces(text, 3), pieces(text, 1, math.nan), pieces(text[1:], 2)):
                checked = check(TextReply(text=text, model="m", tokens=tokens), ask, LABELS)
                assert bare == replace(checked, confidences={}), f"seed {seed}: {text!r}"
                assert set(checked.confidences) <= set(checked.labels)


def test_a_right_answer_has_a_confidence_for_each_label() -> None:
    """In the forms in which a service writes JSON."""
    for seed in range(200):
        ask, answer = true_answer(random.Random(seed))
        text = written(answer, indent=seed % 3 or None)
        reply = TextReply(text=text, model="m", tokens=pieces(text, 4, -0.1))
        checked = check(reply, ask, LABELS)
        assert set(checked.labels) == set(checked.confidences)
        assert all(0.0 < one < 1.0 for one in checked.confidences.values())


def test_rules_have_no_confidence_whatever_a_service_states() -> None:
    """A service that asks the offline rules has to state something, which means nothing."""
    text = json.dumps({"answers": [{"id": "a1", "labels": ["noise"]}]})
    reply = TextReply(text=text, model="offline-rules", tokens=pieces(text, 4))
    assert {} == check(reply, ask_for("a1"), LABELS).confidences
