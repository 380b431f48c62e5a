"""The catalogue of faults and the seeded draw that decides which request meets one.

Pure. The service draws once per accepted request; the command reads its options through `parse`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random

from analysis.errors import ConfigurationError

FAULTS = {
    "drop": "the connection is cut after the request was paid, before its answer",
    "error_500": "the service answers with a server error; nothing is paid",
    "hang": "the request is paid and never answered",
    "delay": "the answer comes late by a multiple of the latency",
    "shuffle": "answers of parallel requests leave in another order",
}
"""Name of each fault -> what it does, in the order in which they are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one request meets. At most one of the first three is set.

    Attributes:
        is_dropped: Cut the connection instead of answering.
        is_failed: Answer with a server error.
        is_hanging: Never answer.
        is_delayed: Add the delay of the profile.
        shuffle_share: Share of the shuffle window to add, 0 to 1.
    """

    is_dropped: bool = False
    is_failed: bool = False
    is_hanging: bool = False
    is_delayed: bool = False
    shuffle_share: float = 0.0


NO_FAULT = Draw()


def check(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Return the probabilities as a new dict after checking names and ranges.

    Raises:
        ConfigurationError: If a fault is unknown or a probability is outside 0 to 1.
    """
    for name, probability in probabilities.items():
        if name not in FAULTS:
            raise ConfigurationError(f"Fault {name!r} is unknown. Use one of: {', '.join(FAULTS)}.")
        if not 0.0 <= probability <= 1.0:
            raise ConfigurationError(
                f"Probability of fault {name!r} is {probability}; allowed: 0 to 1."
            )
    return dict(probabilities)


def parse(options: Iterable[str]) -> dict[str, float]:
    """Read options of the form `KIND=PROBABILITY`; a later option for the same fault wins.

    Raises:
        ConfigurationError: If an option has another form, names an unknown fault or a probability
            outside 0 to 1.
    """
    probabilities: dict[str, float] = {}
    for option in options:
        name, _, number = option.partition("=")
        try:
            probabilities[name] = float(number)
        except ValueError as error:
            raise ConfigurationError(
                f"Fault {option!r} cannot be read. Write KIND=PROBABILITY, for example "
                f"drop=0.02, with one of: {', '.join(FAULTS)}."
            ) from error
    return check(probabilities)


class Faults:
    """Draws for each request which faults it meets; the same seed gives the same sequence."""

    def __init__(self, probabilities: Mapping[str, float], random: Random) -> None:
        self._probabilities = check(probabilities)
        self._random = random

    def __repr__(self) -> str:
        return f"Faults({self._probabilities})"

    def draw(self) -> Draw:
        """Return what the next request meets.

        Every fault uses up its share of the sequence whether it is switched on or not, so that
        switching one on does not move the others.
        """
        if not self._probabilities:
            return NO_FAULT
        hits = {name: self._random.random() < self._probabilities.get(name, 0.0) for name in FAULTS}
        shuffle_share = self._random.random()
        is_failed = hits["error_500"]
        is_dropped = hits["drop"] and not is_failed
        return Draw(
            is_failed=is_failed,
            is_dropped=is_dropped,
            is_hanging=hits["hang"] and not is_failed and not is_dropped,
            is_delayed=hits["delay"],
            shuffle_share=shuffle_share if hits["shuffle"] else 0.0,
        )
