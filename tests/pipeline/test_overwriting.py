"""What may be replaced by an output: nothing but outputs of the same ledger, unless it is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from analysis.entry import analyze_file
from analysis.errors import ConfigurationError, LedgerError
from analysis.hooks import Hooks
from analysis.pipeline.overwriting import (
    check_kind,
    check_ledger,
    check_no_input,
    has_columns,
)
from analysis.pipeline.places import RunPaths
from analysis.pipeline.run import Plan
from tests.commands.running import column, semfn, table

TOPIC = ("--topic", "Night trains", "--local")


def run(path: Path, *options: object) -> tuple[int, str]:
    """Label a table through the local service; return exit code and stderr."""
    result = semfn("run", path, *TOPIC, *options)
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    "name", ["precious.csv", "precious.jsonl", "notes", "p.csv.gz", "p.parquet"]
)
def test_a_foreign_file_is_not_replaced(tmp_path: Path, name: str) -> None:
    """Exit 2 before anything is sent, no ledger; --overwrite is the cure."""
    path, out = table(tmp_path, 3), tmp_path / name
    out.write_bytes(b"id,text\n1,the only copy\n")
    code, said = run(path, "-o", out)
    assert (2, True) == (code, "does not hold labels of a run" in said), said
    assert b"id,text\n1,the only copy\n" == out.read_bytes()
    assert not out.with_name(f"{name}.semfn.sqlite").exists()
    assert 0 == run(path, "-o", out, "--overwrite")[0]
    assert has_columns(out)
    assert 0 == run(path, "-o", out)[0]


def test_a_foreign_file_in_the_folder_of_outputs_is_not_replaced(tmp_path: Path) -> None:
    """The default name of an output is no licence."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    for name in ("a.csv", "b.csv"):
        table(folder, 2, name)
    (out / "b.labeled.csv").write_text("my own work", encoding="utf-8")
    code, said = run(folder, "-o", out)
    assert (2, True) == (code, f"{out / 'b.labeled.csv'} is there already" in said), said
    assert ["b.labeled.csv"] == sorted(path.name for path in out.iterdir())
    (out / "b.labeled.csv").unlink()
    assert [0, 0] == [run(folder, "-o", out)[0] for _ in range(2)]


def test_the_output_of_another_input_is_not_replaced(tmp_path: Path) -> None:
    """Both have the same default ledger, which knows the first input only."""
    first, second = table(tmp_path, 3, "a.csv"), table(tmp_path, 4, "b.csv")
    out = tmp_path / "out.csv"
    assert 0 == run(first, "-o", out)[0]
    before = out.read_bytes()
    code, said = run(second, "-o", out)
    assert (2, True) == (code, "knows no run over an input named b.csv" in said), said
    assert before == out.read_bytes()
    assert 0 == run(first, "-o", out, "--limit", 2)[0]
    assert 2 == len(column(out, "id"))
    assert 0 == run(second, "-o", out, "--overwrite")[0]


def test_what_comes_while_a_run_goes_on_is_not_replaced(tmp_path: Path) -> None:
    """The output of another run with its own ledger, or a foreign file; no label is lost."""
    path, out, ledger = table(tmp_path, 3), tmp_path / "out.csv", tmp_path / "own.sqlite"

    def other_run(plan: Plan, paths: RunPaths) -> None:
        analyze_file(path, out, ledger=tmp_path / "other.sqlite", route="offline", topic="Other")

    def foreign(plan: Plan, paths: RunPaths) -> None:
        out.write_text("my own work", encoding="utf-8")

    for come in (other_run, foreign):
        with pytest.raises(LedgerError, match="It was put there while this run went on"):
            analyze_file(path, out, ledger=ledger, route="offline", hooks=Hooks(on_plan=come))
        assert 3 == len(column(tmp_path / "out.partial.csv", "semantic_function"))
        came = out.read_bytes()
        kept = analyze_file(path, tmp_path / "again.csv", ledger=ledger, route="offline")
        assert (3, came) == (kept.reused, out.read_bytes())
        out.unlink()


def test_the_output_of_another_ledger_is_not_replaced(tmp_path: Path) -> None:
    """Also where both ledgers know the input; a ledger that was moved is taken as the same."""
    path, out = table(tmp_path, 3), tmp_path / "out.csv"
    assert 0 == run(path, "-o", out)[0]
    assert 0 == run(path, "-o", tmp_path / "x.csv", "--ledger", tmp_path / "x.sqlite")[0]
    code, said = run(path, "-o", out, "--ledger", tmp_path / "x.sqlite")
    assert (2, True) == (code, "is the output of the ledger" in said), said
    (tmp_path / "out.csv.semfn.sqlite").rename(tmp_path / "moved.sqlite")
    assert 0 == run(path, "-o", out, "--ledger", tmp_path / "moved.sqlite")[0]


