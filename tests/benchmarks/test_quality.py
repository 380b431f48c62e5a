"""The tables of figures: what is counted, and which tables are read."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks import quality
from benchmarks.quality import Place

HEADER = ["id", "document", "position", "text", "label", "label2", "lang", "topic", "genre"]


def write(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write a table of (document, text, label)."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number, (document, text, label) in enumerate(rows):
            writer.writerow([number, document, number, text, label, "", "en", "", ""])


def test_samples_need_no_folder() -> None:
    """One row for all and one per language; the other tables are empty."""
    place = Place(data=None, dev=True)
    found = {name: len(table(place)) for name, table in quality.TABLES.items()}
    assert {
        "samples": 5,
        "seed": 0,
        "contrast": 0,
        "abstracts": 0,
        "prose": 0,
        "default": 0,
        "injection": 5,
        "calibration": 1,
        "answers": 13,
        "prompt_tokens": 7,
        "sent_alone": 0,
    } == found


def test_every_figure_says_that_it_is_about_rules() -> None:
    """Nobody may take it for the quality of a model."""
    rows = quality.samples(Place(data=None, dev=False))
    assert ["offline-rules"] * 5 == [row["labeller"] for row in rows]


def test_contrast_is_counted_on_the_sentence_and_on_the_pair(tmp_path: Path) -> None:
    """One hit, one label beside a marked sentence, one in another document, one miss."""
    rows = [
        ("a", "The oven is hot.", "nucleus"),
        ("a", "However, the bread is cold.", "contrast"),
        ("a", "The flour is here.", "concession"),
        ("a", "However, the yeast is gone.", "nucleus"),
        ("a", "The jar is full.", "contrast"),
        ("b", "However, the lid is open.", "nucleus"),
    ]
    write(tmp_path / "disc_en_x_train.csv", rows)
    found, together = quality.contrast(Place(data=tmp_path, dev=False))
    keys = ("rows", "marked", "fired", "hits", "precision", "precision_pair", "recall")
    assert [6, 3, 3, 1, 0.3333, 0.6667, 0.3333] == [found[key] for key in keys]
    assert 0.5 == found["precision_of_chance"]
    assert [found[key] for key in keys] == [together[key] for key in keys]


def test_the_last_parts_are_read_on_demand_only(tmp_path: Path) -> None:
    """A part that was looked at often measures nothing any more."""
    for name in ("disc_en_x_train", "disc_en_gentle", "csabstruct_dev"):
        write(tmp_path / f"{name}.csv", [("a", "The oven is hot.", "background")])
    names = ("disc_*", "csabstruct_*")
    read = [name for name, _ in Place(data=tmp_path, dev=False).tables(*names)]
    every = [name for name, _ in Place(data=tmp_path, dev=True).tables(*names)]
    assert ["disc_en_x_train"] == read
    assert ["disc_en_gentle", "disc_en_x_train", "csabstruct_dev"] == every


def test_abstracts_are_scored_with_the_corpus_mapping(tmp_path: Path) -> None:
    """A conclusion counts as a result where the corpus has no conclusions."""
    rows = [
        ("a", "Bread is one of the oldest foods.", "background"),
        ("a", "Loaves were randomly assigned to two ovens.", "method"),
        ("a", "In conclusion, these findings suggest a longer storage.", "result"),
    ]
    write(tmp_path / "csabstruct_train.csv", rows)
    with_place, without = quality.abstracts(Place(data=tmp_path, dev=False))
    assert (1.0, 0.3333) == (with_place["accuracy"], with_place["accuracy_of_majority"])
    assert {"gold": 1, "given": 1, "precision": 1.0, "recall": 1.0} == with_place["labels"][
        "result"
    ]
    assert "csabstruct_train without place" == without["name"]


def test_a_folder_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says what to pass."""
    with pytest.raises(SystemExit):
        quality.main(["--data", str(tmp_path / "none")])
    assert "Pass the folder that holds the tables" in capsys.readouterr().err
