"""JSON Lines as a table: keys, raw numbers, broken lines."""

from __future__ import annotations

import gzip
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.pipeline.formats import Kind
from analysis.pipeline.json_rows import COLUMN_COUNT, open_json
from analysis.pipeline.tables import open_table, scan
from analysis.records import Chunk
from analysis.settings import SETTINGS
from tests.pipeline.table_files import assert_says, json_lines, made, refusal

NAME = "chunks.jsonl"


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"text,id", ("'text,id' is no object",)),
        (b'["a"]', ("'[\"a\"]' is no object",)),
        (b'{"text": "a"', ("truncated", "mend the line or remove it")),
        (b'{"text": "a"} {"text": "b"}', ("trailing characters",)),
        (b'{"text": NaN}', ("invalid character",)),
        (b'{"text": "\\ud800"}', ("line 3:", "half a character")),
        (b'{"text": "caf\xe9"}', ("byte 0xE9 is not valid UTF-8",)),
        (b'{"other": "caf\xe9"}', ("byte 0xE9 is not valid UTF-8",)),
        (b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ("nested too deeply",)),
    ],
)
def test_broken_line_is_one_error_with_place_and_cure(
    tmp_path: Path, line: bytes, parts: tuple[str, ...]
) -> None:
    """File, line, what is there and what should be: before anything is sent."""
    path = made(tmp_path, b'{"text": "fine"}\n\n' + line + b"\n", NAME)
    message = refusal(lambda: open_table(path))
    assert_says(message, f"{path}, line 3: ", 'one JSON object such as {"id": "1"', *parts)
    assert "\n" not in message


def test_array_names_the_command_that_makes_lines(tmp_path: Path) -> None:
    """A file with one array gets its cure."""
    path = made(tmp_path, '[\n{"text": "a"}\n]\n', NAME)
    assert_says(refusal(lambda: open_table(path)), "line 1: '[' is no object", "jq -c '.[]'")


@pytest.mark.parametrize("content", ["", "\n \n", "{}\n", "\ufeff"])
def test_file_without_values_is_refused(tmp_path: Path, content: str) -> None:
    """Without a single key nothing can be the text."""
    path = made(tmp_path, content, NAME)
    assert_says(refusal(lambda: open_table(path)), str(path), "Each line must hold one JSON object")


@pytest.mark.parametrize("value", ["12.5", "true", "[1]", "{}"])
def test_text_that_is_no_string_is_refused(tmp_path: Path, value: str) -> None:
    """A number is not taken for a text; the message shows it."""
    path = made(tmp_path, f'{{"text": "a"}}\n{{"text": {value}}}\n', NAME)
    message = refusal(lambda: scan(open_table(path, topic="t")))
    assert_says(message, f"line 2: the value of 'text' is {value!r}, not a string or null.")


@pytest.mark.parametrize("key", ["id", "document", "topic"])
def test_other_roles_take_numbers_but_nothing_nested(tmp_path: Path, key: str) -> None:
    """An id may be a number, not a list."""
    path = made(tmp_path, f'{{"text": "a", "{key}": ["x"]}}\n', NAME)
    message = refusal(lambda: scan(open_table(path, topic="t")))
    assert_says(message, f"value of '{key}' is '[\"x\"]', not a string, a number or null")


def test_nul_in_a_text_is_refused(tmp_path: Path) -> None:
    """An escaped NUL is no better than a raw one."""
    path = made(tmp_path, '{"text": "a\\u0000b"}\n', NAME)
    assert_says(refusal(lambda: scan(open_table(path, topic="t"))), "line 1", "NUL character")


def test_ids_compare_as_they_are_written(tmp_path: Path) -> None:
    """1, 1.0 and 1e0 are three ids; 1 and "1" are one."""
    path = made(
        tmp_path, "".join(f'{{"id":{one},"text":"a"}}\n' for one in ("1", "1.0", "1e0")), NAME
    )
    table = open_table(path, topic="t")
    scan(table)
    assert ["1", "1.0", "1e0"] == [row.chunk.id for row in table.rows()]
    path = made(tmp_path, '{"id":1,"text":"a"}\n{"id":"1","text":"b"}\n', NAME)
    message = refusal(lambda: scan(open_table(path, topic="t")))
    assert_says(message, "repeat the id of an earlier row: 1, first ids '1' (rows 1 and 2)")


def test_large_ids_keep_every_digit(tmp_path: Path) -> None:
    """A number beyond 64 bits is an id like any other."""
    table = open_table(made(tmp_path, f'{{"id":{"9" * 40},"text":"a"}}\n', NAME))
    assert ["9" * 40] == [row.chunk.id for row in table.rows()]


def test_rows_have_lines_and_chunks(tmp_path: Path) -> None:
    """Blank lines and a byte order mark are no rows; a missing key is an empty value."""
    content = (
        '\ufeff{"text": "a\\nb\u2028c", "id": "x", "topic": "own", "n": {"k": [1]}}\r\n\n'
        '{"document": 7, "text": null}\r\n'
        '  {"id": 3, "extra": true, "text": "c", "document": null}'
    )
    table = open_table(made(tmp_path, content, NAME), topic="given")
    assert ("text", "id", "topic", "n", "document", "extra") == table.columns
    expected = [
        (1, 1, Chunk(id="x", text="a\nb\u2028c", topic="own", source=NAME)),
        (2, 3, Chunk(id="", text="", topic="given", document="7", source=NAME)),
        (3, 4, Chunk(id="3", text="c", topic="given", source=NAME)),
    ]
    assert expected == [(row.number, row.line, row.chunk) for row in table.rows()]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "A.JSONL.GZ"])
