"""Outputs of runs and tables with gold labels, for the tests of `semfn evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.commands.running import written

OUTPUT_HEADER = (
    "id",
    "document",
    "text",
    "label",
    "semantic_function",
    "semantic_function_2",
    "semfn_confidence",
    "semfn_route",
    "semfn_model",
    "semfn_attempts",
    "semfn_error",
)


def output(
    folder: Path,
    labels: str,
    gold: str = "",
    *,
    name: str = "out.csv",
    origin: tuple[str, str] = ("rest", "gpt-6-luna"),
    confidence: str = "",
    first: int = 1,
) -> Path:
    """Write an output with a row per word: a label, two with a plus between, or `-` for none."""
    return written(
        folder,
        [OUTPUT_HEADER, *output_rows(labels, gold, origin, confidence, first)],
        name,
    )


def output_rows(
    labels: str,
    gold: str = "",
    origin: tuple[str, str] = ("rest", "gpt-6-luna"),
    confidence: str = "",
    first: int = 1,
) -> list[Sequence[str]]:
    """Return the rows of an output, with ids c1, c2 and so on; two rows share a document."""
    words = labels.split()
    beside = gold.split() or [""] * len(words)
    rows: list[Sequence[str]] = []
    for number, (word, right) in enumerate(zip(words, beside, strict=True), start=first):
        one, _, two = word.strip("-").partition("+")
        error = "" if one else "refused"
        sure = confidence if one else ""
        head = (f"c{number}", f"d{number // 2}", f"Text {number}.", right.strip("-"))
        rows.append((*head, one, two, sure, *origin, "1", error))
    return rows


def gold_file(folder: Path, labels: str, *, name: str = "gold.csv", first: int = 1) -> Path:
    """Write a gold file with a row per word and the ids of `output`."""
    cells = [(f"c{number}", word.strip("-")) for number, word in enumerate(labels.split(), first)]
    return written(folder, [("id", "label"), *cells], name)
