"""Label cells become keys; what cannot be read is refused once, with the nearest names."""

from __future__ import annotations

import pytest

from analysis.errors import InputError
from analysis.evaluation.cells import LabelReader
from analysis.evaluation.mapping import Mapping
from analysis.labels.label_set import LabelSet

TEN = LabelSet.load("ten_functions")
MAPPING = Mapping.parse(
    'name = "m"\nlabel_set = "sci_abstract"\nsource = "s"\nignore = ["title"]\n'
    '[gold]\nMETHODS = "method"\nRESULTS = "result"\n',
    source="m.toml",
)
SCI = LabelSet.load("sci_abstract")


@pytest.mark.parametrize(
    "cell", ["example", " Example / illustration ", "Пояснение на примере", "举例说明", "EXAMPLE"]
)
def test_keys_and_names_in_all_languages_are_read(cell: str) -> None:
    """A slash belongs to the name of a label; it does not part two of them."""
    assert ("example",) == LabelReader(TEN).read([cell], 1)


def test_two_columns_are_two_labels_and_repeats_are_one() -> None:
    """The first column is the primary label; empty cells are none."""
    reader = LabelReader(TEN)
    assert ("noise", "example") == reader.read(["noise", "example"], 1)
    assert ("noise",) == reader.read(["noise", "Noise (off-topic)"], 2)
    assert () == reader.read(["", " "], 3)


def test_several_labels_in_a_cell_need_a_separator() -> None:
    """Without it such a cell is one unknown label; with it, it is two."""
    cell = "example; Contrast or opposition;"
    assert ("example", "contrast") == LabelReader(TEN, separator=";").read([cell], 1)
    reader = LabelReader(TEN)
    reader.read([cell], 1)
    with pytest.raises(InputError):
        reader.check("x", "y")


def test_a_mapping_knows_its_own_labels_alone() -> None:
    """A key that the corpus does not use is a mistake in the gold file."""
    reader = LabelReader(SCI, mapping=MAPPING)
    assert ("method",) == reader.read(["Methods"], 1)
    reader.read(["background"], 2)
    with pytest.raises(InputError, match=r"the mapping m does not know: 'background' \(1 x, "):
        reader.check("gold.csv, column 'label',", "Correct it.")


def test_ignored_labels_are_told_apart_from_empty_cells() -> None:
    """An ignored row has gold, but none that counts."""
    reader = LabelReader(SCI, mapping=MAPPING)
    assert (None, ()) == (reader.read(["Title"], 1), reader.read([""], 2))
    reader.check("x", "y")


def test_all_unknown_labels_are_named_at_once() -> None:
    """Each with how often, the first row and the nearest label; the cure ends the message."""
    reader = LabelReader(TEN)
    cells = ["exampel", "noise", "exampel", "transitions"]
    for row, cell in enumerate(cells, start=1):
        reader.read([cell], row)
    with pytest.raises(InputError) as refused:
        reader.check("gold.csv, column 'label',", "Correct them.")
    assert (
        "gold.csv, column 'label', holds labels that the label set ten_functions does not know: "
        "'exampel' (2 x, first row 1; nearest: example), 'transitions' (1 x, first row 4; "
        "nearest: transition). Correct them."
    ) == str(refused.value)


def test_labels_without_a_similar_one_are_refused_with_the_list() -> None:
    """A name that is merely the least unlike would send the reader the wrong way."""
    reader = LabelReader(SCI)
    reader.read(["banana"], 1)
    with pytest.raises(InputError) as refused:
        reader.check("gold.csv, column 'label',", "Correct them.")
    assert (
        "gold.csv, column 'label', holds labels that the label set sci_abstract does not know: "
        "'banana' (1 x, first row 1). It knows background, objective, method, result, conclusion, "
        "other. Correct them."
    ) == str(refused.value)
    corpus = LabelReader(SCI, mapping=MAPPING)
    corpus.read(["banana"], 1)
    with pytest.raises(InputError, match=r"It knows methods, results\. y"):
        corpus.check("x", "y")


def test_many_unknown_labels_are_counted() -> None:
    """A wrong column holds texts; five are shown and the others counted."""
    reader = LabelReader(TEN)
    for row in range(1, 9):
        reader.read([f"text {row}"], row)
    with pytest.raises(InputError, match="and 3 more"):
        reader.check("x", "y")