def test_names_that_tell_the_format(tmp_path: Path, name: str) -> None:
    """Both suffixes and their packed forms are read."""
    data = json_lines({"text": "a"}, {"text": "b"}).encode()
    table = open_table(made(tmp_path, gzip.compress(data) if "GZ" in name else data, name))
    assert ["a", "b"] == [row.chunk.text for row in table.rows()]


def test_packed_file_that_is_damaged_or_not_packed_is_refused(tmp_path: Path) -> None:
    """A cut file never ends as if all were well."""
    packed = gzip.compress(json_lines(*({"text": str(n)} for n in range(9_999))).encode())
    path = made(tmp_path, packed[:-4_000], "a.jsonl.gz")
    assert_says(refusal(lambda: open_table(path)), "after line", "cut or damaged")
    path = made(tmp_path, '{"text": "a"}\n', "b.jsonl.gz")
    assert_says(refusal(lambda: open_table(path)), "is not a gzip file")


def test_utf16_is_named(tmp_path: Path) -> None:
    """JSON Lines are UTF-8; the message says how to turn the file."""
    path = made(tmp_path, '{"text": "a"}\n'.encode("utf-16"), NAME)
    assert_says(refusal(lambda: open_table(path)), "UTF-16", "iconv")


def test_line_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """One line never fills the memory."""
    path = made(tmp_path, '{"text": "a"}\n{"text": "' + "x" * 2_000 + '"}\n', NAME)
    message = refusal(lambda: open_table(path, settings=replace(SETTINGS, field_bytes=1_024)))
    assert_says(message, "line 2: the line has more than 1,024 bytes")


def test_keys_that_are_values_are_refused(tmp_path: Path) -> None:
    """More keys than a table can have columns end the reading."""
    lines = json_lines({"text": "a"}, *({f"k{n}": 1} for n in range(COLUMN_COUNT)))
    message = refusal(lambda: open_table(made(tmp_path, lines, NAME)))
    assert_says(message, f"line {COLUMN_COUNT + 1}: more than 10,000 different keys")


def test_limit_leaves_the_rest_unread(tmp_path: Path) -> None:
    """Lines behind the limit are neither read nor checked."""
    path = made(tmp_path, json_lines({"text": "a"}, {"text": "b"}) + "broken\n", NAME)
    assert ["a", "b"] == [row.chunk.text for row in open_table(path, limit=2).rows()]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["null"], Kind.TEXT),
        (['"a"', "null"], Kind.TEXT),
        (["1", "null", "-2"], Kind.INTEGER),
        ([str(2**63)], Kind.OTHER),
        ([str(2**63 - 1)], Kind.INTEGER),
        (["1", "0.5"], Kind.NUMBER),
        ([str(2**53 + 1), "0.5"], Kind.OTHER),
        (["true", "false"], Kind.BOOLEAN),
        (["true", "1"], Kind.OTHER),
        (['"a"', "1"], Kind.OTHER),
        (["[1]"], Kind.OTHER),
        (["{}"], Kind.OTHER),
    ],
)
def test_kind_of_a_column_holds_all_its_values(
    tmp_path: Path, values: list[str], kind: Kind
) -> None:
    """A type is taken only where no value loses anything by it."""
    path = made(tmp_path, "".join(f'{{"k": {value}}}\n' for value in values), NAME)
    assert (kind,) == open_json(path, limit=None, line_bytes=1_000).kinds


def test_texts_and_values_of_a_row(tmp_path: Path) -> None:
    """Strings as they are, numbers as written, nested values without spaces, null as nothing."""
    line = '{"s": "a b", "f": 1.10, "o": { "k" : [ 1.10, "x y" ] }, "n": null, "b": true}'
    rows = open_json(made(tmp_path, line + '\n{"z": 1}\n', NAME), limit=None, line_bytes=1_000)
    first, second = (cells for *_, cells, _ in rows.records({"text": 0}))
    assert ["a b", "1.10", '{"k":[1.10,"x y"]}', "", "true", ""] == rows.texts(first)
    assert ["a b", 1.1, '{"k":[1.10,"x y"]}', None, True, None] == rows.values(first)
    assert ["", "", "", "", "", "1"] == rows.texts(second)
    assert line.encode() == rows.json(first)


def test_memory_does_not_grow_with_the_lines(tmp_path: Path) -> None:
    """Ten times the lines need no more Python memory."""
    peaks = []
    for count in (3_000, 30_000):
        path = made(
            tmp_path, json_lines(*({"id": n, "text": f"t {n}"} for n in range(count))), NAME
        )
        tracemalloc.start()
        scan(open_table(path, topic="t"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_narrowed_lines_have_the_keys_that_are_kept(tmp_path: Path) -> None:
    """Values as they are written; a key that a line does not have is not made up."""
    path = made(tmp_path, '{"a": 1.10, "b": {"x": [1 ,2]}, "c": "\\u0061"}\n{"b": 2}\n', "a.jsonl")
    narrow = open_json(path, limit=None, line_bytes=1_000).narrowed([0, 2])
    assert (("a", "c"), (Kind.NUMBER, Kind.TEXT)) == (narrow.columns, narrow.kinds)
    first, second = (cells for _, _, cells, _ in narrow.records({}))
    assert (b'{"a":1.10,"c":"\\u0061"}', b"{}") == (narrow.json(first), narrow.json(second))
    assert (["1.10", "a"], ["", ""]) == (narrow.texts(first), narrow.texts(second))
    assert [1.1, "a"] == narrow.values(first)
