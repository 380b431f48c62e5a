"""The rule labeller gives a label only on clear evidence, the same one every time."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import ConfigurationError
from analysis.labels.label_set import NAME_LANGUAGES, LabelSet
from analysis.labels.rules import DEFAULT, detect_language, label_texts

TEN = LabelSet.load("ten_functions")

PLAIN = {
    "en": "Hard flour absorbs more water, so the dough stays slack for the first hour.",
    "ru": "Щенку нужно спать до восемнадцати часов в сутки, иначе он плохо учится.",
    "fr": "Les matières brunes apportent du carbone et gardent le tas au sec.",
    "zh": "发酵初期产生的气体较多，坛口要留出空间。",
}

CLEAR = [
    ("example", "Rye is a case in point: it ferments in four hours and collapses in six."),
    ("example", "Например, овчарка моего соседа выучила двенадцать команд за лето."),
    ("example", "À Lille, une école a réduit ses déchets de moitié en installant trois bacs."),
    ("example", "比如，四川人家里常备两个坛子，一个养老水，一个泡新菜。"),
    ("key_thesis", "In short, bread is decided by time and not by tools."),
    ("key_thesis", "Собаку воспитывает не голос, а последовательность."),
    ("key_thesis", "Au fond, composter revient à ne rien jeter."),
    ("key_thesis", "说到底，好泡菜靠的是耐心。"),
    ("contrast", "A gas oven heats from below, whereas an electric one heats from all sides."),
    ("contrast", "Терьер решает сам, тогда как овчарка ждёт приказа."),
    ("contrast", "Le tas froid demande un an, tandis que le tas chaud demande trois mois."),
    ("contrast", "超市的泡菜三天就好，而家里的泡菜则要等上一个月。"),
    ("metaphor_analogy", "A starter is like an old car: it needs the same person every morning."),
    ("metaphor_analogy", "Поводок похож на телефонный провод: по нему идёт разговор."),
    ("metaphor_analogy", "Retourner le tas, c'est un peu comme remuer la soupe."),
    ("metaphor_analogy", "坛子好比一座小城，细菌是里面的居民。"),
    ("humour_irony", "The ministry, in its infinite wisdom, banned ovens above room temperature."),
    ("humour_irony", "Порода, разумеется, охотничья: охотится исключительно на тапки."),
    ("humour_irony", "La commune a ouvert, en grande pompe, un bac de trente litres."),
    ("humour_irony", "把发酵说明印成小字，设计果然高明。"),
    ("lyrical_digression", "I can still smell that kitchen, flour on the sill and snow outside."),
    ("lyrical_digression", "Я до сих пор помню, как пахла шерсть нашего пса после дождя."),
    ("lyrical_digression", "Je me souviens du potager et de l'odeur des tomates le soir."),
    ("lyrical_digression", "我还记得外婆揭开坛盖的那个下午，酸香漫过整个院子。"),
    ("transition", "We have looked at flour. The next question is water."),
    ("transition", "Перейдём от теории к прогулкам."),
    ("transition", "Passons maintenant à la question de l'eau."),
    ("transition", "接下来看看容器的选择。"),
    ("topic_change", "On a separate matter, the town library has changed its hours again."),
    ("topic_change", "Оставим собак в покое и поговорим о налогах."),
    ("topic_change", "Changeons de sujet : que devient le marché couvert ?"),
    ("topic_change", "换个话题，说说小区门口的快递柜。"),
    ("noise", "Sign up for our newsletter and save on your first delivery."),
    ("noise", "Купите корм со скидкой! Доставка по городу бесплатно."),
    ("noise", "Page 7 | Tous droits réservés | Plan du site"),
    ("noise", "扫码加入会员，首单立减十元。"),
    ("noise", "https://example.org/a?b=1 www.example.org info@example.org"),
]


def label_of(text: str, topic: str | None = None, language: str = "auto") -> str:
    """Return the primary label of one text."""
    ((primary, *_),) = label_texts([text], topic, language)
    return primary


@pytest.mark.parametrize(("expected", "text"), CLEAR)
def test_clear_cues_give_their_label(expected: str, text: str) -> None:
    """Each label is found in each language where its cues are plain."""
    assert expected == label_of(text)


@pytest.mark.parametrize("text", PLAIN.values())
def test_plain_prose_gets_the_default(text: str) -> None:
    """Without evidence the label is topic_development."""
    assert [(DEFAULT,)] == label_texts([text])


@pytest.mark.parametrize("text", ["", "   ", "14", "—", "Αθήνα", "\ud800", "Chapter One", "3.2"])
def test_headings_numbers_and_odd_texts_get_the_default(text: str) -> None:
    """Texts that say nothing about their function are not called noise."""
    assert DEFAULT == label_of(text)


def test_default_is_that_of_the_label_set() -> None:
    """The labeller falls back to what the label set falls back to."""
    assert TEN.default == DEFAULT


@pytest.mark.parametrize(
    "text",
    [
        "The seller would like a receipt for each of the boxes.",
        "But the dough was dry and the oven was cold.",
        "Forensics is a field of its own.",
        "Instances of this error are rare in small ovens.",
        "Он напримерно описал порядок работы печи.",
    ],
)
def test_near_misses_get_the_default(text: str) -> None:
    """Cues count as whole words, and a bare "but" is no contrast."""
    assert DEFAULT == label_of(text)


def test_one_cue_does_not_label_a_long_text() -> None:
    """The longer a text, the more evidence it needs: one comparison does not carry a page."""
    cue = "A starter is like an old car. "
    assert ["metaphor_analogy", DEFAULT] == [label_of(cue), label_of(cue + PLAIN["en"] * 12)]


def test_several_cues_label_a_longer_text() -> None:
    """Evidence that is spread over a longer text adds up."""
    text = "For example, rye ferments early. " + PLAIN["en"] * 5 + " For instance, wheat is late."
    assert "example" == label_of(text)


def test_spelling_variants_count_the_same() -> None:
    """Case, ё, curly apostrophes and line breaks do not matter."""
    variants = ["L'ESSENTIEL EST\nde finir.", "l’essentiel   est de finir."]
    assert ["key_thesis"] * 2 == [label_of(text, language="fr") for text in variants]
    assert ["transition"] * 2 == [label_of(f"Пойд{sign}м дальше.") for sign in "её"]


def test_a_text_about_the_topic_needs_more_to_be_noise() -> None:
    """A single cue of advertising is no noise when the text speaks about the topic."""
    text = "Every newsletter of the guild speaks of grain."
    assert ["noise", DEFAULT] == [label_of(text), label_of(text, topic="The price of grain")]
    chinese = "广告里的优惠不等于省钱。"
    assert ["noise", DEFAULT] == [label_of(chinese), label_of(chinese, topic="广告与消费")]


def test_two_clear_functions_give_a_pair() -> None:
    """Irony carried by a comparison gets both labels, irony first."""
    text = "Surprise, surprise: the new oven is like a fridge with ambitions."
    assert [("humour_irony", "metaphor_analogy")] == label_texts([text])


def test_noise_takes_no_second_label() -> None:
    """Noise stands alone even where other cues are present."""
    text = "For example, click here: all rights reserved."
    assert [("noise",)] == label_texts([text])


def test_neighbours_and_order_do_not_matter() -> None:
    """A label is a function of the text: any order gives the same labels."""
    texts = [text for _, text in CLEAR]
    assert label_texts(texts)[::-1] == label_texts(texts[::-1])


@pytest.mark.parametrize(("language", "text"), PLAIN.items())
def test_languages_are_told_apart(language: str, text: str) -> None:
    """The language is detected for each text."""
    assert language == detect_language(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("zh", "使用 Python 编写的程序"),
        ("ru", "Программа на Python работает"),
        ("fr", "Il est sur la table"),
        ("en", "It was a café on the corner"),
        ("en", "12345"),
    ],
)
def test_mixed_texts_go_to_the_language_that_prevails(expected: str, text: str) -> None:
    """Single foreign words do not change the language of a text."""
    assert expected == detect_language(text)


def test_a_given_language_is_used() -> None:
    """Cues of another language do not count when the language is given."""
    text = "Par exemple, le pain."
    assert ["example", DEFAULT] == [label_of(text), label_of(text, language="en")]


def test_an_unknown_language_is_refused() -> None:
    """The message has the value and the allowed ones."""
    with pytest.raises(ConfigurationError, match=r"'de'.*auto, en, ru, fr, zh"):
        label_texts(["a"], language="de")


@given(st.lists(st.text(max_size=300), max_size=5), st.none() | st.text(max_size=30))
def test_any_text_gets_allowed_labels(texts: list[str], topic: str | None) -> None:
    """Whatever the texts, there is one allowed answer for each."""
    labels = label_texts(texts, topic)
    assert [True] * len(texts) == [TEN.allows(one) for one in labels]


@given(st.lists(st.sampled_from([text for _, text in CLEAR]), min_size=2, max_size=4))
def test_joined_texts_get_allowed_labels(parts: list[str]) -> None:
    """Texts full of cues of all kinds still get labels that are allowed together."""
    (labels,) = label_texts([" ".join(parts)])
    assert TEN.allows(labels)


@pytest.mark.parametrize("language", NAME_LANGUAGES)
def test_cue_lists_are_written_as_texts_are_compared(language: str) -> None:
    """A cue with a capital, ё, a curly apostrophe or double spaces could never match."""
    file = resources.files("analysis.labels") / "cues" / f"{language}.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    assert set(TEN.keys) - {DEFAULT} == set(tables)
    wrong = []
    for table in tables.values():
        groups = [table[key] for key in table if key not in ("weak", "cased")]
        for cue in [cue for group in [*groups, *table.get("weak", [])] for cue in group]:
            if cue != cue.lower() or any(sign in cue for sign in ("ё", "’", "  ", "~")):
                wrong.append(cue)
            if cue.count(" .. ") > 1 or cue.count("(") != cue.count(")") or not cue.strip():
                wrong.append(cue)
    assert [] == wrong
