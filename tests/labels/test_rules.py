"""The rule labeller gives a label only on clear evidence, the same one every time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.labels.rules import DEFAULT, Rules, has_rules, label_texts, places_in

TEN = LabelSet.load("ten_functions")
SCI = LabelSet.load("sci_abstract")
WITHOUT_RULES = sorted(set(LabelSet.available()) - {TEN.name, SCI.name})

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


NEGATED = [
    ("en", "The new ovens are not like a bakery oven in their use of steam."),
    ("en", "This loaf is not an example that a baker would follow."),
    ("fr", "Ce tas n'est pas un exemple à suivre pour un petit jardin."),
    ("fr", "Le bac n'est pas un peu comme une cave, il est plus sec."),
    ("ru", "Поводок не похож на ремень, он тоньше и длиннее."),
    ("ru", "Это не хороший пример для щенка."),
    ("zh", "坛子并不好比一座小城。"),
    ("zh", "这不像一只坛子。"),
]


@pytest.mark.parametrize(("language", "text"), NEGATED)
def test_negated_cues_do_not_count(language: str, text: str) -> None:
    """What a text denies to be, it is not labelled as."""
    assert DEFAULT == label_of(text, language=language)


SPOKEN_OF = [
    ("en", 'The words "for example" stand twice on the page.'),
    ("en", "Editors strike out “in short” wherever it occurs."),
    ("fr", "Le mot « par exemple » est de trop dans cette phrase."),
    ("fr", "Il écrit «en somme» à chaque page."),
    ("ru", "Слово «например» выделяют запятыми."),
    ("ru", "Оборот «короче говоря» встречается трижды."),
    ("zh", "“例如”二字写得太多。"),
    ("zh", "句中的「总之」可以删去。"),
]


@pytest.mark.parametrize(("language", "text"), SPOKEN_OF)
def test_cues_that_are_spoken_of_do_not_count(language: str, text: str) -> None:
    """A cue in quotation marks of its own is a word that the text is about."""
    assert DEFAULT == label_of(text, language=language)


@pytest.mark.parametrize(
    "text",
    [
        "“Suppose he comes,” she said.",
        "— Возьмите это письмо.",
        "– Regardez cette image.",
        "「但他不来。」",
    ],
)
def test_speech_of_persons_opens_no_label(text: str) -> None:
    """An opening cue counts where the text itself begins, not a person's speech."""
    assert DEFAULT == label_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Resubscribed toads are rare in the metaphysics of ponds.",
        "L'exemplaire est rare, et sa reliure est sombre.",
        "Сравнимость этих печей проверили весной.",
        "按惯例如此办理。",
        "两种坛子的对比如下表所示。",
        "双方互相反对。",
        "但丁写过这座城。",
        "味道自然而然就出来了。",
    ],
)
def test_cues_inside_other_words_do_not_count(text: str) -> None:
    """Letters of a cue within another word, or characters that meet by chance, are no cue."""
    assert DEFAULT == label_of(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("example", "Ｆｏｒ　ｅｘａｍｐｌｅ， rye ferments in four hours."),
        ("example", "例如，四川人家里常备两个坛子。"),
        ("example", "例如,四川人家里常备两个坛子。"),
        ("contrast", "超市的泡菜三天就好,而家里的泡菜则要等上一个月。"),
        ("key_thesis", "Ｉｎ ｓｈｏｒｔ, time decides."),
        ("example", "Напри\u00adмер, овчарка выучила команды."),
    ],
)
def test_width_and_invisible_signs_do_not_matter(expected: str, text: str) -> None:
    """Full-width letters, either kind of comma and soft hyphens are read alike."""
    assert expected == label_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "However, the second oven stayed cold all night.",
        "By contrast, rye is ready in four hours.",
        "Однако овчарка ждёт приказа.",
        "Но терьер решает сам.",
        "En revanche, le tas chaud demande trois mois.",
        "但是家里的泡菜要等一个月。",
        "不过酸味来得慢。",
    ],
)
def test_a_short_text_that_opens_against_the_one_before_is_contrast(text: str) -> None:
    """The connective recalls the other side."""
    assert "contrast" == label_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "However hard he tried, the oven stayed cold.",
        "However, is the oven cold?",
        "Whereas the guild has met, it is resolved that the oven be lit.",
        "Но где же овчарка?",
        "不过是一坛泡菜。",
        "但愿酸味来得快。",
        "但酸味来了吗？",
        "Il dort tandis que la pluie tombe.",
    ],
)
def test_look_alikes_of_contrast_get_the_default(text: str) -> None:
    """Questions, recitals, wishes and mere simultaneity oppose nothing."""
    assert DEFAULT == label_of(text)


def test_an_opening_does_not_make_a_page_a_contrast() -> None:
    """In a long text the connective is one of many turns."""
    text = "However, the second oven stayed cold all night. "
    assert ["contrast", DEFAULT] == [label_of(text), label_of(text + PLAIN["en"] * 5)]


