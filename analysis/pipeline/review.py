"""Labels that are not sure enough are marked for review, in a column behind those of a run.

Pure. `run_options` makes a `Review`; run and export mark rows with it, commands word its `Outlook`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analysis.errors import ConfigurationError, InputError
from analysis.pipeline.ledger_rows import VerdictRow
from analysis.pipeline.output import REVIEW_COLUMN, VerdictCells, shown_confidence

UNCERTAIN = "uncertain"
"""What the column holds where a label is not sure enough; elsewhere it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of the marks before anything is sent.

    Attributes:
        bound: Labels with a confidence below it are marked.
        silent_routes: Routes of the run that state no confidence.
        uncertain: Labels that are there already and are below the bound.
        without_confidence: Labels that are there already and have no confidence.
    """

    bound: float
    silent_routes: tuple[str, ...] = ()
    uncertain: int = 0
    without_confidence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Which labels a run marks.

    Attributes:
        bound: Labels with a confidence below it, above 0 and at most 1; equal is sure enough.
        silent_routes: Routes of the run that state no confidence, so that their rows get no mark.
    """

    bound: float
    silent_routes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_bound("min_confidence", self.bound)

    def outlook(self, held: Iterable[VerdictRow | None]) -> Outlook:
        """Return what is to be said before a run whose ledger holds these verdicts."""
        uncertain = without = 0
        for verdict in held:
            if verdict is not None and verdict.labels:
                uncertain += is_uncertain(verdict.confidence, self.bound)
                without += verdict.confidence is None
        return Outlook(
            bound=self.bound,
            silent_routes=self.silent_routes,
            uncertain=uncertain,
            without_confidence=without,
        )


def check_bound(name: str, bound: float) -> None:
    """Refuse a bound below which no confidence can be, or all are.

    Raises:
        ConfigurationError: If it is no number above 0 and up to 1.
    """
    is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
    if not (is_number and 0 < bound <= 1):
        raise ConfigurationError(
            f"{name} is {bound!r}; pass a confidence above 0 and up to 1, such as 0.8."
        )


def is_uncertain(confidence: float | None, bound: float) -> bool:
    """Tell whether a confidence, as an output shows it, is below the bound.

    So a reader who compares the columns finds the same rows, and `semfn evaluate` does. Without a
    confidence nothing is known, which is not the same as uncertain.
    """
    return confidence is not None and shown_confidence(confidence) < bound


def mark_of(confidence: float | None, bound: float) -> str:
    """Return what the column holds for a row; a row without a label has no confidence either."""
    return UNCERTAIN if is_uncertain(confidence, bound) else ""


def marked(cells: VerdictCells, bound: float | None) -> VerdictCells:
    """Return the cells with the mark of the row, if marks are wanted at all."""
    return cells if bound is None else replace(cells, review=mark_of(cells.confidence, bound))


def check_columns(place: object, columns: Sequence[str]) -> None:
    """Refuse an input that already has the column of the marks.

    Raises:
        InputError: Names the input, which `place` shows.
    """
    if REVIEW_COLUMN in columns:
        raise InputError(
            f"{place} already has the column {REVIEW_COLUMN}, which --min-confidence "
            "(min_confidence=) adds. Rename or drop it, or leave that option out."
        )
