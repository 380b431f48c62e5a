"""What the simulated model answers to the questions of a decision, with its probabilities.

Pure. `decisions` reads the questions and calls `answer` for each. An answer about a chunk depends
on its text and the values asked for, whatever name the client gave it; other answers depend on the
whole input and the question. So the same request always gets the same answer. Where the model has
labelled the chunk that a choice question is about, its first label is the likeliest value, and its
second label, if it has one, the next, with at least a quarter. Source: section 3 of the notes on
decisions; the formula of `confidence` and the number of digits are guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from analysis.simulator.profile import DecisionRules
from analysis.simulator.refusals import Json

_UNITS = 1_000_000
"""Probabilities have six digits; they are dealt out in whole units, so that their sum is exact."""
_LOWEST_TOP = 0.76
"""Least probability of the label of a chunk that has one label; no other reaches a quarter."""
_PAIR_TOP = (0.52, 0.7)
"""Bounds for the first label of a chunk that has two."""
_PAIR_SECOND = (0.26, 0.3)
"""Bounds for its second label; the rest, at most 0.22, stays below it."""


def answer(question: Json, labels: Sequence[str], chance: Random, rules: DecisionRules) -> Json:
    """Return the answer to a checked question.

    Args:
        question: It has a `type`, and `choices` or `levels` where its type has them.
        labels: What the model gave to the chunk that it is about; empty if it is about none.
        chance: Seeded by the text of that chunk, or by input and question.
        rules: Share of certain answers and the sum of the probabilities.
    """
    head = {"type": question["type"], "name": question.get("name")}
    if question["type"] == "predicate":
        is_certain = chance.random() < rules.certain_share
        return {**head, "probability": 1.0 if is_certain else round(chance.random(), 6)}
    if question["type"] == "choice":
        values = [choice["value"] for choice in question["choices"]]
        wanted = [values.index(label) for label in labels if label in values]
        units = _deal(len(values), wanted[:2], chance, rules.certain_share)
        shares = _shares(units, rules)
        return {
            **head,
            "choice": values[_top(units)],
            "confidence": _confidence(units),
            "probabilities": [
                {"value": value, "probability": share}
                for value, share in zip(values, shares, strict=True)
            ],
        }
    names = [level["label"] for level in question["levels"]]
    units = _deal(len(names), (), chance, rules.certain_share)
    return {
        **head,
        "score": round(sum(index * unit for index, unit in enumerate(units)) / _UNITS, 6),
        "confidence": _confidence(units),
        "probabilities": [
            {"value": index, "label": name, "probability": share}
            for index, (name, share) in enumerate(zip(names, _shares(units, rules), strict=True))
        ],
    }


def _deal(count: int, wanted: Sequence[int], chance: Random, certain_share: float) -> list[int]:
    """Return units that sum to `_UNITS`; the places in `wanted` get the most, in this order."""
    is_certain = chance.random() < certain_share
    weights = [chance.expovariate(1.0) for _ in range(count)]
    if len(wanted) == 2:
        return _pair(weights, wanted[0], wanted[1], chance)
    top = wanted[0] if wanted else weights.index(max(weights))
    if is_certain:
        return [_UNITS if index == top else 0 for index in range(count)]
    if not wanted:
        return _scaled(weights, _UNITS, rest=top)
    units = int(chance.uniform(_LOWEST_TOP, 0.99) * _UNITS)
    return _around({top: units}, weights, _UNITS - units)


def _pair(weights: list[float], first: int, second: int, chance: Random) -> list[int]:
    if len(weights) == 2:
        units = int(chance.uniform(*_PAIR_TOP) * _UNITS)
        return _around({first: units, second: _UNITS - units}, weights, 0)
    fixed = {
        first: int(chance.uniform(*_PAIR_TOP) * _UNITS),
        second: int(chance.uniform(*_PAIR_SECOND) * _UNITS),
    }
    return _around(fixed, weights, _UNITS - sum(fixed.values()))


def _around(fixed: dict[int, int], weights: list[float], units: int) -> list[int]:
    """Return the fixed places, and the rest of the units dealt out by weight among the others."""
    others = [index for index in range(len(weights)) if index not in fixed]
    if others:
        dealt = _scaled([weights[index] for index in others], units, rest=0)
        fixed |= dict(zip(others, dealt, strict=True))
    return [fixed[index] for index in range(len(weights))]


def _scaled(weights: Sequence[float], units: int, *, rest: int) -> list[int]:
    """Return whole units in proportion to the weights; what rounding leaves goes to `rest`."""
    total = sum(weights)
    dealt = [int(units * weight / total) for weight in weights]
    dealt[rest] += units - sum(dealt)
    return dealt


def _shares(units: Sequence[int], rules: DecisionRules) -> list[float]:
    return [round(unit / _UNITS * rules.probability_sum, 6) for unit in units]


def _top(units: Sequence[int]) -> int:
    return max(range(len(units)), key=units.__getitem__)


def _confidence(units: Sequence[int]) -> float:
    """Return how far the top is above an even share, 0 to 1."""
    even = 1 / len(units)
    return round((max(units) / _UNITS - even) / (1 - even), 6)
