"""`semfn run` with input and options that cannot be used: exit 2, one sentence, nothing sent."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from analysis.pipeline.output import OUTPUT_COLUMNS
from tests.commands.running import (
    HEADER,
    Paid,
    assert_refused,
    column,
    paid_service,
    raw,
    read,
    semfn,
    table,
    written,
)

CHUNKS = ["chunks.csv"]
CYRILLIC = "id,text\n1,Первый абзац о поездах.\n2,Второй абзац.\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Paid]:
    """Serve for all tests of this file."""
    with paid_service() as paid:
        yield paid


@pytest.fixture
def service(running: Paid) -> Paid:
    """Give each test the service without earlier payments."""
    running.records.clear()
    return running


def refuse(folder: Path, service: Paid, *arguments: object, parts: tuple[str, ...]) -> None:
    """Give `run` with these arguments; it must be refused with these parts in the error."""
    before = os.listdir(folder)
    result = semfn("run", *arguments, env=service.environment())
    assert_refused(result, folder, *parts, files=before)
    assert [] == service.records


def test_missing_file_names_the_nearest(tmp_path: Path, service: Paid) -> None:
    """A mistyped path is answered with the file that was probably meant."""
    path = table(tmp_path)
    missing = tmp_path / "chunk.csv"
    refuse(tmp_path, service, missing, parts=(f"{missing}: no such file", f"Nearest: {path}."))


def test_empty_folder_as_input_is_refused(tmp_path: Path, service: Paid) -> None:
    """A folder stands for its files; one without any is refused."""
    empty = tmp_path / "empty"
    empty.mkdir()
    refuse(tmp_path, service, empty, parts=("holds no input", ".csv", "Name a folder"))


def test_missing_text_column_lists_columns_and_the_nearest(tmp_path: Path, service: Paid) -> None:
    """The columns that are there, the nearest of them, and the option."""
    path = written(tmp_path, [("id", "Text_Body"), ("1", "a")])
    parts = ("no column 'text'", "found: 'id', 'Text_Body'", "Nearest: 'Text_Body'")
    refuse(tmp_path, service, path, parts=(*parts, "--text-column"))


def test_duplicate_ids_are_listed(tmp_path: Path, service: Paid) -> None:
    """The first doubled ids stand there with both rows."""
    rows = [(name, f"t{place}", "x") for place, name in enumerate("abacb")]
    path = written(tmp_path, [HEADER, *rows])
    parts = ("repeat the id", "'a' (rows 1 and 3)", "'b' (rows 2 and 5)", "--id-column")
    refuse(tmp_path, service, path, parts=parts)


def test_nul_byte_names_its_line(tmp_path: Path, service: Paid) -> None:
    """A NUL byte is found before anything is sent."""
    path = raw(tmp_path, b"id,text,topic\n1,a,x\n2,b\0,x\n")
    refuse(tmp_path, service, path, parts=("line 3", "NUL byte", "tr -d"))


def test_windows_1251_names_the_option_and_works_with_it(tmp_path: Path, service: Paid) -> None:
    """Without --encoding the line and the cure are named; with it the texts are right."""
    path = raw(tmp_path, CYRILLIC.encode("windows-1251"))
    parts = ("line 2", "not valid UTF-8", "--encoding", "windows-1251")
    refuse(tmp_path, service, path, "--topic", "Поезда", parts=parts)
    result = semfn(
        "run", path, "--topic", "Поезда", "--encoding", "windows-1251", env=service.environment()
    )
    assert 0 == result.exit_code, result.output
    texts = column(tmp_path / "chunks.labeled.csv", "text")
    assert ["Первый абзац о поездах.", "Второй абзац."] == texts


def test_labelled_file_as_input_names_the_column(tmp_path: Path, service: Paid) -> None:
    """A column of ours is never written twice."""
    path = written(tmp_path, [(*HEADER, "semfn_route"), ("1", "a", "x", "rest")])
    parts = ("already has the column semfn_route", "Rename or drop it")
    refuse(tmp_path, service, path, parts=parts)


def test_no_topic_anywhere_names_both_cures(tmp_path: Path, service: Paid) -> None:
    """A topic comes from the option or a column; without both there is no run."""
    path = written(tmp_path, [("id", "text"), ("1", "a")])
    refuse(tmp_path, service, path, parts=("Rows without a topic: 1", "--topic", "topic column"))


def test_output_that_cannot_be_written_is_refused(tmp_path: Path, service: Paid) -> None:
    """A missing folder, a file in place of a folder, a folder in place of the file, the input."""
    path = table(tmp_path)
    (tmp_path / "taken").mkdir()
    for output, part in (
        (tmp_path / "no" / "out.csv", "there is no folder"),
        (path / "out.csv", "Not a directory"),
        (tmp_path / "taken", "it is a folder"),
        (path, "is the input itself"),
    ):
        refuse(tmp_path, service, path, "-o", output, parts=(part, "-o"))


def test_files_of_a_run_may_not_share_a_path(tmp_path: Path, service: Paid) -> None:
    """The ledger is not the output, and a stop does not write over the input."""
    path = table(tmp_path, name="a.partial.csv")
    out = tmp_path / "out.csv"
    refuse(tmp_path, service, path, "-o", out, "--ledger", out, parts=("both output and ledger",))
    parts = ("both input and partial output",)
    refuse(tmp_path, service, path, "-o", tmp_path / "a.csv", parts=parts)


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        ("--route", "rset", ("Route 'rset'", "realtime, responses-ws, rest, decisions, offline")),
        ("--route", "rest,rest", ("each once",)),
        ("--route", "", ("at least one",)),
        ("--model", "realtime=x", ("'realtime', which is not used", "rest")),
        ("--model", "=x", ("--model =x cannot be read", "ROUTE=NAME")),
        ("--label-set", "ten_function", ("'ten_function' not found", "nearest: ten_functions")),
        ("--language", "de", ("Language 'de'", "auto, en, ru, fr, zh")),
        ("--delimiter", ";;", ("Delimiter ';;'", "one character")),
        ("--encoding", "utf-9", ("Unknown encoding 'utf-9'", "windows-1251")),
        ("--max-failed", "some", ("--max-failed 'some'", "2%")),
        ("--max-failed", "-1", ("--max-failed '-1'",)),
        ("--max-failed", "101%", ("--max-failed '101%'",)),
        ("--max-failed", "1.5", ("--max-failed '1.5'",)),
        ("--limit", "0", ("limit is 0", "at least 1")),
        ("--sample", "0", ("sample is 0", "at least 1")),
        ("--budget", "0", ("budget is 0.0", "US dollars above 0")),
        ("--stop-after", "-1", ("stop_after is -1.0", "seconds above 0")),
        ("--reuse", "none.sqlite", ("none.sqlite",)),
        ("--max-chunks-per-request", "21", ("1 to 20, or auto",)),
        ("--max-concurrent", "0", ("at least 1",)),
        ("--text-column", "texts", ("no column 'texts'", "Nearest: 'text'")),
        ("--topic-column", "theme", ("no column 'theme'", "found: 'id', 'text', 'topic'")),
    ],
)
def test_options_that_cannot_be_used_name_what_can(
    tmp_path: Path, service: Paid, option: str, value: str, parts: tuple[str, ...]
) -> None:
    """Each option says what was given and what is allowed."""
    refuse(tmp_path, service, table(tmp_path), option, value, parts=parts)


def test_one_model_for_two_different_routes_is_refused(tmp_path: Path, service: Paid) -> None:
    """No model serves both Realtime and REST."""
    arguments = (table(tmp_path), "--route", "realtime,rest", "--model", "m")
    refuse(tmp_path, service, *arguments, parts=("Name it per route", "realtime=m"))


def test_mistyped_option_suggests_the_nearest(tmp_path: Path, service: Paid) -> None:
    """The parser of options names what was meant, and exits with 2, too."""
    result = semfn("run", table(tmp_path), "--lanuage", "x", env=service.environment())
    assert 2 == result.exit_code
    assert "No such option '--lanuage'. Did you mean '--language'?" in result.stderr
    assert [] == service.records


def test_neither_key_nor_base_url_names_both_cures(tmp_path: Path) -> None:
    """Rules never label by accident: the user chooses a key or --local."""
    result = semfn("run", table(tmp_path))
    assert_refused(result, tmp_path, "OPENAI_API_KEY", "--local", files=CHUNKS)


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("http://example.org/v1", "unprotected"),
        ("ftp://example.org/v1", "https://"),
        ("https://me:secret@example.org/v1", "no user name"),
    ],
)
def test_unsafe_base_url_is_refused(tmp_path: Path, address: str, part: str) -> None:
    """Key and texts leave the machine over https only; a password is not repeated."""
    env: dict[str, str | None] = {"OPENAI_API_KEY": "sk-canary", "OPENAI_BASE_URL": address}
    result = semfn("run", table(tmp_path), env=env)
    assert_refused(result, tmp_path, part, files=CHUNKS)
    assert "secret" not in result.output
    assert "sk-canary" not in result.output


def test_cost_above_the_limit_needs_a_yes(tmp_path: Path, service: Paid) -> None:
    """Off a terminal the figure and both cures are named, before anything is sent."""
    text = "word " * 20_000
    path = written(tmp_path, [HEADER, *((str(n), f"{n} {text}", "x") for n in range(60))])
    chosen = ("--route", "realtime", "--model", "gpt-realtime-2.1")
    result = semfn("run", path, *chosen, env=service.environment())
    assert 2 == result.exit_code
    error = result.stderr[result.stderr.index("Error: ") :]
    for part in ("estimated at", "above 5.00 USD", "--yes", "--budget", "--limit"):
        assert part in error
    assert [] == service.records
    assert not (tmp_path / "chunks.labeled.csv").exists()
    assert not (tmp_path / "chunks.labeled.partial.csv").exists()


def test_debug_shows_the_traceback_and_keeps_the_exit_code(tmp_path: Path) -> None:
    """The traceback comes before the sentence, not in place of it."""
    result = semfn("run", tmp_path / "no.csv", "--debug")
    assert 2 == result.exit_code
    assert "Traceback" in result.stderr
    assert f"\nError: Cannot read {tmp_path / 'no.csv'}" in result.stderr


def test_file_that_is_no_ledger_stays_as_it_is(tmp_path: Path, service: Paid) -> None:
    """Text and foreign databases are refused with exit 5 and not touched."""
    path = table(tmp_path)
    text = raw(tmp_path, b"my notes", "notes.txt")
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    for ledger in (text, foreign, tmp_path):
        before = ledger.read_bytes() if ledger.is_file() else b""
        result = semfn("run", path, "--ledger", ledger, env=service.environment())
        assert 5 == result.exit_code, result.output
        assert "Name another ledger." in result.stderr
        assert 1 == result.stderr.count("Error: ")
        assert before == (ledger.read_bytes() if ledger.is_file() else b"")
    result = semfn("run", path, "--ledger", tmp_path / "no" / "a.sqlite", env=service.environment())
    assert (5, True) == (result.exit_code, "does not exist. Create it first." in result.stderr)
    assert [] == service.records


def test_bom_semicolons_quotes_and_newlines_are_read(tmp_path: Path, service: Paid) -> None:
    """A spreadsheet's file works; what was assumed is printed; the output has the same form."""
    path = raw(tmp_path, b'\xef\xbb\xbfid;text;topic\r\n1;"a ""b""\r\nc; d";x\r\n2;e;x\r\n')
    result = semfn("run", path, env=service.environment())
    assert 0 == result.exit_code, result.output
    assert "Input: delimiter ';' taken from the header." in result.stderr
    data = (tmp_path / "chunks.labeled.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfid;text;topic;semantic_function;")
    assert b'\n1;"a ""b""\r\nc; d";x;' in data
    assert 2 == service.chunks


