"""The voted table: own columns as they were, then the verdict, in every format."""

from __future__ import annotations

import csv
import io
import json
from importlib import import_module
from pathlib import Path

import pytest

from analysis.commands.labelled_tables import open_labelled
from analysis.commands.voted_table import (
    VOTED_COLUMNS,
    VotedCells,
    check_target,
    unlabelled,
    write_voted,
)
from analysis.errors import ConfigurationError, InputError
from analysis.evaluation.rows import NONE
from analysis.evaluation.votes import Outcome, Vote
from analysis.pipeline.dialect import check_file
from analysis.pipeline.tables import Table
from tests.commands.labelled import output
from tests.pipeline.table_files import PARQUET, assert_says, made, refusal

AGREED = Vote(
    labels=("example", "contrast"),
    confidence=2 / 3,
    models=("a", "offline-rules"),
    error="",
    counts=(("example", 2), (NONE, 1)),
    outcome=Outcome.MAJORITY,
)
NOBODY = Vote(
    labels=(),
    confidence=None,
    models=(),
    error="refused",
    counts=((NONE, 3),),
    outcome=Outcome.NONE,
)
CELLS = "example,contrast,0.6667,votes,a; offline-rules,,,,,example=2; (none)=1"
VALUES = {
    "semantic_function": "example",
    "semantic_function_2": "contrast",
    "semfn_confidence": 0.6667,
    "semfn_route": "votes",
    "semfn_model": "a; offline-rules",
    "semfn_pack": None,
    "semfn_attempts": None,
    "semfn_latency_ms": None,
    "semfn_error": None,
    "semfn_votes": "example=2; (none)=1",
}
HEADER = ",".join(VALUES)


def opened(path: Path) -> Table:
    """Open an output without its labels."""
    stamp = check_file(path)
    return unlabelled(open_labelled(path), stamp)


def written(path: Path, target: Path, *votes: Vote) -> bytes:
    """Write the votes beside the rows of an output and return the bytes."""
    write_voted(
        str(target), opened(path), votes, names={}, csv_formulas="keep", stream=io.BytesIO()
    )
    return target.read_bytes()


def test_columns_of_votes_follow_those_of_a_run() -> None:
    """The contract's columns in their order, and one more."""
    assert list(VALUES) == [name for name, _ in VOTED_COLUMNS]


def test_cells_and_values_say_the_same() -> None:
    """What votes do not have is empty; numbers have four decimals."""
    assert tuple(CELLS.split(",")) == VotedCells(AGREED, {}).texts()
    assert tuple(VALUES.values()) == VotedCells(AGREED, {}).values()
    expected = ("", "", "", "", "", "", "", "", "refused", "(none)=3")
    assert expected == VotedCells(NOBODY, {}).texts()


def test_names_stand_in_place_of_keys() -> None:
    """In the labels and in the counts."""
    names = {"example": "Example", "contrast": "Contrast"}
    texts = VotedCells(AGREED, names).texts()
    assert ("Example", "Contrast", "Example=2; (none)=1") == (*texts[:2], texts[-1])


def test_own_columns_of_a_csv_stay_as_they_were(tmp_path: Path) -> None:
    """Order, spaces, quotes, delimiter and byte order mark; result columns leave from between."""
    content = (
        "\ufeffid;semantic_function;text;semfn_error;semfn_review;note\n"
        'c1;noise;" a ""b""";;uncertain;\u00e9\nc2;;x;refused;;\n'
    )
    path = made(tmp_path, content, "one.csv")
    expected = (
        f"\ufeffid;text;note;{HEADER.replace(',', ';')}\n"
        f'c1;" a ""b""";\u00e9;example;contrast;0.6667;votes;"a; offline-rules";;;;;'
        '"example=2; (none)=1"\n'
        "c2;x;;;;;;;;;;refused;(none)=3\n"
    )
    assert expected == written(path, tmp_path / "v.csv", AGREED, NOBODY).decode()


def test_a_tab_stays_a_tab(tmp_path: Path) -> None:
    """TSV in, TSV out; CSV where the name says so."""
    path = made(tmp_path, "id\ttext\tsemantic_function\nc1\ta\tnoise\n", "one.tsv")
    lines = written(path, tmp_path / "v.tsv", AGREED).decode().splitlines()
    assert ["c1", "a", *CELLS.split(",")] == lines[1].split("\t")
    rows = csv.reader(io.StringIO(written(path, tmp_path / "v.csv", AGREED).decode()))
    assert ["c1", "a", *CELLS.split(",")] == list(rows)[1]


