"""Label sets load, refuse what is broken, and decide which labels may stand together."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from random import Random

import pytest

from analysis.errors import ConfigurationError
from analysis.labels.label_set import NAME_LANGUAGES, LabelSet
from analysis.labels.tokens import estimate
from tests.labels.small_sets import SMALL, THREE, parsed

TEN = LabelSet.load("ten_functions")


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


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("Юмор/ирония/сарказм", "humour_irony"),
        ("ЮМОР  ИЛИ  ИРОНИЯ", "humour_irony"),
        ("Ирония/сарказм", "humour_irony"),
        ("Humor, irony or sarcasm", "humour_irony"),
        ("Humor, irony, or sarcasm", "humour_irony"),
        ("humor/irony/sarcasm", "humour_irony"),
        ("幽默或反讽", "humour_irony"),
        ("幽默、反諷或諷刺", "humour_irony"),
        ("Контраст или противопоставление", "contrast"),
        ("opposition or contrast", "contrast"),
        ("對比或對立", "contrast"),
        ("Аналогия или метафора", "metaphor_analogy"),
        ("analogy or metaphor", "metaphor_analogy"),
        ("隱喻或類比", "metaphor_analogy"),
        ("Связка/переход", "transition"),
        ("過渡銜接", "transition"),
        ("Шум (не по теме)", "noise"),
        ("無關內容", "noise"),
        ("Пример/иллюстрация", "example"),
        ("舉例說明", "example"),
        ("Key thesis / main point", "key_thesis"),
        ("These centrale", "key_thesis"),
        ("核心論點", "key_thesis"),
        ("developpement du sujet", "topic_development"),
        ("主題展開", "topic_development"),
        ("抒情插敘", "lyrical_digression"),
        ("話題轉換", "topic_change"),
        ("DÉVELOPPEMENT DU THÈME", "topic_development"),
        ("主題發展", "topic_development"),
        ("舉例", "example"),
        ("главная мысль", "key_thesis"),
        ("关键论点", "key_thesis"),
        ("офтоп", "noise"),
        ("比喻", "metaphor_analogy"),
        ("對照", "contrast"),
    ],
)
def test_other_ways_to_write_a_name_are_read(spelling: str, key: str) -> None:
    """Parts in another order or fewer of them, no accents, traditional characters."""
    assert key == TEN.resolve(spelling)


@pytest.mark.parametrize(
    "spelling", ["example; noise", "metaphor or irony", "metaphor or simile", "Шум/нерелевантное"]
)
def test_parts_of_two_labels_or_of_none_are_refused(spelling: str) -> None:
    """Two labels in a cell need a separator; half a name that is known is no name."""
    assert None is TEN.key_of(spelling)


def test_an_ambiguous_word_is_no_alias() -> None:
    """In Chinese 论据 is what reasons as well as evidence are called."""
    argument = LabelSet.load("argument")
    assert (None, "reason") == (argument.key_of("论据"), argument.key_of("理由"))


def test_no_label_is_named_as_nearest_without_likeness() -> None:
    """The keys are listed in any case."""
    with pytest.raises(ConfigurationError) as caught:
        TEN.resolve("banana")
    assert str(caught.value).startswith(
        "Label 'banana' is none of the set ten_functions. Write a key (topic_development, example,"
    )


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


def test_a_set_without_pairs_favours_no_two_labels() -> None:
    """It allows them: a model may write them, but nobody suggested them."""
    three = LabelSet.parse(THREE, source="three.toml")
    assert [True, False, True] == [
        three.favours(["a"]),
        three.favours(["a", "b"]),
        three.allows(["a", "b"]),
    ]


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("sci_abstract", ["background", "objective"], True),
        ("sci_abstract", ["result", "background"], False),
        ("intro_moves", ["occupy_purpose", "niche_gap"], True),
        ("intro_moves", ["territory_importance", "territory_knowledge"], False),
        ("argument", ["counter", "rebuttal"], True),
        ("argument", ["claim", "reason"], False),
    ],
)
def test_shipped_sets_tell_pairs_from_doubt(name: str, labels: list[str], expected: bool) -> None:
    """Two functions that one chunk can have are named; labels that are easily confused are not."""
    assert expected == LabelSet.load(name).favours(labels)


def test_every_set_for_two_labels_names_pairs() -> None:
    """Else the route of typed choices could give no second label."""
    found = [LabelSet.load(name) for name in LabelSet.available()]
    assert [one.max_labels == 2 for one in found] == [bool(one.pairs) for one in found]


def test_a_set_says_whether_it_needs_a_topic() -> None:
    """A set that says nothing needs one, so that a forgotten topic is noticed."""
    found = {name: LabelSet.load(name).needs_topic for name in LabelSet.available()}
    assert {"argument", "ten_functions"} == {name for name, needs in found.items() if needs}
    optional = parsed("[policy]", '[policy]\ntopic = "optional"')
    assert [True, False, True] == [
        parsed().needs_topic,
        optional.needs_topic,
        parsed("[policy]", '[policy]\ntopic = "needed"').needs_topic,
    ]
    assert parsed().digest != optional.digest


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


def test_the_document_of_a_shipped_set_is_that_set() -> None:
    """So that an own set can begin with it."""
    for name in LabelSet.available():
        assert LabelSet.load(name) == LabelSet.parse(LabelSet.text_of(name), source="x.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[policy]", '[policy]\nrules = ["Call every chunk noise."]'),
        ('["content", "style"],', ""),
        ('kinds.style = ["metaphor_analogy", ', "kinds.style = ["),
        ("[policy]", '[policy]\nresidual = "noise"'),
        ("[policy]", '[policy]\nresidual = ""'),
        ("[policy]", '[policy]\nforbidden = [["example", "key_thesis"]]'),
        ('default = "topic_development"', 'default = "example"'),
        ('version = "2"', 'version = "9"'),
        ("Не относится к теме", "Относится к теме"),
    ],
)
def test_a_changed_set_cannot_have_the_name_of_a_shipped_one(old: str, new: str) -> None:
    """Its labels would pass for those of the shipped set."""
    text = LabelSet.text_of("ten_functions")
    assert old in text
    changed = text.replace(old, new, 1)
    assert "own" == LabelSet.parse(changed.replace("ten_functions", "own", 1), source="o").name
    with pytest.raises(ConfigurationError, match="line 6: the set calls itself 'ten_functions'"):
        LabelSet.parse(changed, source="x.toml")


def test_names_and_aliases_may_change_in_a_set_with_the_name_of_a_shipped_one() -> None:
    """The model is not told them."""
    text = LabelSet.text_of("ten_functions").replace("Ключевой тезис", "Главная мысль")
    text = text.replace('aliases = ["thesis", ', 'aliases = ["gist", ')
    found = LabelSet.parse(text, source="x.toml")
    assert (TEN.digest, "key_thesis") == (found.digest, found.key_of("gist"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[policy]", '[policy]\nrules = ["Be brief."]'),
        ("[policy]", '[policy]\nresidual = "other"'),
        ("[policy]", '[policy]\nkinds.one = ["claim"]'),
        ("[policy]", '[policy]\ncriterion = "the boldest one"'),
        ("[policy]", '[policy]\ntopic = "optional"'),
        ("[policy]", '[policy]\nforbidden = [["claim", "other"]]'),
        ('alone = ["other"]', 'pairs = [["claim", "other"]]'),
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


def test_spellings_are_all_ways_to_write_a_label() -> None:
    """Keys, names in all languages and aliases, as the file has them."""
    held = TEN.spellings
    assert {"noise", "Noise (off-topic)", "Шум", "hors sujet", "噪声"} <= held
    assert all(TEN.key_of(spelling) for spelling in held)


def test_a_set_in_other_words_is_the_same_set() -> None:
    """In each language that it has, with examples or without; other definitions are another set."""
    told = [TEN, TEN.in_language("fr"), TEN.with_examples(), TEN.in_language("zh").with_examples()]
    assert {one.digest for one in told} < TEN.wordings
    assert 8 == len(TEN.wordings)
    first, *others = TEN.labels
    changed = replace(TEN, labels=(replace(first, definition="Adds more."), *others))
    assert changed.digest not in TEN.wordings
    argument = LabelSet.load("argument")
    assert {argument.digest, argument.with_examples().digest} == argument.wordings


@pytest.mark.parametrize("name", LabelSet.available())
def test_a_relisted_set_has_its_labels_in_other_places_and_says_the_same(name: str) -> None:
    """Whatever the seed; its answers are not taken for those of the set."""
    one = LabelSet.load(name)
    orders = set()
    for seed in range(20):
        other = one.relisted(Random(seed))
        assert sorted(one.keys) == sorted(other.keys)
        assert [] == [key for key, now in zip(one.keys, other.keys, strict=True) if key == now]
        assert one.digest != other.digest
        orders.add(other.keys)
        pairs = permutations(one.keys, 2)
        assert [] == [two for two in pairs if one.favours(two) != other.favours(two)]
    assert len(orders) > 10
    assert one.relisted(Random(1)) == one.relisted(Random(1))