def test_text_of_a_megabyte_fails_alone(tmp_path: Path, service: Paid) -> None:
    """The row is `too_long`, the others are labelled; --max-failed decides about the exit code."""
    long = "A sentence of the text. " * 45_000
    path = written(tmp_path, [HEADER, ("1", "a", "x"), ("2", long, "x"), ("3", "b", "x")])
    result = semfn("run", path, env=service.environment())
    assert 1 == result.exit_code, result.output
    assert "Not labelled: 1 row too_long, first '2': the text has about" in result.stderr
    output = tmp_path / "chunks.labeled.csv"
    assert ["", "too_long", ""] == column(output, "semfn_error")
    assert ["", long] == [read(output)[1]["semantic_function"], read(output)[1]["text"]]
    assert 2 == service.chunks
    for allowed, code in (("1", 0), ("34%", 0), ("33%", 1), ("0", 1)):
        assert (
            code == semfn("run", path, "--max-failed", allowed, env=service.environment()).exit_code
        ), allowed
    assert 2 == service.chunks


def test_empty_texts_are_not_sent_and_do_not_fail(tmp_path: Path, service: Paid) -> None:
    """Nothing, spaces and invisible characters: kind `empty`, exit 0."""
    texts = ("a", "", "  ", "\u200b", "b")
    path = written(tmp_path, [HEADER, *((str(n), text, "x") for n, text in enumerate(texts))])
    result = semfn("run", path, env=service.environment())
    assert 0 == result.exit_code, result.output
    output = tmp_path / "chunks.labeled.csv"
    assert ["", "empty", "empty", "empty", ""] == column(output, "semfn_error")
    assert list(texts) == column(output, "text")
    assert 2 == service.chunks
    assert "3 rows empty, first '1'" in result.stderr


