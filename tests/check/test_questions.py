"""Questions are selected by their numbers, and an answer is a value."""

from __future__ import annotations

import pytest

from analysis.check.live import QUESTIONS
from analysis.check.questions import Answer, Heard, Question, select
from analysis.check.wires import Wires
from analysis.errors import ConfigurationError


def numbers(wanted: str | None) -> list[str]:
    """Return the numbers that are selected."""
    return [question.number for question in select(QUESTIONS, wanted)]


@pytest.mark.parametrize("wanted", [None, "", " , "])
def test_without_numbers_all_are_wanted(wanted: str | None) -> None:
    """In the order of the notes."""
    expected = ["12.1", "12.2a", "12.2b", "12.2c", "12.2d", "12.2e", "12.3", "12.4a", "12.4b"]
    expected += ["12.5", "12.6", "12.7", "D.1", "D.2", "D.3", "D.4", "D.4w", "D.5", "D.6", "D.7"]
    assert [*expected, "D.8", "D.9", "D.10"] == numbers(wanted)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("12.1", ["12.1"]),
        ("d.4, 12.1", ["12.1", "D.4"]),
        ("12.4", ["12.4a", "12.4b"]),
        ("12.2c,12.2a", ["12.2a", "12.2c"]),
        ("D.1", ["D.1"]),
    ],
)
def test_a_number_stands_for_itself_or_its_parts(wanted: str, expected: list[str]) -> None:
    """Their order is that of the notes, whatever was typed."""
    assert expected == numbers(wanted)


def test_a_section_stands_for_all_of_it() -> None:
    """Those on decisions have a letter."""
    assert all(number.startswith("D.") for number in numbers("D"))
    assert 12 == len(numbers("12"))


def test_an_unknown_number_is_refused_with_all_that_there_are() -> None:
    """So that the right one can be picked."""
    with pytest.raises(ConfigurationError, match=r"no question '12\.9'.*12\.1, 12\.2a"):
        numbers("12.1,12.9")


async def nothing(wires: Wires) -> Heard:
    """Hear nothing."""
    return Heard(message="", facts={})


def test_a_question_is_asked_or_has_a_reason() -> None:
    """Neither both nor none of it."""
    with pytest.raises(ValueError, match="reason"):
        Question(number="1.1", text="?")
    with pytest.raises(ValueError, match="reason"):
        Question(number="1.1", text="?", ask=nothing, cannot="no way")


def test_every_route_of_a_question_has_a_model_that_is_charged() -> None:
    """A cost names one of its routes, or a model by name."""
    for question in QUESTIONS:
        named = {cost.model for cost in question.costs}
        assert all(name in question.routes or name.startswith("gpt-") for name in named)


def test_an_answer_is_ready_for_json() -> None:
    """Number, outcome, facts and cost stand in it under fixed names."""
    answer = Answer(number="12.1", text="?", outcome="answered", message="5", facts={"most": 5})
    value = answer.to_dict()
    assert ["12.1", "?", "answered", {"most": 5}] == [
        value[name] for name in ("number", "question", "outcome", "facts")
    ]
    assert value["spent"] == answer.spent.to_dict()
