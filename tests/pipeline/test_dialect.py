"""How CSV files are read: encodings, delimiters, quotes, damage."""

from __future__ import annotations

import csv
import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.errors import ConfigurationError, InputError
from analysis.pipeline.dialect import Dialect, detect, records

LIMIT = 1_000_000


def found(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    row_chars: int = LIMIT,
) -> Dialect:
    """Return the dialect of a file."""
    return detect(path, encoding=encoding, delimiter=delimiter, row_chars=row_chars)[0]


def content(path: Path, *, encoding: str | None = None, row_chars: int = LIMIT) -> list[list[str]]:
    """Return all rows of a file, the header included."""
    return [cells for _, cells in records(found(path, encoding=encoding, row_chars=row_chars))]


def made(folder: Path, data: bytes, name: str = "chunks.csv") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(call: Callable[[], object], kind: type[Exception] = InputError) -> str:
    """Return the message of the error that the call must raise."""
    with pytest.raises(kind) as caught:
        call()
    assert kind is caught.type
    return str(caught.value)


def assert_says(message: str, *parts: str) -> None:
    """Assert that each part stands in the message."""
    assert [part for part in parts if part not in message] == [], message


def test_missing_file_names_the_nearest_and_creates_nothing(tmp_path: Path) -> None:
    """A mistyped path is an error that names a similar file; no file appears."""
    made(tmp_path, b"text\na\n")
    message = refusal(lambda: found(tmp_path / "chunk.csv"))
    assert_says(message, f"Cannot read {tmp_path / 'chunk.csv'}: no such file", "chunks.csv.")
    message = refusal(lambda: found(tmp_path / "no" / "a.csv"))
    assert_says(message, "no such file", f"no folder {tmp_path / 'no'}")
    assert os.listdir(tmp_path) == ["chunks.csv"]


def test_a_name_whose_accents_are_coded_otherwise_is_told(tmp_path: Path) -> None:
    """Both names look the same, so naming the nearest file alone would explain nothing."""
    made(tmp_path, b"text\na\n", "e\u0301te\u0301.csv")
    if (tmp_path / "\u00e9t\u00e9.csv").exists():
        pytest.skip("this file system takes both names for one")
    message = refusal(lambda: found(tmp_path / "\u00e9t\u00e9.csv"))
    assert_says(message, "e\u0301te\u0301.csv, whose accents are coded in another way")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Only a regular file can be read twice; other reasons are the system's own words."""
    os.mkfifo(tmp_path / "pipe.csv")
    assert_says(refusal(lambda: found(tmp_path)), "it is a folder")
    assert_says(refusal(lambda: found(tmp_path / "pipe.csv")), "no regular file")
    assert_says(refusal(lambda: found(tmp_path / ("x" * 300))), "too long")
    assert_says(refusal(lambda: found(tmp_path / "a\0b")), "null")


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("a.csv", b"", "is empty (0 bytes)"),
        ("a.csv.gz", gzip.compress(b""), "is empty when unpacked"),
        ("a.csv", b"\n\r\n\n", "blank lines only"),
        ("a.csv", b"\xef\xbb\xbf", "blank lines only"),
    ],
)
def test_file_without_header_is_refused(tmp_path: Path, name: str, data: bytes, part: str) -> None:
    """Zero bytes, an empty gzip file and blank lines have no header."""
    assert_says(refusal(lambda: found(made(tmp_path, data, name))), part, "name the columns")


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("a.csv", gzip.compress(b"text\na\n"), "ends in .gz"),
        ("a.csv", b"PK\x03\x04rest", "workbook"),
        ("a.xls", b"\xd0\xcf\x11\xe0rest", "is a workbook. Save the table as CSV"),
        ("a.pkl", b"\x80\x05\x95rest", "is a pickle. Write the table with to_csv"),
        ("a.arrow", b"ARROW1rest", "is an Arrow file. Write the table as Parquet"),
        ("a.json", b'[{"id":1}]', "is JSON, and of JSON only lines are read"),
        ("a.csv", b"PAR1rest", "Parquet"),
        ("a.csv.gz", b"text\na\n", "not a gzip file"),
    ],
)
def test_wrong_suffixes_are_named(tmp_path: Path, name: str, data: bytes, part: str) -> None:
    """A gzip, zip or Parquet file under the name .csv is called what it is; so is plain text."""
    assert_says(refusal(lambda: found(made(tmp_path, data, name))), part)


