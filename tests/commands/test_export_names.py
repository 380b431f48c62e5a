"""Names of labels in an export."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from analysis.commands.export_names import names_for
from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from tests.commands.running import semfn

OWN = """
name = "mood"
version = "1"
[policy]
max_labels = 1
default = "calm"
topic = "optional"
[[labels]]
key = "calm"
names = { ru = "Спокойно" }
definition = "States things."
[[labels]]
key = "angry"
definition = "Blames somebody."
"""


def labelled(folder: Path, *options: str) -> Path:
    """Label two rows by rules and return the ledger."""
    chunks = folder / "chunks.csv"
    chunks.write_text("id,text\n1,For example the one to Vienna.\n2,Trains.\n", encoding="utf-8")
    ran = semfn("run", chunks, "--topic", "T", "--route", "offline", "--quiet", *options)
    assert 0 == ran.exit_code, ran.output
    return folder / "chunks.labeled.csv.semfn.sqlite"


def labels_of(path: Path) -> list[str]:
    """Return the labels of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["semantic_function"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("suffix", [(), ("--input", "chunks.csv", "--topic", "T")])
def test_names_of_a_shipped_set_are_found_by_the_ledger(
    tmp_path: Path, suffix: tuple[str, ...]
) -> None:
    """With the columns of the input and without them; no option has to repeat the set."""
    ledger = labelled(tmp_path, "--definitions", "ru")
    joined = [str(tmp_path / one) if one == "chunks.csv" else one for one in suffix]
    target = tmp_path / "имена.csv"
    result = semfn("export", ledger, "-o", target, "--label-names", "ru", *joined)
    assert 0 == result.exit_code, result.output
    assert ["Пояснение на примере", "Раскрытие темы"] == labels_of(target)


def test_a_set_of_the_user_has_to_be_given(tmp_path: Path) -> None:
    """A ledger does not hold the names; without the file nothing is written."""
    own = tmp_path / "mood.toml"
    own.write_text(OWN, encoding="utf-8")
    ledger = labelled(tmp_path, "--label-set", str(own))
    target = tmp_path / "names.csv"
    refused = semfn("export", ledger, "-o", target, "--label-names", "ru")
    assert (2, False) == (refused.exit_code, target.exists())
    assert "Pass --label-set with its name or file" in refused.stderr
    done = semfn("export", ledger, "-o", target, "--label-names", "ru", "--label-set", own)
    assert (0, ["Спокойно", "Спокойно"]) == (done.exit_code, labels_of(target))


def test_a_set_without_a_language_says_nothing(tmp_path: Path) -> None:
    """Keys need no set; an option without effect would be a mistake."""
    assert {} == names_for(tmp_path / "none.sqlite", None, None)
    with pytest.raises(ConfigurationError, match="Pass --label-names as well"):
        names_for(tmp_path / "none.sqlite", None, "argument")


def test_names_are_those_of_the_set(tmp_path: Path) -> None:
    """Every key has one."""
    names = names_for(labelled(tmp_path), "zh", None)
    assert (set(LabelSet.load("ten_functions").keys), "无关内容") == (set(names), names["noise"])
