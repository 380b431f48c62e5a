"""Label sets load, refuse what is broken, and decide which labels may stand together."""

from __future__ import annotations

import re
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

THREE = """
name = "three"
version = "1"
[policy]
max_labels = 2
default = "a"
alone = []
""" + "".join(f'[[labels]]\nkey = "{key}"\ndefinition = "Label {key}."\n' for key in "abc")


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
        "Label set 'ten_function' not found; nearest: ten_functions. Pass one of: argument, "
        "doc_zones, intro_moves, legal_roles, news_schema, sci_abstract, ten_functions, or the "
        "path of a .toml file."
    ) == str(caught.value)


def test_names_exist_in_four_languages() -> None:
    """Names are taken as they stand in the table of the label set."""
    expected = ["Noise (off-topic)", "Шум", "Bruit (hors sujet)", "无关内容"]
    assert expected == [TEN.name_of("noise", language) for language in NAME_LANGUAGES]


def test_shipped_sets_have_all_names_and_short_definitions() -> None:
    """A name in four languages for every label, aliases in each, definitions within 420 tokens."""
    for label_set in map(LabelSet.load, LabelSet.available()):
        assert [()] * 4 == [label_set.unnamed(language) for language in NAME_LANGUAGES]
        assert sum(estimate(label.told) for label in label_set.labels) <= 420
        assert all(label.aliases for label in label_set.labels)


def test_a_label_without_name_has_its_english_one_or_its_key() -> None:
    """And the set says which labels those are."""
    small = parsed(', ru = "Тезис", fr = "Affirmation", zh = "主张"', "")
    assert ("Claim", "Прочее") == (small.name_of("claim", "ru"), small.name_of("other", "ru"))
    assert (("claim",), ()) == (small.unnamed("ru"), small.unnamed("en"))
    bare = parsed('names = { en = "Claim", ru = "Тезис", fr = "Affirmation", zh = "主张" }', "")
    assert ("claim", ("claim",)) == (bare.name_of("claim", "en"), bare.unnamed("en"))


@pytest.mark.parametrize("language", ["ru", "fr", "zh"])
def test_definitions_in_other_languages_point_to_the_same_labels(language: str) -> None:
    """Each names the keys that the English one names, and no other."""
    translated = TEN.in_language(language)
    for english, other in zip(TEN.labels, translated.labels, strict=True):
        assert keys_in(english.told) == keys_in(other.told), english.key
    assert (TEN.keys, language) == (translated.keys, translated.definition_language)


def keys_in(text: str) -> set[str]:
    """Return the keys of labels that a definition names; `example` and others are words, too."""
    return {key for key in TEN.keys if "_" in key and key in text}


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
        "key-thesis",
    ],
)
def test_spellings_are_understood(spelling: str) -> None:
    """Case, width, spaces and language do not matter when labelled tables are read."""
    assert "key_thesis" == TEN.key_of(spelling)


@pytest.mark.parametrize(
    "spelling",
    [
        "Metaphor or analogy",
        "metaphor/analogy",
        "Metaphor / Analogy",
        "Метафора или аналогия",
        "метафора/аналогия",
        "Метафора либо аналогия",
        "Métaphore ou analogie",
        "MÉTAPHORE/ANALOGIE",
        "Me\u0301taphore, analogie",
        "隐喻或类比",
        "隐喻/类比",
        "隐喻、类比",
    ],
)
def test_a_slash_stands_for_the_word_or(spelling: str) -> None:
    """In the four languages; accents may be written in either of two forms."""
    assert "metaphor_analogy" == TEN.resolve(spelling)


def test_every_name_and_alias_is_resolved_in_capitals_and_with_yo() -> None:
    """Of every shipped set."""
    for label_set in map(LabelSet.load, LabelSet.available()):
        for label in label_set.labels:
            for spelling in (label.key, *label.names.values(), *label.aliases):
                for written in (spelling, spelling.upper(), spelling.replace("е", "ё")):
                    assert label.key == label_set.resolve(written)


def test_near_spellings_are_not_guessed() -> None:
    """A spelling that is merely similar stands for nothing; the nearest label is named."""
    assert TEN.key_of("key thesiss") is None
    with pytest.raises(ConfigurationError) as caught:
        TEN.resolve("ключевой тезиз")
    assert str(caught.value).startswith(
        "Label 'ключевой тезиз' is none of the set ten_functions; nearest: key_thesis. Write a key "
        "(topic_development, example, "
    )


@pytest.mark.parametrize("spelling", ["", " ", "/", "или", "🙂"])
def test_nothing_stands_for_no_label(spelling: str) -> None:
    """A cell without letters is refused like any other unknown label."""
    with pytest.raises(ConfigurationError, match="is none of the set ten_functions"):
        TEN.resolve(spelling)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["example"], True),
        (["humour_irony", "example"], True),
        (["example", "contrast"], True),
        (["topic_change", "transition"], True),
        (["humour_irony", "metaphor_analogy"], True),
        (["key_thesis", "topic_development"], False),
        (["transition", "example"], False),
        (["noise", "example"], False),
    ],
)
def test_favoured_combinations(labels: list[str], expected: bool) -> None:
    """Pairs that the policy names, directly or by kinds, in either order."""
    assert expected == TEN.favours(labels)