def test_a_foreign_partial_file_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    """A run would write or remove it at its end."""
    path, partial = table(tmp_path, 3), tmp_path / "chunks.labeled.partial.csv"
    partial.write_text("mine", encoding="utf-8")
    code, said = run(path)
    assert (2, "mine") == (code, partial.read_text(encoding="utf-8"))
    assert "does not hold labels of a stopped run" in said


def test_an_empty_file_is_replaced(tmp_path: Path) -> None:
    """As `mktemp` makes it; there is nothing to lose."""
    path, out = table(tmp_path, 3), tmp_path / "out.csv"
    out.touch()
    assert 0 == run(path, "-o", out)[0]


def test_an_export_never_replaces_the_input(tmp_path: Path) -> None:
    """Its texts would be gone; not even --overwrite helps."""
    path = table(tmp_path, 3)
    assert 0 == run(path)[0]
    before, ledger = path.read_bytes(), tmp_path / "chunks.labeled.csv.semfn.sqlite"
    for more in ((), ("--overwrite",), ("--input", path, "--overwrite")):
        result = semfn("export", ledger, "-o", path, *more)
        assert (2, before) == (result.exit_code, path.read_bytes()), result.output
    assert "its texts would be lost" in semfn("export", ledger, "-o", path).stderr


def test_an_export_replaces_an_export_only(tmp_path: Path) -> None:
    """The output of the run has texts that an export has not; with inputs it is the other way."""
    path = table(tmp_path, 3)
    assert 0 == run(path)[0]
    out, ledger = tmp_path / "chunks.labeled.csv", tmp_path / "chunks.labeled.csv.semfn.sqlite"
    result = semfn("export", ledger, "-o", out)
    assert (2, True) == (result.exit_code, "does not hold an earlier export" in result.stderr)
    joined = ("--input", path, "--topic", "Night trains")
    assert 0 == semfn("export", ledger, "-o", out, *joined).exit_code
    labels = tmp_path / "labels.csv"
    for _ in range(2):
        assert 0 == semfn("export", ledger, "-o", labels).exit_code
    result = semfn("export", ledger, "-o", labels, *joined)
    assert 0 == result.exit_code, result.output


def test_the_columns_are_found_in_every_format(tmp_path: Path) -> None:
    """Side by side behind any delimiter; a text that names one of them is no header."""
    names = ("semantic_function", "semfn_error")
    for name, data, expected in (
        ("a.csv", b"id,text,semantic_function,semfn_error\n", True),
        ("a.csv", b'\xef\xbb\xbf"id";"semantic_function";"semfn_error"\r\n', True),
        ("a.tsv", b"id\tsemantic_function\tsemfn_error\tmine\n", True),
        ("a.csv", b"id,semantic_function,mine,semfn_error\n", False),
        ("a.csv", b"id,text\n1,semantic_function and semfn_error\n", False),
        ("a.jsonl", b'{"id": 1, "semfn_error": null, "semantic_function": "noise"}\n', True),
        ("a.jsonl", b'["semfn_error", "semantic_function"]\n', False),
        ("a.jsonl", b"no json\n", False),
        ("a.csv.gz", gzip.compress(b"id,semantic_function,semfn_error\n"), True),
        ("a.csv.gz", b"id,semantic_function,semfn_error\n", False),
        ("a.parquet", b"PAR1 semantic_function semfn_error", False),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert expected == has_columns(path, names), data
    assert not has_columns(tmp_path / "missing.csv", names)


def test_what_is_not_there_passes(tmp_path: Path) -> None:
    """No output yet, no results beside it, results that are not ours."""
    out, ledger = tmp_path / "out.csv", tmp_path / "l.sqlite"
    check_kind(out, ("x",), "x")
    check_no_input(out, ["out.csv"])
    for text in (None, "", "[]", '{"paths": {}}', '{"paths": {"ledger": 3}}'):
        if text is not None:
            (tmp_path / "r.json").write_text(text, encoding="utf-8")
        check_ledger(out, ledger, results=tmp_path / "r.json")


def test_an_input_is_known_by_its_name_and_its_folders(tmp_path: Path) -> None:
    """A source of two parts is not the file of the last part alone."""
    (tmp_path / "x").mkdir()
    path = table(tmp_path / "x", 1, "a.csv")
    check_no_input(path, ["b.csv", "y/a.csv"])
    for source in ("a.csv", "x/a.csv"):
        with pytest.raises(ConfigurationError, match="an input of the ledger"):
            check_no_input(path, [source])