def test_cut_gzip_names_the_line_reached(tmp_path: Path) -> None:
    """A gzip file that ends too early is an error, not a shorter table."""
    draw = random.Random(1)
    rows = b"".join(b"%d,%d\n" % (number, draw.getrandbits(64)) for number in range(5_000))
    path = made(tmp_path, gzip.compress(b"id,text\n" + rows)[:-2_000], "a.csv.gz")
    message = refusal(lambda: content(path))
    line = int(message.split("after line ")[1].split(":")[0])
    assert_says(message, "end-of-stream", "cut or damaged")
    assert 1_000 < line < 5_000


def test_corrupt_gzip_is_refused(tmp_path: Path) -> None:
    """Changed bytes inside a gzip file are an error, also when only the checksum tells."""
    packed = bytearray(gzip.compress(b"id,text\n" + b"1,a\n" * 50_000))
    packed[-8] ^= 0xFF
    path = made(tmp_path, bytes(packed), "a.csv.gz")
    assert_says(refusal(lambda: content(path)), "CRC", "damaged")
    packed[10:40] = b"\xff" * 30
    path = made(tmp_path, bytes(packed), "a.csv.gz")
    assert_says(refusal(lambda: content(path)), "Cannot read")


def test_gzip_is_read_like_the_plain_file(tmp_path: Path) -> None:
    """Packing changes nothing about the rows; capitals in the suffix do not matter."""
    data = b"id;text\n1;a\n"
    expected = content(made(tmp_path, data))
    assert expected == content(made(tmp_path, gzip.compress(data), "CHUNKS.CSV.GZ"))


@pytest.mark.parametrize(
    ("data", "line", "byte", "offset"),
    [
        (b"id,text\n1,ok\n2,\xff\n", 3, "0xFF", 15),
        (b"id,text\r\n1,ok\r\n2,\xff\r\n", 3, "0xFF", 17),
        (b"id,text\r1,ok\r\xff,x\r", 3, "0xFF", 13),
        (b'id,text\n1,"a\nb"\n2,\xd0"\n', 4, "0xD0", 18),
        (b"id,text\n1,cut \xd0", 2, "0xD0", 14),
        (b"id,text\n" + b"1,a\n" * 40_000 + b"2,\xe9t\xe9\n", 40_002, "0xE9", 160_010),
        (b"id,text\n" + b"1,\xc3\xa9\n" * 30_000 + b"2,\xc3\n", 30_002, "0xC3", 150_010),
    ],
)
def test_bad_utf8_names_line_byte_and_cure(
    tmp_path: Path, data: bytes, line: int, byte: str, offset: int
) -> None:
    """The first byte that is not UTF-8 is named exactly, in any block of the file."""
    path = made(tmp_path, data)
    message = refusal(lambda: content(path))
    assert_says(message, f"{path}, line {line}: byte {byte} at offset {offset} ", "UTF-8")
    assert_says(message, "--encoding", "windows-1251", "gb18030", "latin-1")


@pytest.mark.parametrize(
    ("encoding", "data", "line"),
    [
        ("windows-1251", b"id,text\n1,\x98\n", 2),
        ("iso-2022-jp", b"id,text\n1,a\n2,\x1b$B\xff\n", 3),
        ("gb18030", b"id,text\n1,\xb5\xda\n2,\xff\n", 3),
        ("utf-16", "id,text\n1,a\n".encode("utf-16") + b"\x00", 3),
    ],
)
def test_named_encoding_is_strict(tmp_path: Path, encoding: str, data: bytes, line: int) -> None:
    """A byte that the named encoding does not know is an error, never a replacement mark."""
    path = made(tmp_path, data)
    message = refusal(lambda: content(path, encoding=encoding))
    assert_says(message, f"line {line}: byte 0x", "Pass --encoding")