@pytest.mark.parametrize("name", WITHOUT_RULES)
def test_a_set_without_rules_gets_its_default(name: str) -> None:
    """Labels that no rule knows are not guessed."""
    label_set = LabelSet.load(name)
    texts = [text for _, text in CLEAR]
    assert not has_rules(label_set)
    assert [(label_set.default,)] * len(texts) == label_texts(texts, label_set=label_set)


def test_the_two_sets_with_rules_say_so() -> None:
    """A run asks before it tells the user what to expect."""
    assert [True, True] == [has_rules(TEN), has_rules(SCI)]


def test_the_set_of_ten_is_the_one_without_a_name() -> None:
    """Callers that know no set get the labels of `ten_functions`."""
    texts = [text for _, text in CLEAR]
    assert label_texts(texts) == label_texts(texts, label_set=TEN)


def test_sentences_of_an_abstract_get_labels_of_their_set() -> None:
    """With the set `sci_abstract` the cues and places of abstracts decide."""
    texts = [
        "Bread staling is one of the oldest problems of bakeries.",
        "The aim of this study was to compare two flours.",
        "Loaves were measured daily for two weeks.",
        "The second flour kept 12% more water (p < 0.01).",
        "These results suggest that storage should be rethought.",
    ]
    expected = [("background",), ("objective",), ("method",), ("result",), ("conclusion",)]
    places = places_in("1-5 of 5", 5)
    assert expected == label_texts(texts, label_set=SCI, positions=places)


def test_positions_must_fit_the_texts() -> None:
    """Places that belong to other texts would label them wrong."""
    with pytest.raises(ValueError, match="2 texts need as many positions, not 1"):
        label_texts(["a", "b"], label_set=SCI, positions=[0.0])


@pytest.mark.parametrize(
    ("position", "count", "expected"),
    [
        ("1-5 of 5", 5, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("2-3 of 5", 2, [0.25, 0.5]),
        ("4 of 5", 1, [0.75]),
        ("1 of 1", 1, [0.0]),
        ("1-5 of 5", 3, [0.0, 0.5, 1.0]),
        ("1-5", 2, [None, None]),
        (None, 2, [None, None]),
        ("", 1, [None]),
        ("7-5 of 9", 1, [None]),
        ("2-9 of 5", 1, [None]),
        ("0 of 5", 1, [None]),
        ("first of many", 1, [None]),
        ("1-5 of 5", 0, []),
    ],
)
def test_places_come_from_the_position_of_a_request(
    position: str | None, count: int, expected: list[float | None]
) -> None:
    """Chunks are spread over their span; what is unknown or makes no sense is None."""
    assert expected == places_in(position, count)


@given(st.text(max_size=20) | st.from_regex(r"\A\d{1,10}(-\d{1,10})?( of \d{1,10})?\Z"))
def test_places_stay_within_the_document(position: str) -> None:
    """Whatever the position says, a place is None or between the ends."""
    places = places_in(position, 3)
    assert [True] * 3 == [place is None or 0.0 <= place <= 1.0 for place in places]


@given(
    st.lists(st.text(max_size=200), max_size=4),
    st.sampled_from(LabelSet.available()),
    st.sampled_from(["auto", "en", "fr", "ru", "zh"]),
    st.none() | st.floats(0.0, 1.0),
)
def test_any_text_gets_labels_of_any_set(
    texts: list[str], name: str, language: str, place: float | None
) -> None:
    """No text, set, language or place makes a label that the set does not allow."""
    label_set = LabelSet.load(name)
    places = [place] * len(texts)
    found = label_texts(texts, None, language, label_set=label_set, positions=places)
    assert [True] * len(texts) == [label_set.allows(labels) for labels in found]
    assert found == label_texts(texts, None, language, label_set=label_set, positions=places)


def test_texts_that_nearly_match_everywhere_are_labelled() -> None:
    """Patterns have bounded backtracking: dense cues and unfinished ones come to an end."""
    rng = random.Random(1)
    words = ["not", "for", "example", "one", "other", "like", "a", "who", "in", ";", "while"]
    dense = [
        " ".join(rng.choices(words, k=450)),
        "但而则却" * 190,
        "не, а " * 390,
        "d'un côté " * 230,
    ]
    assert [True] * 4 == [TEN.allows(labels) for labels in label_texts(dense)]
    long = [text * 50 for text in dense]
    assert [True] * 4 == [SCI.allows(labels) for labels in label_texts(long, label_set=SCI)]


def test_rules_look_at_the_place_where_they_are_told_one() -> None:
    """As the offline route and the local service call them."""
    rules = Rules(label_set=LabelSet.load("sci_abstract"), language="en")
    texts = ["Nothing in it tells what it does.", "Nor here."]
    first, last = (rules.label_placed(texts, "t", place) for place in ("1-2 of 10", "9-10 of 10"))
    assert [("background",)] * 2 == first
    assert first != last
    assert rules.label(texts, "t") == rules.label_placed(texts, "t", None)
