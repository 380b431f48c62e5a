"""The fields of a label set file are read, and a flaw is found in its line."""

from __future__ import annotations

import pytest

from analysis.labels.set_text import Flaw, fields_of, line_of
from analysis.labels.toml_text import NotToml

ODD = """# A set in an unusual layout.
version = "1"
name = "odd"

[[labels]]
"key" = "one"   # quoted name of the field
definition = "First."
names.en = "One"

[[ labels ]]
definition = "Second."
key = "two"

[labels.names]
en = "Two"
ru = "Два"

[policy]   # comes last
default = "one"
alone = [
    "two",
]
max_labels = 1

[policy.kinds]
good = ["one"]
"""


def test_all_fields_arrive() -> None:
    """Whatever the layout, with defaults for what is left out."""
    one = {"key": "one", "definition": "First.", "names": {"en": "One"}, "not_this": ""}
    two = {"key": "two", "definition": "Second.", "names": {"en": "Two", "ru": "Два"}}
    rest: dict[str, object] = {"aliases": (), "definitions": {}, "examples": ()}
    expected = {
        "name": "odd",
        "version": "1",
        "default": "one",
        "max_labels": 1,
        "alone": frozenset({"two"}),
        "rules": (),
        "pairs": (),
        "forbidden": frozenset(),
        "kinds": {"good": ("one",)},
        "labels": [one | rest, two | rest | {"not_this": ""}],
    }
    assert expected == fields_of(ODD)


@pytest.mark.parametrize(
    ("label", "field", "line"),
    [
        (None, "name", 3),
        (None, "version", 2),
        (None, "policy", 18),
        (None, "default", 19),
        (None, "alone", 20),
        (None, "kinds", 25),
        (None, "missing", 18),
        (None, "kinds.good", 26),
        (None, "policy.name", 18),
        (0, "names.en", 8),
        (0, "names.fr", 5),
        (None, "", 1),
        (0, "key", 6),
        (0, "names", 8),
        (0, "", 5),
        (0, "aliases", 5),
        (1, "definition", 11),
        (1, "key", 12),
        (1, "names", 14),
        (1, "", 10),
        (7, "key", 1),
    ],
)
def test_the_line_of_a_flaw(label: int | None, field: str, line: int) -> None:
    """Of the field, else of the label, else the first one."""
    assert line == line_of(ODD, Flaw("x", label=label, field=field))


def test_labels_in_a_list_have_the_line_of_the_list() -> None:
    """There are no headers to count."""
    text = 'name = "x"\nlabels = [{ key = "one" }, { key = "two" }]\n'
    assert (2, 2) == (line_of(text, Flaw("x", field="labels")), line_of(text, Flaw("x", label=1)))


@pytest.mark.parametrize("text", ["", "labels = 7", 'name = ""', "[[policy]]", "[labels]\nx = 1"])
def test_other_toml_is_a_flaw(text: str) -> None:
    """Something is missing or has another type."""
    with pytest.raises(Flaw):
        fields_of(text)


def test_a_label_that_is_no_table_is_a_flaw() -> None:
    """It is named by its place."""
    head = 'name = "x"\nversion = "1"\nlabels = [7]\n[policy]\ndefault = "a"\nmax_labels = 1\n'
    with pytest.raises(Flaw, match="a label must be a table, found 7"):
        fields_of(head)


def test_broken_toml_is_left_to_the_reader_of_toml() -> None:
    """It knows the line itself."""
    with pytest.raises(NotToml, match="line 2"):
        fields_of('name = "x"\nversion = \n')
