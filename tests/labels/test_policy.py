"""A policy that cannot be followed is a flaw that names its field and a cure."""

from __future__ import annotations

import pytest

from analysis.labels.policy import (
    MOST_RULES,
    check_criterion,
    check_kinds,
    check_pairs,
    check_rules,
    check_together,
)
from analysis.labels.set_text import Flaw

KEYS = ("a", "b", "c")


@pytest.mark.parametrize("rule", ["", "  ", "\u200b\u2060", "?!", "a\nb", "x" * 401])
def test_a_rule_is_one_line_with_words(rule: str) -> None:
    """Blanks would be sent and paid for, and say nothing."""
    check_rules(["x" * 400] * MOST_RULES)
    with pytest.raises(Flaw, match="must be one line of up to 400 characters with words") as caught:
        check_rules(["Good.", rule])
    assert "rules" == caught.value.field


@pytest.mark.parametrize("criterion", ["", "\u200b", "?!", "a\nb", "x" * 401])
def test_a_criterion_is_one_line_with_words(criterion: str) -> None:
    """It is told in the middle of a sentence."""
    check_criterion("the form, and not the content")
    with pytest.raises(Flaw, match="the criterion must be one line of up to 400") as caught:
        check_criterion(criterion)
    assert "criterion" == caught.value.field


def test_too_many_rules_are_a_flaw() -> None:
    """Each is paid for in every request."""
    with pytest.raises(Flaw, match="11 rules; up to 10 can be used"):
        check_rules(["Good."] * 11)


@pytest.mark.parametrize(
    ("kind", "members", "part"),
    [
        ("", ("a",), "cannot be called so"),
        ("x\ny", ("a",), "cannot be called so"),
        ("a", ("b",), "has the name of a label"),
        ("x", (), "has no labels"),
        ("x", ("a", "b", "a"), "has 'a' twice"),
        ("x", ("d",), "unknown label 'd' in 'kinds'; there are: a, b, c"),
    ],
)
def test_a_kind_has_a_name_of_its_own_and_labels(
    kind: str, members: tuple[str, ...], part: str
) -> None:
    """The field of the flaw is that kind."""
    check_kinds({"x": ("a", "b"), "y": ("b",)}, KEYS)
    with pytest.raises(Flaw) as caught:
        check_kinds({"z": ("a",), kind: members}, KEYS)
    assert part in str(caught.value)
    assert f"kinds.{kind}" == caught.value.field


@pytest.mark.parametrize(
    ("pairs", "most", "part"),
    [
        ([("a", "x")], 2, "'x' in 'pairs', which is neither a label nor a kind"),
        ([("a", "b")], 1, "max_labels = 1 lets no chunk have two labels"),
        ([("a", "b"), ("b", "a")], 2, "the pair b and a twice"),
        ([("a", "kind")], 2, "the pair a and kind in 'pairs', and both are the same label"),
    ],
)
def test_pairs_are_known_used_and_there_once(
    pairs: list[tuple[str, str]], most: int, part: str
) -> None:
    """Pairs that nothing can come of are refused, not ignored."""
    check_pairs([("a", "b"), ("b", "c"), ("b", "kind")], KEYS, {"kind": ["a"]}, 2)
    check_pairs([], KEYS, {}, 1)
    with pytest.raises(Flaw) as caught:
        check_pairs(pairs, KEYS, {"kind": ["a"]}, most)
    assert part in str(caught.value)
    assert "pairs" == caught.value.field


AB = frozenset({"a", "b"})


@pytest.mark.parametrize(
    ("alone", "forbidden", "favoured", "field", "part"),
    [
        ({"b"}, set(), {AB}, "alone", "has b in 'alone', and has the pair a and b in 'pairs'"),
        (set(), {AB}, {AB}, "forbidden", "forbids this pair in 'forbidden', and has the pair a"),
        ({"a", "b", "c"}, set(), set(), "alone", "every label in 'alone', and max_labels = 2"),
    ],
)
def test_what_contradicts_itself_is_a_flaw(
    alone: set[str],
    forbidden: set[frozenset[str]],
    favoured: set[frozenset[str]],
    field: str,
    part: str,
) -> None:
    """The line that forbids is named, since `pairs` may be right."""
    check_together(KEYS, alone={"c", "b"}, forbidden={AB}, favoured=set())
    with pytest.raises(Flaw) as caught:
        check_together(KEYS, alone=alone, forbidden=forbidden, favoured=favoured)
    assert (field, True) == (caught.value.field, part in str(caught.value))