@pytest.mark.parametrize("name", ["utf-9", "hex", "rot13", "unicode_escape", "idna", "a\0b", ""])
def test_unknown_encoding_is_refused(tmp_path: Path, name: str) -> None:
    """Names that are no encoding of text files are an error in the option."""
    path = made(tmp_path, b"text\na\n")
    message = refusal(lambda: found(path, encoding=name), ConfigurationError)
    assert_says(message, f"Unknown encoding {name!r}", "windows-1251")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("windows-1251", "Абзац"), ("gb18030", "第一段"), ("latin-1", "Élève"), ("utf-16-le", "я第")],
)
def test_named_encoding_is_used(tmp_path: Path, encoding: str, text: str) -> None:
    """A file in the named encoding gives its text."""
    path = made(tmp_path, f"id,text\n1,{text}\n".encode(encoding))
    assert [["id", "text"], ["1", text]] == content(path, encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_mark_asks_for_the_option_and_then_works(tmp_path: Path, encoding: str) -> None:
    """UTF-16 and UTF-32 with a mark are named, and read when the option is given."""
    path = made(tmp_path, "id\ttext\r\n1\tСтрока\r\n".encode(encoding))
    assert_says(refusal(lambda: found(path)), f"Pass --encoding {encoding}.")
    assert content(path, encoding=encoding) == [["id", "text"], ["1", "Строка"]]
    assert found(path, encoding=encoding).has_bom
    dialect = found(path, encoding=f"{encoding}-le")  # this codec leaves the mark in the text
    assert next(records(dialect)) == (1, ["id", "text"])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("data", [b"id,text\n1,a\n", "id,text\n1,一\n".encode("utf-16-le"), b"a"])
def test_wide_encoding_without_its_mark_is_refused(
    tmp_path: Path, encoding: str, data: bytes
) -> None:
    """Without the mark nothing tells the order of bytes, and many files are none of the kind."""
    message = refusal(lambda: found(made(tmp_path, data), encoding=encoding))
    assert_says(message, "does not start with the byte order mark", f"{encoding}-le", "gb18030")


def test_a_line_in_another_encoding_than_the_named_one_is_refused(tmp_path: Path) -> None:
    """A file of two encodings is not read as one of them: half of its texts would be garbage."""
    data = "id,text\n1,Привет мир\n".encode("cp1251") + "2,Привет мир\n".encode()
    path = made(tmp_path, data)
    assert_says(refusal(lambda: content(path)), "line 2: byte 0xCF")
    message = refusal(lambda: content(path, encoding="windows-1251"))
    assert_says(message, f"{path}, line 3: read as cp1251, it is UTF-8", "written anew in one")


@pytest.mark.parametrize("encoding", [None, "utf-8", "UTF8", "utf-8-sig"])
def test_utf8_mark_is_removed_and_remembered(tmp_path: Path, encoding: str | None) -> None:
    """A UTF-8 mark is no part of the header, even before a quote."""
    path = made(tmp_path, b'\xef\xbb\xbf"id",text\r\n1,a\r\n')
    assert content(path, encoding=encoding) == [["id", "text"], ["1", "a"]]
    dialect = found(path, encoding=encoding)
    assert (dialect.encoding, dialect.has_bom) == ("utf-8", True)


def test_utf8_mark_contradicts_another_encoding(tmp_path: Path) -> None:
    """A file with a UTF-8 mark is not read as Latin-1, which would damage its first column."""
    path = made(tmp_path, b"\xef\xbb\xbfid,text\n")
    message = refusal(lambda: found(path, encoding="latin-1"), ConfigurationError)
    assert_says(message, "not latin-1", "Leave --encoding out")


def test_nul_byte_names_its_line(tmp_path: Path) -> None:
    """A NUL byte is found while streaming, with its line and both cures; UTF-16 shows by it."""
    path = made(tmp_path, b'id,text\n1,"a\nb"\n2,a\0b\n')
    rows = records(found(path))
    assert [next(rows), next(rows)] == [(1, ["id", "text"]), (2, ["1", "a\nb"])]
    assert_says(refusal(lambda: next(rows)), "line 4: there is a NUL", "utf-16", "tr -d")
    path = made(tmp_path, "id,text\n".encode("utf-16-be"))
    assert_says(refusal(lambda: found(path)), "line 1: there is a NUL", "--encoding utf-16")


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [("id;text", ";"), ("id\ttext", "\t"), ("a|b", "|"), ('"id";"text"', ";")],
)
def test_other_delimiter_is_taken_from_the_header_and_noted(
    tmp_path: Path, header: str, delimiter: str
) -> None:
    """Where the header splits one way alone, that delimiter is used and noted, also in quotes."""
    dialect = found(made(tmp_path, f"{header}\n".encode()))
    notes = (f"delimiter {delimiter!r} taken from the header",)
    assert (delimiter, notes) == (dialect.delimiter, dialect.notes)


