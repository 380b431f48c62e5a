"""Files, folders and pipes as the inputs of one run, and a place for each output."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from analysis.errors import ConfigurationError
from analysis.pipeline.formats import STREAM
from analysis.pipeline.inputs import SHOWN_FILES, left_out_notes, open_inputs
from analysis.pipeline.tables import open_table
from tests.pipeline.table_files import assert_says, made, refusal

CSV = "id,text\n1,a\n"
JSON = '{"id": 1, "text": "a"}\n'


def opened(
    folder: Path, *inputs: Path | str, output: Path | str | None = None
) -> list[tuple[str, str]]:
    """Return source and output of each input, the output relative to the folder."""
    jobs = open_inputs(inputs, output, topic="t")
    return [(job.table.source, job.output.relative_to(folder).as_posix()) for job in jobs]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_one_file_has_its_output_beside_it(tmp_path: Path, name: str) -> None:
    """As ever: the name decides; with -o that file is taken."""
    path = made(tmp_path, JSON if "json" in name else CSV, name)
    stem, suffix = name.split(".")
    assert [(name, f"{stem}.labeled.{suffix}")] == opened(tmp_path, path)
    assert [(name, "x/o.jsonl")] == opened(tmp_path, path, output=tmp_path / "x" / "o.jsonl")


def test_folder_gives_its_files_in_order(tmp_path: Path) -> None:
    """Known suffixes directly inside, without hidden files and what runs leave behind."""
    folder = tmp_path / "data"
    for name in ("b.csv", "a.jsonl", "A.TSV", "c.NDJSON"):
        made(folder, JSON if "json" in name.lower() else CSV.replace(",", "\t"), name)
    for name in (
        "a.labeled.jsonl",
        "b.partial.csv",
        "b.LABELED.csv",
        ".hidden.csv",
        "notes.txt",
        "b.labeled.csv.run-results.json",
        "b.labeled.csv.semfn.sqlite",
        "sub/d.csv",
    ):
        made(folder, "x", name)
    expected = [
        ("A.TSV", "data.labeled/A.labeled.tsv"),
        ("a.jsonl", "data.labeled/a.labeled.jsonl"),
        ("b.csv", "data.labeled/b.labeled.csv"),
        ("c.NDJSON", "data.labeled/c.labeled.ndjson"),
    ]
    with pytest.raises(ConfigurationError, match=r"a\.jsonl would have the same output|Rename"):
        made(folder, JSON, "a.JSONL")
        opened(tmp_path, folder)
    (folder / "a.JSONL").unlink()
    assert expected == opened(tmp_path, folder)
    assert not (tmp_path / "data.labeled").exists()


def test_what_is_left_out_of_a_folder_is_told(tmp_path: Path) -> None:
    """With the reason, cut to a few names; what belongs to an output is no news."""
    folder = tmp_path / "data"
    for name in ("a.csv", "b.csv"):
        made(folder, CSV, name)
    (job, _) = open_inputs([folder])
    assert [] == [note for note in job.table.notes if "left out" in note]
    assert [] == left_out_notes(folder / "a.csv")
    for name in (
        "e.labeled.csv",
        "e.labeled.csv.semfn.sqlite",
        "e.labeled.csv.semfn.sqlite.lock",
        "e.labeled.csv.run-results.json",
        ".hidden.csv",
        ".DS_Store",
        "readme.md",
        "sub/c.csv",
    ):
        made(folder, CSV, name)
    expected = (
        f"left out of {folder}: .hidden.csv (hidden), e.labeled.csv (name of an output), "
        "readme.md (no known suffix), sub (folder)"
    )
    assert [expected] == left_out_notes(folder)
    for job in open_inputs([folder]):
        assert 1 == job.table.notes.count(expected)
    for number in range(SHOWN_FILES):
        made(folder, "x", f"x{number}.txt")
    assert left_out_notes(folder)[0].endswith("x0.txt (no known suffix), and 4 more")


def test_folder_of_one_file_still_gets_a_folder(tmp_path: Path) -> None:
    """A second file in it changes nothing about the first one."""
    made(tmp_path, CSV, "data/a.csv")
    assert [("a.csv", "data.labeled/a.labeled.csv")] == opened(tmp_path, tmp_path / "data")
    expected = [("a.csv", "out/a.labeled.csv")]
    assert expected == opened(tmp_path, f"{tmp_path / 'data'}/", output=tmp_path / "out")


def test_this_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.` is the folder that one is in."""
    made(tmp_path, CSV, "data/a.csv")
    monkeypatch.chdir(tmp_path / "data")
    assert [("a.csv", "data.labeled/a.labeled.csv")] == opened(tmp_path, ".")


@pytest.mark.parametrize("name", ["notes.txt", "a.labeled.csv", ".a.csv"])
def test_folder_without_inputs_is_refused(tmp_path: Path, name: str) -> None:
    """One sentence says what was looked for."""
    made(tmp_path, CSV, name)
    message = refusal(lambda: open_inputs([tmp_path]))
    assert_says(message, f"The folder {tmp_path} holds no input", ".jsonl, .ndjson, .parquet")


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """As few folders as needed, stated in the notes, and outputs in such folders."""
    paths = [made(tmp_path, CSV, f"{folder}/a.csv") for folder in ("x/1", "y/1", "z/2")]
    paths.append(made(tmp_path, CSV, "b.csv"))
    jobs = open_inputs(paths, tmp_path / "out", topic="t")
    assert ["x/1/a.csv", "y/1/a.csv", "2/a.csv", "b.csv"] == [job.table.source for job in jobs]
    assert [
        tmp_path / "out" / name
        for name in (
            "x/1/a.labeled.csv",
            "y/1/a.labeled.csv",
            "2/a.labeled.csv",
            "b.labeled.csv",
        )
    ] == [job.output for job in jobs]
    assert f"the source of {paths[0]} is named 'x/1/a.csv'" in jobs[0].table.notes[-1]
    assert ["2/a.csv"] == [row.chunk.source for row in jobs[2].table.rows()]


