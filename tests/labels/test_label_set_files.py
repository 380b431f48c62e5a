"""Broken label set files are refused, with the line and what would do."""

from __future__ import annotations

import re

import pytest

from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from tests.labels.small_sets import THREE, parsed

BROKEN = [
    ('fr = "Autre"', 'fr = ""', 15, "label 'other', names, needs a text for 'fr', found \"\""),
    ('key = "other"', 'key = "claim"', 14, "label 'claim' occurs twice. Rename or remove one."),
    ('default = "claim"', 'default = "clam"', 6, "unknown label 'clam' in 'default'; nearest: c"),
    ('alone = ["other"]', 'alone = ["others"]', 7, "unknown label 'others' in 'alone'"),
    ('alone = ["other"]', 'alone = "other"', 7, "a list of texts in 'alone', found \"other\""),
    ("max_labels = 2", "max_labels = 0", 5, "max_labels must be 1 or 2, not 0"),
    ("max_labels = 2", "max_labels = 3", 5, "max_labels must be 1 or 2, not 3"),
    (
        "max_labels = 2",
        "max_labels = true",
        5,
        "'max_labels' (a whole number), found true. Write max_l",
    ),
    ('version = "3"', "version = 3", 3, "'version' (a text), found 3"),
    (
        'version = "3"',
        "",
        1,
        "the set needs 'version' (a text), found nothing. Write version = \"1\".",
    ),
    ('name = "small"', 'name = "Small set"', 2, "the set cannot be called 'Small set'"),
    ('name = "small"', 'name = "argument"', 2, "'argument', as a set of this package does"),
    ('definition = "Anything else."', "", 13, "label 'other' needs 'definition' (a text)"),
    ('definition = "Any', 'defintion = "Any', 16, "'defintion'; nearest: definition. Fields: key"),
    ("Anything else.", "x" * 401, 16, "'other' has 401 characters with its not_this, more"),
    ("Anything else.", "x\\ny", 16, "'other' has a line break or a control character in 'definit"),
    ('aliases = ["stance"]', 'aliases = ["Прочее"]', 15, "'claim' and 'other' share 'Прочее'"),
    (
        'aliases = ["stance"]',
        'aliases = ["?!"]',
        11,
        "label 'claim' has a name without letters: '",
    ),
    (
        'aliases = ["stance"]',
        "aliases = [1]",
        11,
        "label 'claim' needs a list of texts in 'alia",
    ),
    ('zh = "主张" }', 'de = "X" }', 10, "names in the unknown language 'de'. Use en, ru, fr, zh"),
    (
        'key = "other"',
        'key = "Other one"',
        14,
        "the key 'Other one' cannot be used. Write up to 40",
    ),
    (
        'key = "other"',
        'key = "оther"',
        14,
        "the key 'оther' cannot be used: 'о' (CYRILLIC SMALL LETTER O) stands in it. Write",
    ),
    ('key = "other"', f'key = "{"x" * 41}"', 14, "cannot be used. Write up to 40 small Latin"),
    ('key = "other"', "", 13, "label 2 needs 'key' (a text), found nothing"),
    ("[policy]", "[politics]", 4, "unknown field 'politics'; nearest: policy"),
    ("[policy]", 'color = "x"\n[policy]', 4, "the set has the unknown field 'color'"),
    ("[policy]", "[policy]\ncolor = 1", 5, "policy has the unknown field 'color'"),
    ("[policy]", '[policy]\npairs = [["claim"]]', 5, "two different names in 'pairs', found [\"cl"),
    ("[policy]", '[policy]\npairs = [["claim", "kin"]]', 5, "'kin' in 'pairs', which is neither a"),
    (
        "[policy]",
        '[policy]\npairs = [["claim", "other"]]',
        8,
        "has other in 'alone', and has the pair c",
    ),
    ("[policy]", '[policy]\nkinds.one = ["clam"]', 5, "unknown label 'clam' in 'kinds'"),
    ("[policy]", '[policy]\nkinds.other = ["claim"]', 5, "the kind 'other' has the name of a lab"),
    ("[policy]", '[policy]\nforbidden = [["x", "claim"]]', 5, "unknown label 'x' in 'forbidden'"),
    ("[policy]", '[policy]\nresidual = "rest"', 5, "unknown label 'rest' in 'residual'"),
    ("[policy]", '[policy]\nrules = ["a\\nb"]', 5, "a rule must be one line of up to 400"),
    ("[policy]", "[policy", 4, "is not TOML: "),
    ("[policy]", "[policy]\nkinds = 1", 5, "needs a table in 'kinds', found 1. Write kinds.one ="),
    ("[policy]", '[policy]\nkinds.x = "claim"', 5, "list of texts in 'x', found \"claim\". Write"),
    ('alone = ["other"]', "[policy.kinds]\nx = [1]", 8, "needs a list of texts in 'x'"),
    ("[policy]", '[policy]\nkinds."" = ["claim"]', 5, "the kind '' cannot be called so. Write up"),
    ("[policy]", '[policy]\nkinds."a\\nb" = ["claim"]', 5, "the kind 'a\\nb' cannot be called so"),
    ("[policy]", "[policy]\nkinds.x = []", 5, "the kind 'x' has no labels. Name some, or"),
    ("[policy]", '[policy]\nkinds.x = ["claim", "claim"]', 5, "the kind 'x' has 'claim' twice."),
    ("[policy]", '[policy]\npairs = [["claim", "banana"]]', 5, "there are: claim, other. Write a"),
    ("[policy]", '[policy]\ncriterion = " "', 5, "the criterion must be one line of up to 400"),
    ("[policy]", "[policy]\ncriterion = 1", 5, "policy needs a text in 'criterion', found 1"),
    ("[policy]", '[policy]\ntopic = "no"', 5, '"optional" in \'topic\', found "no". Write one'),
    ("[policy]", "[policy]\ntopic = false", 5, "in 'topic', found false. Write one of the two"),
    ("[policy]", '[policy]\nrules = ["\\u200b "]', 5, 'with words in it, found "\\u200b ". W'),
    ("[policy]", f"[policy]\nrules = {['r'] * 11}", 5, "policy has 11 rules; up to 10 can be"),
    ("[policy]", f"[policy]\nrules = ['{'r' * 500}']", 5, f'found "{"r" * 56}.... Write a sent'),
    ('alone = ["other"]', 'alone = ["other", "claim"]', 7, "every label in 'alone', and max_lab"),
    (
        "max_labels = 2",
        'max_labels = 1\npairs = [["claim", "other"]]',
        6,
        "'pairs', and max_labels = 1 lets no chunk have two",
    ),
    (
        'alone = ["other"]',
        'pairs = [["claim", "other"], ["other", "claim"]]',
        7,
        "the pair other and claim twice",
    ),
    (
        'alone = ["other"]',
        'pairs = [["claim", "other"]]\nforbidden = [["other", "claim"]]',
        8,
        "forbids this pair in 'forbidden', and has the pair claim and other in 'pairs'",
    ),
    ('default = "claim"', "", 4, "policy needs 'default' (a text), found nothing. Write default ="),
    ("max_labels = 2", "max_labels = 1979-05-27", 5, "found 1979-05-27. Write max_labels = 1"),
    ('version = "3"', 'version = "3\\u001b[1m"', 3, "the version cannot be '3\\x1b[1m'. Write up"),
    ('version = "3"', 'version = "3 beta"', 3, "the version cannot be '3 beta'"),
    ('version = "3"', f'version = "{"3" * 41}"', 3, "the version cannot be '333"),
    ('name = "small"', f'name = "{"x" * 500}"', 2, f"the set cannot be called '{'x' * 57}...'"),
    ("Anything else.", "\\u200b \\u2060", 16, "'other' has no words in 'definition', found \"\\u2"),
    ('"Anything else."', '"A."\nnot_this = " "', 17, "'other' has no words in 'not_this', found"),
    ('"Anything else."', '"A."\ndefinitions.ru = "?!"', 17, "no words in 'definitions.ru'"),
    (
        '"Anything else."',
        f'"A."\ndefinitions.ru = "{"я" * 401}"',
        17,
        "has 401 characters in 'definitions.ru', more than 400. Shorten it",
    ),
    ('aliases = ["stance"]', 'aliases = ["a\\nb"]', 11, "line break or a control character in"),
    ('version = "3"', f"version = {'[' * 3000}", 3, "is not TOML: Brackets stand in brackets"),
    ("max_labels = 2", f"max_labels = {'{a=' * 3000}", 5, "Brackets stand in brackets more"),
    ("max_labels = 2", f"max_labels = {'1' * 5000}", 5, "is not TOML: A number has too many dig"),
    ("max_labels = 2", f"max_labels = 0x{'f' * 5000}", 5, "not a number of many digits. Write"),
    ('definition = "Anything else."', 'aliases = [\n"a",', 16, "(in what begins in line 16)"),
]


@pytest.mark.parametrize(("old", "new", "line", "named"), BROKEN)
def test_broken_files_are_refused(old: str, new: str, line: int, named: str) -> None:
    """The error names the file, the line, what is wrong there and what would do."""
    with pytest.raises(ConfigurationError) as caught:
        parsed(old, new)
    message = str(caught.value)
    assert message.startswith("Label set file small.toml")
    assert re.search(rf"line {line}\b", message)
    assert named in message


@pytest.mark.parametrize(("count", "is_good"), [(1, False), (2, True), (40, True), (41, False)])
def test_a_set_has_two_to_forty_labels(count: int, is_good: bool) -> None:
    """Fewer are no choice, more make every request dear."""
    head = THREE.partition("[[labels]]")[0].replace('"a"', '"k0"')
    labels = (f'[[labels]]\nkey = "k{i}"\ndefinition = "D."\n' for i in range(count))
    text = head + "".join(labels)
    if is_good:
        assert count == len(LabelSet.parse(text, source="many.toml").keys)
    else:
        with pytest.raises(ConfigurationError, match=f"the set has {count} labels; 2 to 40"):
            LabelSet.parse(text, source="many.toml")