@pytest.mark.parametrize("rows", [[], [("1", "", "x")]])
def test_input_without_a_text_ends_with_an_output(
    tmp_path: Path, service: Paid, rows: list[tuple[str, ...]]
) -> None:
    """No rows, or only empty ones, are nothing to do; the output has the columns."""
    result = semfn("run", written(tmp_path, [HEADER, *rows]), env=service.environment())
    assert 0 == result.exit_code, result.output
    assert "Nothing to do" in result.stderr
    output = tmp_path / "chunks.labeled.csv"
    first = output.read_text(encoding="utf-8").splitlines()[0]
    assert ",".join((*HEADER, *OUTPUT_COLUMNS)) == first
    assert len(rows) == len(read(output))
    assert [] == service.records


def test_name_of_the_input_may_hold_any_bytes(tmp_path: Path, service: Paid) -> None:
    """Control characters are escaped on the terminal; bytes that are no text do no harm."""
    name = os.fsdecode(b"a\x1b[31m\xff.csv")
    try:
        path = table(tmp_path, 1, name)
    except OSError:
        pytest.skip("this file system takes text as names only")
    result = semfn("run", path, "--json", env=service.environment())
    assert 0 == result.exit_code, result.output
    assert "\x1b" not in result.stderr
    assert "a\\x1b[31m" in result.stderr
    assert 1 == service.chunks