def test_outputs_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    """Where the suffix alone differs, the whole name of the input goes into the output's."""
    made(tmp_path, CSV, "data/a.csv")
    made(tmp_path, gzip.compress(CSV.encode()), "data/a.csv.gz")
    made(tmp_path, CSV, "data/b.csv")
    assert [
        ("a.csv", "data.labeled/a.csv.labeled.csv"),
        ("a.csv.gz", "data.labeled/a.csv.gz.labeled.csv"),
        ("b.csv", "data.labeled/b.labeled.csv"),
    ] == opened(tmp_path, tmp_path / "data")


@pytest.mark.parametrize("again", ["a.csv", "../data/a.csv", "link.csv", "."])
def test_input_that_is_named_twice_is_refused(tmp_path: Path, again: str) -> None:
    """Whatever way leads to it, also through its folder."""
    folder = tmp_path / "data"
    path = made(folder, CSV, "a.csv")
    if again == "link.csv":
        (folder / again).symlink_to(path)
    message = refusal(lambda: open_inputs([path, folder / again], tmp_path), ConfigurationError)
    assert_says(message, "is the same input as", "once")


def test_several_inputs_need_a_folder(tmp_path: Path) -> None:
    """No output, one file, or the standard output cannot take several tables."""
    paths = [made(tmp_path, CSV, name) for name in ("a.csv", "b.csv")]
    message = refusal(lambda: open_inputs(paths), ConfigurationError)
    assert_says(message, "Several inputs need a folder", "-o")
    taken = made(tmp_path, "x", "taken")
    for output in (tmp_path / "o.csv", taken, "-"):
        message = refusal(lambda output=output: open_inputs(paths, output), ConfigurationError)  # type: ignore[misc]
        assert_says(message, f"{output} is one file", "-o")
    (tmp_path / "dir.csv").mkdir()
    assert 2 == len(open_inputs(paths, tmp_path / "dir.csv", topic="t"))


def test_options_hold_for_every_input(tmp_path: Path) -> None:
    """One that does not suit an input is refused with its name."""
    made(tmp_path, "k;body\n1;a\n", "data/a.csv")
    (job,) = open_inputs([tmp_path / "data"], delimiter=";", text_column="body", id_column="k")
    assert ["1"] == [row.chunk.id for row in job.table.rows()]
    path = made(tmp_path, JSON, "data/b.jsonl")
    message = refusal(
        lambda: open_inputs([tmp_path / "data"], delimiter=";", text_column="body"),
        ConfigurationError,
    )
    assert_says(message, f"{path} is no CSV file", "--delimiter")


def test_pipe_goes_to_the_standard_output_or_to_a_file(tmp_path: Path) -> None:
    """Its source is `-`, beside other inputs its output has the name of the copy."""
    copy, other = made(tmp_path, JSON, "stdin.jsonl"), made(tmp_path, CSV, "a.csv")
    (job,) = open_inputs(["-"], stdin=copy)
    assert (STREAM, Path(STREAM), copy) == (job.table.source, job.output, job.table.path)
    (job,) = open_inputs(["-"], tmp_path / "o.csv", stdin=copy)
    assert tmp_path / "o.csv" == job.output
    jobs = open_inputs(["-", other], tmp_path / "out", stdin=copy)
    assert [STREAM, "a.csv"] == [job.table.source for job in jobs]
    assert tmp_path / "out" / "stdin.labeled.jsonl" == jobs[0].output
    message = refusal(lambda: open_inputs(["-"]), ConfigurationError)
    assert_says(message, "no standard input")


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """A slip in a name is found before anything is sent."""
    made(tmp_path, CSV, "chunks.csv")
    assert_says(refusal(lambda: open_inputs([tmp_path / "chunk.csv"])), "no such file", "Nearest")


def test_no_input_is_refused() -> None:
    """An empty list is a mistake of the caller."""
    assert_says(refusal(lambda: open_inputs([]), ConfigurationError), "There is no input")


def test_output_that_the_format_cannot_hold_is_found_at_once(tmp_path: Path) -> None:
    """Doubled columns and an output in JSON Lines do not go together."""
    path = made(tmp_path, "text,x,x\na,1,2\n")
    message = refusal(lambda: open_inputs([path], tmp_path / "o.jsonl"), ConfigurationError)
    assert_says(message, "2 columns named 'x'")


def test_no_file_is_made_by_looking(tmp_path: Path) -> None:
    """Planning leaves no trace."""
    path = made(tmp_path, CSV, "a.csv")
    open_inputs([path, made(tmp_path, CSV, "b.csv")], tmp_path / "out", topic="t")
    assert ["a.csv", "b.csv"] == sorted(os.listdir(tmp_path))
    assert open_table(path, topic="t").source == "a.csv"
