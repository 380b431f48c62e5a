"""The sample tables that ship with the package."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from importlib.resources import files
from itertools import groupby

import pytest

from analysis.labels.label_set import LabelSet

FOUR = "four_languages.csv"
LONG = "long_english.csv"
BOTH = pytest.mark.parametrize("name", [FOUR, LONG])

CONTENT = frozenset({"topic_development", "example", "key_thesis", "contrast"})
STYLE = frozenset({"metaphor_analogy", "humour_irony", "lyrical_digression"})
LETTERS = {"en": "[a-z]", "ru": "[а-яё]", "fr": "[a-zà-ÿœæ]", "zh": "[\u4e00-\u9fff]"}


def read_bytes(name: str) -> bytes:
    """Return a sample file as it is shipped."""
    return files("analysis.samples").joinpath(name).read_bytes()


def read_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a sample table."""
    return list(csv.DictReader(io.StringIO(read_bytes(name).decode("utf-8"), newline="")))


def is_allowed_pair(first: str, second: str) -> bool:
    """Tell whether two labels may share a chunk: content and style, or a contrast."""
    pair = frozenset({first, second})
    mixes_content_and_style = len(pair & CONTENT) == 1 and len(pair & STYLE) == 1
    return mixes_content_and_style or pair in ({"example", "contrast"}, {"key_thesis", "contrast"})


def letter_share(text: str, pattern: str) -> float:
    """Return the share of the letters of a text that match a pattern."""
    letters = [sign for sign in text.lower() if sign.isalpha()]
    return sum(re.fullmatch(pattern, sign) is not None for sign in letters) / len(letters)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (FOUR, ["id", "document", "text", "topic", "lang", "gold", "gold_2"]),
        (LONG, ["id", "document", "text", "topic"]),
    ],
)
def test_table_has_the_documented_columns(name: str, columns: list[str]) -> None:
    """The header is the list of columns given in the README of the samples."""
    assert columns == read_bytes(name).decode("utf-8").splitlines()[0].split(",")


@BOTH
def test_file_is_plain_utf_8_csv(name: str) -> None:
    """A file equals its own rows written again: no mark at the start, LF, minimal quotes."""
    text = read_bytes(name).decode("utf-8")
    again = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    csv.writer(again, lineterminator="\n").writerows(rows)
    assert text == again.getvalue()
    assert not text.startswith("\ufeff")
    assert "\r" not in text


@BOTH
def test_ids_and_texts_are_unique(name: str) -> None:
    """No id and no text occurs twice."""
    rows = read_rows(name)
    assert len(rows) == len({row["id"] for row in rows})
    assert len(rows) == len({row["text"] for row in rows})


@BOTH
def test_no_field_is_empty_or_ragged(name: str) -> None:
    """Each field but the second label holds composed text on one line without outer spaces."""
    for row in read_rows(name):
        for column, value in row.items():
            assert unicodedata.normalize("NFC", value) == value
            assert " ".join(value.split()) == value
            assert value or column == "gold_2"


@BOTH
def test_documents_stand_together_with_one_topic(name: str) -> None:
    """The rows of a document follow each other and share the topic."""
    rows = read_rows(name)
    runs = [key for key, _ in groupby(rows, key=lambda row: row["document"])]
    assert len(set(runs)) == len(runs)
    assert len(runs) == len({(row["document"], row["topic"]) for row in rows})


def test_each_language_has_sixteen_rows_in_one_document() -> None:
    """Four languages, one essay each, numbered from 1 in document order."""
    rows = read_rows(FOUR)
    assert {"en": 16, "ru": 16, "fr": 16, "zh": 16} == Counter(row["lang"] for row in rows)
    for lang, group in groupby(rows, key=lambda row: row["lang"]):
        essay = list(group)
        document = essay[0]["document"]
        assert document.startswith(f"{lang}-")
        assert {document} == {row["document"] for row in essay}
        assert [f"{document}-{n:02d}" for n in range(1, 17)] == [row["id"] for row in essay]


def test_texts_are_in_the_script_of_their_language() -> None:
    """At least 95 % of the letters of a text belong to the alphabet of its language."""
    for row in read_rows(FOUR):
        assert letter_share(row["text"], LETTERS[row["lang"]]) >= 0.95, row["id"]


def test_lengths_of_the_four_languages_stay_in_bounds() -> None:
    """A chunk has 60 to 260 characters, in Chinese 25 to 110."""
    for row in read_rows(FOUR):
        low, high = (25, 110) if row["lang"] == "zh" else (60, 260)
        assert low <= len(row["text"]) <= high, row["id"]


def test_every_label_occurs_in_every_language() -> None:
    """The gold labels of each language are exactly the keys of the default set."""
    keys = set(LabelSet.load("ten_functions").keys)
    rows = read_rows(FOUR)
    for lang in LETTERS:
        counts = Counter(row["gold"] for row in rows if row["lang"] == lang)
        assert keys == set(counts)
        assert "topic_development" == counts.most_common(1)[0][0]


def test_second_labels_are_rare_and_allowed() -> None:
    """A few rows have a second label, and it is one that may stand beside the first."""
    label_set = LabelSet.load("ten_functions")
    pairs = [(row["gold"], row["gold_2"]) for row in read_rows(FOUR) if row["gold_2"]]
    assert 4 <= len(pairs) <= 16
    assert [] == [pair for pair in pairs if not is_allowed_pair(*pair)]
    assert [] == [pair for pair in pairs if not label_set.allows(pair)]


def test_long_english_has_ten_sections_in_order() -> None:
    """330 chunks, numbered across ten sections, in documents sorted by name."""
    rows = read_rows(LONG)
    assert [f"lib-{n:04d}" for n in range(1, 331)] == [row["id"] for row in rows]
    documents = list(dict.fromkeys(row["document"] for row in rows))
    assert 10 == len(documents)
    assert sorted(documents) == documents


def test_long_english_chunks_stay_in_bounds() -> None:
    """A chunk has 80 to 350 characters, and all together have 60,000 to 75,000."""
    texts = [row["text"] for row in read_rows(LONG)]
    assert [] == [text for text in texts if not 80 <= len(text) <= 350]
    assert 60_000 <= sum(len(text) for text in texts) <= 75_000


def test_long_english_repeats_no_opening() -> None:
    """No two chunks begin with the same five words, as texts from a pattern would."""
    openings = Counter(" ".join(row["text"].lower().split()[:5]) for row in read_rows(LONG))
    assert [] == [opening for opening, count in openings.items() if count > 1]