@pytest.mark.parametrize("header", ["id,te;xt", "text", "a;b|c", "x,a;b;c;d"])
def test_comma_stays_when_the_header_does_not_speak_alone(tmp_path: Path, header: str) -> None:
    """The comma is kept when it splits, when nothing does, and when several others do."""
    dialect = found(made(tmp_path, f"{header}\n".encode()))
    assert (dialect.delimiter, dialect.notes) == (",", ())


@pytest.mark.parametrize("name", ["a.tsv", "a.TSV", "a.tsv.gz"])
def test_tsv_means_tab(tmp_path: Path, name: str) -> None:
    """A .tsv file is split at tabs without a note, though its header has commas."""
    data = b"id\ta,b\ttext\n"
    path = made(tmp_path, gzip.compress(data) if name.endswith("gz") else data, name)
    dialect, header = detect(path, encoding=None, delimiter=None, row_chars=LIMIT)
    assert (dialect.delimiter, dialect.notes, header) == ("\t", (), ("id", "a,b", "text"))


@pytest.mark.parametrize(("value", "meant"), [("tab", "\t"), ("\\t", "\t"), (";", ";")])
def test_named_delimiter_wins(tmp_path: Path, value: str, meant: str) -> None:
    """A delimiter that the user names is used without a look at the header."""
    dialect = found(made(tmp_path, b"id,text\n"), delimiter=value)
    assert (meant, ()) == (dialect.delimiter, dialect.notes)


@pytest.mark.parametrize("value", ["", ";;", '"', "\n", "\r", "\0"])
def test_impossible_delimiter_is_refused(tmp_path: Path, value: str) -> None:
    """Anything but one usable character is an error in the option."""
    path = made(tmp_path, b"id,text\n")
    message = refusal(lambda: found(path, delimiter=value), ConfigurationError)
    assert_says(message, f"Delimiter {value!r}", "--delimiter")


@pytest.mark.parametrize("line", [b"sep=;\r\n", b'"sep=;"\n', b"\xef\xbb\xbfSEP=;\n"])
def test_sep_line_is_skipped_and_noted(tmp_path: Path, line: bytes) -> None:
    """A spreadsheet's `sep=` line sets the delimiter and is no data; lines are counted with it."""
    path = made(tmp_path, line + b"id;text\n1;a\n")
    dialect = found(path)
    assert list(records(dialect)) == [(2, ["id", "text"]), (3, ["1", "a"])]
    assert dialect.delimiter == ";"
    assert_says(dialect.notes[0], "line 1", "left out of the output", "';'")


