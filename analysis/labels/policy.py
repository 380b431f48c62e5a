"""Whether the policy of a label set can be followed: its rules, kinds and pairs.

Pure. `label_set` calls it after it has looked at the keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from analysis.labels.label import (
    MOST_DEFINITION_SIZE,
    MOST_KEY_SIZE,
    has_words,
    is_key,
    is_line,
)
from analysis.labels.set_text import Flaw
from analysis.labels.spelling import near_or_all
from analysis.labels.toml_text import as_toml, named

MOST_RULES = 10
"""Every rule is sent with every request. No shipped set has more than one."""

Pairs = Collection[frozenset[str]]


def check_rules(rules: Sequence[str]) -> None:
    """Raise Flaw if a rule cannot be told, or there are too many."""
    if len(rules) > MOST_RULES:
        raise Flaw(
            f"policy has {len(rules)} rules; up to {MOST_RULES} can be used. Remove some, or say "
            "it in a definition: all of them are paid for in every request.",
            field="rules",
        )
    for rule in rules:
        _check_words("a rule", rule, field="rules")


def check_criterion(criterion: str) -> None:
    """Raise Flaw if what makes a label the main one cannot be told."""
    _check_words("the criterion", criterion, field="criterion")


def _check_words(what: str, told: str, *, field: str) -> None:
    if not is_line(told) or not has_words(told) or len(told) > MOST_DEFINITION_SIZE:
        raise Flaw(
            f"{what} must be one line of up to {MOST_DEFINITION_SIZE} characters with words in "
            f"it, found {as_toml(told)}. Write a sentence, or remove it.",
            field=field,
        )


def check_kinds(kinds: Mapping[str, Sequence[str]], keys: Sequence[str]) -> None:
    """Raise Flaw if a kind has no usable name, or not one or more labels, each once."""
    for kind, members in kinds.items():
        problem = ""
        if not is_key(kind):
            problem = (
                f"the kind {named(kind)} cannot be called so. Write up to {MOST_KEY_SIZE} small "
                "Latin letters, digits and underscores, a letter first."
            )
        elif kind in keys:
            problem = f"the kind {kind!r} has the name of a label. Rename it."
        elif not members:
            problem = f"the kind {kind!r} has no labels. Name some, or remove it."
        elif len(set(members)) < len(members):
            twice = next(key for key in members if members.count(key) > 1)
            problem = f"the kind {kind!r} has {named(twice)} twice. Remove one."
        elif unknown := [key for key in members if key not in keys]:
            problem = (
                f"policy names the unknown label {named(unknown[0])} in 'kinds'; "
                f"{near_or_all(unknown[0], keys)}. Write a key of the set."
            )
        if problem:
            raise Flaw(problem, field=f"kinds.{kind}")


def check_pairs(
    pairs: Sequence[tuple[str, str]],
    keys: Sequence[str],
    kinds: Mapping[str, Sequence[str]],
    max_labels: int,
) -> None:
    """Raise Flaw if a pair names neither labels nor kinds, occurs twice, or is of no use."""
    known = [*keys, *kinds]
    for name in (name for pair in pairs for name in pair):
        if name not in known:
            raise Flaw(
                f"policy names {named(name)} in 'pairs', which is neither a label nor a kind; "
                f"{near_or_all(name, known)}. Write a key of the set, or a kind.",
                field="pairs",
            )
    if pairs and max_labels == 1:
        raise Flaw(
            "policy has 'pairs', and max_labels = 1 lets no chunk have two labels. Remove 'pairs', "
            "or write max_labels = 2.",
            field="pairs",
        )
    seen: set[frozenset[str]] = set()
    for pair in pairs:
        if frozenset(pair) in seen:
            raise Flaw(
                f"policy has the pair {' and '.join(pair)} twice in 'pairs'. Remove one.",
                field="pairs",
            )
        seen.add(frozenset(pair))
        if len({key for name in pair for key in kinds.get(name, (name,))}) < len(pair):
            raise Flaw(
                f"policy has the pair {' and '.join(pair)} in 'pairs', and both are the same "
                "label. Remove it, or give a kind more labels.",
                field="pairs",
            )


def check_together(
    keys: Sequence[str], *, alone: Collection[str], forbidden: Pairs, favoured: Pairs
) -> None:
    """Raise Flaw if the policy both wants and forbids a pair, or lets no two labels stand together.

    Args:
        keys: Of a set that has up to two labels a chunk.
        alone: Keys that take no second label.
        forbidden: Pairs that may not stand together.
        favoured: Pairs that the model is told to give.
    """
    for pair in sorted(map(sorted, favoured)):
        lonely = [key for key in pair if key in alone]
        if not lonely and frozenset(pair) not in forbidden:
            continue
        what = f"has {lonely[0]} in 'alone'" if lonely else "forbids this pair in 'forbidden'"
        raise Flaw(
            f"policy {what}, and has the pair {' and '.join(pair)} in 'pairs', by key or by kind. "
            "Remove one of the two.",
            field="alone" if lonely else "forbidden",
        )
    if set(keys) <= set(alone):
        raise Flaw(
            "policy has every label in 'alone', and max_labels = 2. Write max_labels = 1, or take "
            "labels out of 'alone'.",
            field="alone",
        )