def test_a_set_without_pairs_favours_what_it_allows() -> None:
    """Nothing is said against any of them."""
    assert LabelSet.load("sci_abstract").favours(["objective", "background"])
    assert not LabelSet.load("sci_abstract").favours(["objective", "other"])


def test_a_forbidden_pair_is_not_allowed_in_either_order() -> None:
    """Each of the two may stand alone or with another label."""
    three = THREE.replace("alone = []", 'alone = []\nforbidden = [["b", "a"]]')
    found = LabelSet.parse(three, source="three.toml")
    pairs = [["a", "b"], ["b", "a"], ["a"], ["b"], ["a", "c"], ["c", "b"]]
    assert [False, False, True, True, True, True] == [found.allows(pair) for pair in pairs]
    assert found.digest != LabelSet.parse(THREE, source="three.toml").digest


def test_definitions_of_a_language_are_taken_by_option_only() -> None:
    """All labels need one; the set says which language it is, and its digest is another one."""
    text = THREE
    for key in "abc":
        addition = f'definitions = {{ ru = "Метка {key}." }}'
        text = text.replace(f'definition = "Label {key}."', f'definition = "L {key}."\n{addition}')
    found = LabelSet.parse(text, source="three.toml")
    russian = found.in_language("ru")
    assert ["L a.", "L b.", "L c."] == [label.told for label in found.labels]
    assert ["Метка a.", "Метка b.", "Метка c."] == [label.told for label in russian.labels]
    assert ("en", "ru") == (found.definition_language, russian.definition_language)
    assert found.digest != russian.digest
    assert found.in_language("en") is found
    with pytest.raises(ConfigurationError, match="no definitions in 'fr' for a, b, c"):
        found.in_language("fr")
    with pytest.raises(ConfigurationError, match="'de'"):
        found.in_language("de")


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


BROKEN = [
    ('fr = "Autre"', 'fr = ""', 15, "label 'other', names, needs a text for 'fr', found ''"),
    ('key = "other"', 'key = "claim"', 14, "label 'claim' occurs twice. Rename or remove one."),
    ('default = "claim"', 'default = "clam"', 6, "unknown label 'clam' in 'default'; nearest: c"),
    ('alone = ["other"]', 'alone = ["others"]', 7, "unknown label 'others' in 'alone'"),
    ('alone = ["other"]', 'alone = "other"', 7, "a list of texts in 'alone', found 'other'"),
    ("max_labels = 2", "max_labels = 0", 5, "max_labels must be 1 or 2, not 0"),
    ("max_labels = 2", "max_labels = 3", 5, "max_labels must be 1 or 2, not 3"),
    ("max_labels = 2", "max_labels = true", 5, "'max_labels' (a whole number), found True"),
    ('version = "3"', "version = 3", 3, "'version' (a text), found 3"),
    ('version = "3"', "", 1, "the set needs 'version' (a text), found nothing"),
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
    ('key = "other"', f'key = "{"x" * 41}"', 14, "cannot be used. Write up to 40 small Latin"),
    ('key = "other"', "", 13, "label 2 needs 'key' (a text), found nothing"),
    ("[policy]", "[politics]", 4, "unknown field 'politics'; nearest: policy"),
    ("[policy]", 'color = "x"\n[policy]', 4, "the set has the unknown field 'color'"),
    ("[policy]", "[policy]\ncolor = 1", 5, "policy has the unknown field 'color'"),
    ("[policy]", '[policy]\npairs = [["claim"]]', 5, "two different names in 'pairs', found ['cl"),
    ("[policy]", '[policy]\npairs = [["claim", "kin"]]', 5, "'kin' in 'pairs', which is neither a"),
    ("[policy]", '[policy]\npairs = [["claim", "other"]]', 5, "forbids it elsewhere. Remove one"),
    ("[policy]", '[policy]\nkinds.one = ["clam"]', 5, "unknown label 'clam' in 'kinds'"),
    ("[policy]", '[policy]\nkinds.other = ["claim"]', 5, "the kind 'other' has the name of a lab"),
    ("[policy]", '[policy]\nforbidden = [["x", "claim"]]', 5, "unknown label 'x' in 'forbidden'"),
    ("[policy]", '[policy]\nresidual = "rest"', 5, "unknown label 'rest' in 'residual'"),
    ("[policy]", '[policy]\nrules = ["a\\nb"]', 5, "a rule must be one line of up to 400"),
    ("[policy]", "[policy", 4, "is not TOML: "),
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


def test_the_document_of_a_shipped_set_is_that_set() -> None:
    """So that an own set can begin with it."""
    for name in LabelSet.available():
        assert LabelSet.load(name) == LabelSet.parse(LabelSet.text_of(name), source="x.toml")


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