def test_sep_line_yields_to_the_option_and_needs_a_header(tmp_path: Path) -> None:
    """A named delimiter wins, the hint is skipped all the same; alone, the line is a header."""
    assert content(made(tmp_path, b"sep=,\n")) == [["sep=", ""]]
    dialect = found(made(tmp_path, b"sep=;\nid|text\n1|a\n"), delimiter="|")
    assert [cells for _, cells in records(dialect)] == [["id", "text"], ["1", "a"]]


@pytest.mark.parametrize(
    ("data", "line", "seen"),
    [
        (b'id,text\n1,a\n2,"never closed\n3,b\n', 3, 4),
        (b'id,text\n1,a\n2,"never closed\n3,"b",x\n', 3, 4),
        (b'id,text\n1,"a"b\n', 2, 2),
        (b'id,text\n\n1,"a\nb" \n', 3, 4),
    ],
)
def test_broken_quotes_name_the_start_of_the_row(
    tmp_path: Path, data: bytes, line: int, seen: int
) -> None:
    """An unclosed quote or text after a closing one is an error; no row is swallowed."""
    path = made(tmp_path, data)
    message = refusal(lambda: content(path))
    assert_says(message, f"line {line}: the row that starts here", f"noticed on line {seen}")


def test_quotes_inside_an_unquoted_cell_are_text(tmp_path: Path) -> None:
    """Inches and apostrophes in the middle of a cell need no quoting."""
    path = made(tmp_path, b'id,text\n1,a 5" disk "x" it\'s\n')
    assert content(path)[1] == ["1", 'a 5" disk "x" it\'s']


def test_everything_inside_quotes_is_kept(tmp_path: Path) -> None:
    """Line ends of all kinds, tabs, delimiters and doubled quotes stay as they are."""
    text = 'a\nb\r\nc\rd\te,f;g|h"i"\u2028j\x85k\x0bl \ufeff'
    quoted = text.replace('"', '""')
    path = made(tmp_path, f'id,text\n1,"{quoted}"\n'.encode())
    assert ["1", text] == content(path)[1]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_end_works(tmp_path: Path, end: bytes) -> None:
    """Unix, Windows and old Mac files give the same lines, with or without the last line end."""
    path = made(tmp_path, end.join([b"id,text", b'1,"a', b'b"', b"", b"2,c"]))
    lines = [(1, ["id", "text"]), (2, ["1", f"a{end.decode()}b"]), (5, ["2", "c"])]
    assert lines == list(records(found(path)))


def test_large_cell_works(tmp_path: Path) -> None:
    """A cell of 1 MB, over the csv module's own limit, is read whole."""
    text = "lorem ipsum " * 90_000
    path = made(tmp_path, f"id,text\n1,{text}\n".encode())
    dialect = found(path, row_chars=64 * 1024 * 1024)
    assert [["1", text]] == [cells for _, cells in records(dialect)][1:]


def test_csv_limit_is_raised_and_never_lowered(tmp_path: Path) -> None:
    """Reading leaves a larger limit of the process alone."""
    path = made(tmp_path, b"text\na\n")
    before = csv.field_size_limit()
    try:
        csv.field_size_limit(10)
        list(records(found(path, row_chars=5_000)))
        assert csv.field_size_limit() == 5_000
        list(records(found(path, row_chars=2_000)))
        assert csv.field_size_limit() == 5_000
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    "text", [b"x" * 3_000, b'"' + b"xxxx\n" * 600 + b'"', b'"' + b"x,\n" * 900]
)
def test_row_over_the_limit_names_its_line(tmp_path: Path, text: bytes) -> None:
    """A row larger than allowed ends the reading before it fills the memory; many rows do not."""
    path = made(tmp_path, b"id,text\n" + b"1,abcdef\n" * 1_000 + b"2," + text + b"\n3,b\n")
    message = refusal(lambda: content(path, row_chars=2_048))
    assert_says(message, "line 1002: the row that starts here has more than 2,048 characters")