def test_values_of_json_lines_stay_as_written(tmp_path: Path) -> None:
    """Forms of numbers, nested values and missing keys; packed by its name."""
    content = (
        '{"id": 1.10, "text": "a", "semantic_function": "noise", "x": {"k": [1 ,2]}}\n'
        '{"semantic_function": null, "text": "b", "semfn_error": "refused"}\n'
    )
    path = made(tmp_path, content, "one.jsonl")
    first, second = written(path, tmp_path / "v.jsonl", AGREED, NOBODY).decode().splitlines()
    assert first.startswith('{"id":1.10,"text":"a","x":{"k": [1 ,2]},"semantic_function":"example"')
    assert ["text", *VALUES] == list(json.loads(second))
    nobody = {"text": "b", "semfn_error": "refused", "semfn_votes": "(none)=3"}
    assert dict.fromkeys(VALUES) | nobody == json.loads(second)


def test_types_of_parquet_stay(tmp_path: Path) -> None:
    """Own columns keep type, missing values and metadata; ours have types."""
    arrow = pytest.importorskip("pyarrow", reason=PARQUET)
    parquet = import_module("pyarrow.parquet")
    own = arrow.table(
        {
            "id": arrow.array([1, 2], arrow.int32()),
            "semantic_function": arrow.array(["noise", None]),
            "text": arrow.array(["a", None]).dictionary_encode(),
            "semfn_pack": arrow.array([10, 0]),
            "parts": arrow.array([[1], None]),
        }
    ).replace_schema_metadata({"origin": "kept"})
    path = tmp_path / "one.parquet"
    parquet.write_table(own, path)
    written(path, tmp_path / "v.parquet", AGREED, NOBODY)
    found = parquet.read_table(tmp_path / "v.parquet")
    kept = own.select(["id", "text", "parts"])
    assert kept.to_pylist() == found.select(["id", "text", "parts"]).to_pylist()
    assert [kept.schema.field(at).type for at in range(3)] == found.schema.types[:3]
    assert {b"origin": b"kept"} == {
        key: value for key, value in found.schema.metadata.items() if key == b"origin"
    }
    rows = found.select(list(VALUES)).to_pylist()
    assert VALUES == rows[0]
    assert "double" == str(found.schema.field("semfn_confidence").type)


def test_an_output_without_own_columns_is_refused(tmp_path: Path) -> None:
    """There would be nothing to tell the rows by."""
    path = made(tmp_path, "semantic_function,semfn_model\nnoise,m\n", "one.csv")
    assert_says(refusal(lambda: opened(path)), "has no column but those of its labels")


def test_a_file_that_changes_in_between_is_refused(tmp_path: Path) -> None:
    """A verdict could land beside another text; nothing is written."""
    path = output(tmp_path, "noise")
    table = opened(path)
    path.write_text(path.read_text("utf-8") + "\n", encoding="utf-8")
    target = tmp_path / "v.csv"
    message = refusal(
        lambda: write_voted(
            str(target), table, [AGREED], names={}, csv_formulas="keep", stream=io.BytesIO()
        ),
        InputError,
    )
    assert_says(message, "changed while it was in use")
    assert not target.exists()


@pytest.mark.parametrize("suffix", ["", ".semfn.sqlite"])
def test_files_of_a_voter_are_not_written_over(tmp_path: Path, suffix: str) -> None:
    """Neither an output nor its ledger."""
    path = output(tmp_path, "noise")
    target = made(tmp_path, "x", f"out.csv{suffix}") if suffix else path
    message = refusal(lambda: check_target(str(target), opened(path), [path]), ConfigurationError)
    assert_says(message, "is the input itself")


def test_the_output_of_another_run_is_not_written_over(tmp_path: Path) -> None:
    """Its results would tell of another table."""
    path = output(tmp_path, "noise")
    made(tmp_path, "{}", "other.csv.run-results.json")
    message = refusal(
        lambda: check_target(str(tmp_path / "other.csv"), opened(path), [path]),
        ConfigurationError,
    )
    assert_says(message, "other.csv is the output of a run", "-o")


def test_a_stream_has_the_format_of_the_first_output(tmp_path: Path) -> None:
    """JSON Lines in, JSON Lines out; formulas are guarded in CSV where that is wanted."""
    path = made(tmp_path, '{"text":"a","semantic_function":"noise"}\n', "one.jsonl")
    stream = io.BytesIO()
    write_voted("-", opened(path), [AGREED], names={}, csv_formulas="keep", stream=stream)
    assert VALUES | {"text": "a"} == json.loads(stream.getvalue())
    path = made(tmp_path, "text,semantic_function\n=1+1,noise\n", "one.csv")
    stream = io.BytesIO()
    write_voted("-", opened(path), [AGREED], names={}, csv_formulas="guard", stream=stream)
    assert f"'=1+1,{CELLS}" == stream.getvalue().decode().splitlines()[1]
