"""What a question of the live check is, and what its answer is.

Pure. The modules `ask_...` hold tables of questions; `live` asks them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from analysis.check.spending import Cost, Spent
from analysis.errors import AnalysisError, ConfigurationError
from analysis.prices import PriceTable

if TYPE_CHECKING:
    from analysis.check.wires import Wires

ANSWERED, NOT_ASKED, FAILED = "answered", "not asked", "failed"
OUTCOMES = (ANSWERED, NOT_ASKED, FAILED)


class NotAsked(AnalysisError):
    """A question turned out to be none for this endpoint; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the service said to a question.

    Attributes:
        message: One sentence.
        facts: The same as values, ready for JSON.
    """

    message: str
    facts: Mapping[str, object]


Asking: TypeAlias = Callable[["Wires"], Awaitable[Heard]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One open question about the service.

    Attributes:
        number: Its number in the protocol notes, such as `12.1`; `D.` stands before those of the
            notes on decisions; letters tell parts of one question apart.
        text: The question, for people.
        routes: Routes that it needs.
        ask: Asks it; None if it cannot be asked.
        cannot: Why it cannot be asked; empty where `ask` is there.
        costs: What it takes at most.
        limit_s: Seconds after which it is given up.
        is_long: Asked only on demand, since it takes an hour or costs more than all others.
    """

    number: str
    text: str
    routes: tuple[str, ...] = ()
    ask: Asking | None = None
    cannot: str = ""
    costs: tuple[Cost, ...] = ()
    limit_s: float = 120.0
    is_long: bool = False

    def __post_init__(self) -> None:
        if (self.ask is None) != bool(self.cannot):
            raise ValueError(f"Question {self.number} needs either a way to ask it or a reason.")

    def usd(self, models: Mapping[str, str], table: PriceTable) -> float | None:
        """Return what it costs at most, or None if a model has no price in the table."""
        parts = [cost.usd(models, table) for cost in self.costs]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a question.

    Attributes:
        number: Of the question.
        text: Of the question.
        outcome: One of `OUTCOMES`.
        message: What was found, or why it was not asked or failed.
        facts: The same as values, ready for JSON.
        spent: What it cost.
        is_simulated: The simulated service answered.
    """

    number: str
    text: str
    outcome: str
    message: str
    facts: Mapping[str, object] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)
    is_simulated: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        return {
            "number": self.number,
            "question": self.text,
            "outcome": self.outcome,
            "message": self.message,
            "facts": dict(self.facts),
            "spent": self.spent.to_dict(),
            "is_simulated": self.is_simulated,
        }


def select(questions: Sequence[Question], wanted: str | None) -> tuple[Question, ...]:
    """Return the questions whose numbers are wanted, in their own order.

    Args:
        questions: All of them.
        wanted: Numbers with commas, such as `12.1,D.4`; `12.2` stands for all of its parts, `D` for
            all on decisions. None or an empty text wants all.

    Raises:
        ConfigurationError: If a number is none of them.
    """
    names = [name.strip() for name in (wanted or "").split(",") if name.strip()]
    for name in names:
        if not any(_is_named(question, name) for question in questions):
            known = ", ".join(question.number for question in questions)
            raise ConfigurationError(f"There is no question {name!r}. Name some of: {known}.")
    if not names:
        return tuple(questions)
    return tuple(one for one in questions if any(_is_named(one, name) for name in names))


def _is_named(question: Question, name: str) -> bool:
    """Tell whether a name is that of the question, or of what it is a part of."""
    number, name = question.number.lower(), name.lower()
    return number == name or number.rstrip("abcdefgh") == name or number.split(".")[0] == name
