"""Sentences of abstracts are labelled by headings, places and cues."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.abstract_rules import LABELS, label_abstract
from analysis.labels.label_set import LabelSet

SCI = LabelSet.load("sci_abstract")


def label_of(text: str, position: float | None = None, language: str = "auto") -> str:
    """Return the label of one sentence."""
    (label,) = label_abstract(text, position=position, language=language, default=SCI.default)
    return label


def test_labels_are_those_of_the_set() -> None:
    """The rules know the set that they are for."""
    assert set(SCI.keys) == LABELS


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("background", "Background: Bread is stale after two days."),
        ("method", "METHODS: Loaves were weighed."),
        ("conclusion", "Conclusions: Bread keeps."),
        ("objective", "Objectif : comparer deux farines."),
        ("result", "Результаты: хлеб сохнет медленнее."),
        ("method", "【方法】随机分为两组。".strip("【").replace("】", "：")),
        ("conclusion", "结论：面包可以保存更久。"),
    ],
)
@pytest.mark.parametrize("position", [None, 0.0, 1.0])
def test_a_heading_decides_wherever_it_stands(
    expected: str, text: str, position: float | None
) -> None:
    """Authors of structured abstracts say what a part does."""
    assert expected == label_of(text, position)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("objective", "The aim of this study was to compare two flours."),
        ("method", "Loaves were randomly assigned to two ovens."),
        ("result", "There was no difference between the flours (p = 0.4)."),
        ("conclusion", "In conclusion, these findings suggest a longer storage."),
        ("other", "© 2014 The Guild. All rights reserved."),
        ("objective", "L'objectif de cette étude est de comparer deux farines."),
        ("result", "Установлено, что хлеб сохнет достоверно медленнее."),
        ("result", "结果表明，第二种面粉的含水量显著高于第一种。"),
    ],
)
def test_cues_decide_where_the_place_is_unknown(expected: str, text: str) -> None:
    """A clear phrase is enough."""
    assert expected == label_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Moisture rose by 4.2 points.",
        "Le taux d'humidité a diminué de 4,2 points.",
        "Влажность выросла на 4,2 пункта.",
        "含水量提高了4.2个百分点。",
    ],
)
def test_a_measured_change_is_a_result(text: str) -> None:
    """A figure and its direction say what was found."""
    assert "result" == label_of(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("conclusion", "These findings show that flour matters less than time."),
        ("conclusion", "These data support a longer storage."),
        ("result", "The results show that rye keeps longer."),
        ("conclusion", "Ces résultats montrent que le temps compte plus que la farine."),
        ("result", "Les résultats montrent que le seigle se conserve plus longtemps."),
        ("conclusion", "Эти результаты показывают, что время важнее муки."),
        ("conclusion", "Полученные данные свидетельствуют о пользе долгого хранения."),
        ("result", "Результаты опытов показали, что рожь хранится дольше."),
        ("conclusion", "这些结果表明，时间比面粉更要紧。"),
        ("conclusion", "上述发现提示，面包可以保存更久。"),
        ("result", "实验结果表明，黑麦面包保存得更久。"),
    ],
)
def test_what_these_results_show_is_a_conclusion(expected: str, text: str) -> None:
    """They have been told before, and now their meaning follows; "the results" are told here."""
    assert expected == label_of(text)


@pytest.mark.parametrize("text", ["", "  ", "Loaves.", "面包。", "42"])
def test_without_place_and_cue_there_is_the_default(text: str) -> None:
    """Nothing is guessed."""
    assert SCI.default == label_of(text)


@pytest.mark.parametrize(
    ("expected", "position"),
    [("background", 0.0), ("background", 0.2), ("method", 0.5), ("conclusion", 1.0)],
)
def test_the_place_decides_where_there_is_no_cue(expected: str, position: float) -> None:
    """Abstracts go from what was known to what it means."""
    assert expected == label_of("Loaves.", position)


def test_a_cue_beats_the_usual_label_of_a_place() -> None:
    """An abstract may begin with its aim."""
    text = "We aimed to determine whether rye keeps longer than wheat."
    assert ["objective", "objective"] == [label_of(text, place) for place in (0.0, 0.3)]


def test_denied_cues_do_not_count() -> None:
    """What was not done is no method."""
    assert SCI.default == label_of("Not randomized loaves.", language="en")


@pytest.mark.parametrize("position", [-1.0, 2.0, float("inf")])
def test_places_outside_of_the_document_are_its_ends(position: float) -> None:
    """A wrong place is no reason to stop."""
    assert label_of("Loaves.", min(1.0, max(0.0, position))) == label_of("Loaves.", position)


@given(st.text(max_size=200), st.none() | st.floats(0.0, 1.0))
def test_any_text_gets_a_label_of_the_set(text: str, position: float | None) -> None:
    """Always one, and always the same."""
    label = label_of(text, position)
    assert (True, label) == (label in SCI.keys, label_of(text, position))


def test_the_cue_file_is_complete() -> None:
    """Six zones for each label, and lists named by their points in each language."""
    file = resources.files("analysis.labels") / "cues" / "sci_abstract.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    assert {"places", "en", "fr", "ru", "zh"} == set(tables)
    assert dict.fromkeys(LABELS, 6) == {
        label: len(points) for label, points in tables["places"].items()
    }
    for language in ("en", "fr", "ru", "zh"):
        assert set(tables[language]) == LABELS
        names = {name for table in tables[language].values() for name in table}
        assert names <= {"heading", "1", "2", "4", "6"}
        cues = [c for table in tables[language].values() for group in table.values() for c in group]
        assert [] == [cue for cue in cues if cue != cue.lower() or cue.count("(") != cue.count(")")]
