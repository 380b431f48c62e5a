"""Label sets load, refuse what is broken, and decide which labels may stand together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.errors import ConfigurationError
from analysis.labels.label_set import NAME_LANGUAGES, LabelSet
from analysis.labels.tokens import estimate

TEN = LabelSet.load("ten_functions")

SMALL = """
name = "small"
version = "3"
[policy]
max_labels = 2
default = "claim"
alone = ["other"]
[[labels]]
key = "claim"
names = { en = "Claim", ru = "Тезис", fr = "Affirmation", zh = "主张" }
aliases = ["stance"]
definition = "Says what the text stands for."
[[labels]]
key = "other"
names = { en = "Other", ru = "Прочее", fr = "Autre", zh = "其他" }
definition = "Anything else."
"""


def parsed(old: str = "", new: str = "") -> LabelSet:
    """Parse the small set with one passage replaced."""
    assert old in SMALL
    return LabelSet.parse(SMALL.replace(old, new, 1), source="small.toml")


def test_the_ten_labels_stand_in_the_order_of_the_file() -> None:
    """Keys are a contract: these ten, in this order."""
    assert (
        "topic_development",
        "example",
        "lyrical_digression",
        "key_thesis",
        "noise",
        "metaphor_analogy",
        "humour_irony",
        "transition",
        "topic_change",
        "contrast",
    ) == TEN.keys


def test_loading_twice_gives_the_same_object() -> None:
    """A set is read once."""
    assert LabelSet.load("ten_functions") is TEN


def test_available_sets_load() -> None:
    """Every name that is offered can be loaded and carries that name."""
    assert LabelSet.available() == tuple(LabelSet.load(one).name for one in LabelSet.available())


def test_an_unknown_name_names_the_nearest_set() -> None:
    """The message has the value, the nearest name and all allowed ones."""
    with pytest.raises(ConfigurationError) as caught:
        LabelSet.load("ten_function")
    assert (
        "Label set 'ten_function' not found; nearest: ten_functions. Pass one of: ten_functions."
    ) == str(caught.value)


def test_names_exist_in_four_languages() -> None:
    """Names are taken as they stand in the table of the label set."""
    expected = ["Noise (off-topic)", "Шум", "Bruit (hors sujet)", "无关内容"]
    assert expected == [TEN.name_of("noise", language) for language in NAME_LANGUAGES]


@pytest.mark.parametrize(("key", "language"), [("noise", "de"), ("noize", "en")])
def test_unknown_name_requests_are_refused(key: str, language: str) -> None:
    """A label or language that does not exist is named in the error."""
    with pytest.raises(ConfigurationError, match=r"'de'|'noize'"):
        TEN.name_of(key, language)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["example"], True),
        (["noise"], True),
        (["example", "contrast"], True),
        (["contrast", "example"], True),
        ([], False),
        (["exemple"], False),
        (["example", "exemple"], False),
        (["example", "example"], False),
        (["noise", "example"], False),
        (["example", "noise"], False),
        (["example", "contrast", "key_thesis"], False),
    ],
)
def test_allowed_combinations(labels: list[str], expected: bool) -> None:
    """One or two known labels, none repeated, noise only by itself."""
    assert expected == TEN.allows(labels)


@pytest.mark.parametrize(
    "spelling",
    [
        "key_thesis",
        "Key thesis",
        " KEY THESIS ",
        "Ключевой тезис",
        "thèse",
        "Thèse centrale",
        "核心论点",
        "ｋｅｙ＿ｔｈｅｓｉｓ",
    ],
)
def test_spellings_are_understood(spelling: str) -> None:
    """Case, width, spaces and language do not matter when labelled tables are read."""
    assert "key_thesis" == TEN.key_of(spelling)


def test_near_spellings_are_not_guessed() -> None:
    """A spelling that is merely similar stands for nothing."""
    assert TEN.key_of("key thesiss") is None


def test_definitions_are_short() -> None:
    """The ten definitions are sent with every request and stay within 420 tokens."""
    assert sum(estimate(label.definition) for label in TEN.labels) <= 420


def test_small_set_is_read_in_full() -> None:
    """Every field of the file arrives."""
    small = parsed()
    assert ("small", "3", ("claim", "other"), "claim", 2, frozenset({"other"})) == (
        small.name,
        small.version,
        small.keys,
        small.default,
        small.max_labels,
        small.alone,
    )
    assert (("stance",), "Anything else.") == (small.labels[0].aliases, small.labels[1].definition)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (', zh = "主张"', "", "label 'claim' has no name in zh"),
        ('fr = "Autre"', 'fr = ""', "label 'other'"),
        ('key = "other"', 'key = "claim"', "label 'claim' occurs twice"),
        ('default = "claim"', 'default = "clam"', "unknown label 'clam' in 'default'"),
        ('alone = ["other"]', 'alone = ["others"]', "unknown label 'others' in 'alone'"),
        ('alone = ["other"]', 'alone = "other"', "'alone'"),
        ("max_labels = 2", "max_labels = 0", "max_labels"),
        ("max_labels = 2", "max_labels = true", "max_labels"),
        ('version = "3"', "version = 3", "'version'"),
        ('definition = "Anything else."', "", "label 'other' needs 'definition'"),
        ('aliases = ["stance"]', 'aliases = ["Прочее"]', "share 'Прочее'"),
        ("[policy]", "[politics]", "'policy'"),
        ("[policy]", "[policy", "not TOML"),
    ],
)
def test_broken_files_are_refused(old: str, new: str, named: str) -> None:
    """The error names the file and what is wrong in it."""
    with pytest.raises(ConfigurationError) as caught:
        parsed(old, new)
    assert "small.toml" in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Anything else.", "All the rest."),
        ('default = "claim"', 'default = "other"'),
        ("max_labels = 2", "max_labels = 1"),
        ('alone = ["other"]', "alone = []"),
        ('key = "other"', 'key = "rest"\naliases = ["other"]'),
    ],
)
def test_what_can_change_labels_moves_the_digest(old: str, new: str) -> None:
    """Keys, definitions and policy are part of the digest."""
    text = SMALL.replace('["other"]', '["rest"]') if "rest" in new and "key" in new else SMALL
    changed = LabelSet.parse(text.replace(old, new, 1), source="small.toml")
    assert parsed().digest != changed.digest


def test_the_order_of_labels_moves_the_digest() -> None:
    """The model sees the labels in this order."""
    small = parsed()
    assert small.digest != replace(small, labels=small.labels[::-1]).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [('ru = "Тезис"', 'ru = "Утверждение"'), ('["stance"]', "[]"), ('"3"', '"4"')],
)
def test_names_leave_the_digest_alone(old: str, new: str) -> None:
    """A corrected name or alias does not void answers that are paid for."""
    assert parsed().digest == parsed(old, new).digest


def test_the_digest_is_the_same_everywhere() -> None:
    """The digest of the small set is fixed; ledgers hold such values for years."""
    assert 64 == len(TEN.digest)
    assert "bfa2143dc09bcf822cc8664c6ec1d6e9a9873d8511bae05c9d2d1ec208efa184" == parsed().digest
