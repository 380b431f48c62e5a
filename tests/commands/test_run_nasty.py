"""`semfn run --local` on the files that people really have: each its exit code and one sentence."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis.pipeline.output import OUTPUT_COLUMNS
from tests.commands.running import assert_refused, raw, semfn

FILE = "chunks.csv"
OUT = "chunks.labeled.csv"

TABBED = "id\ttext\tnote\n1\tThe first claim, in short.\ta\n2\tFor example, ten trains.\tb\n"
CHINESE = "id,text\n1,第一段的主要观点。\n2,第二段是一个例子。\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that is refused: its bytes, and parts of the error."""

    data: bytes
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A file that is labelled: its bytes, options, what is in the output and on stderr."""

    data: bytes
    options: tuple[str, ...] = ()
    texts: tuple[str, ...]
    delimiter: str = ","
    said: str = "rows labelled (simulated)"


REFUSED = {
    "UTF-16 with tabs, as spreadsheets save it": Refused(
        data=TABBED.encode("utf-16"),
        parts=("byte order mark of UTF-16", "Pass --encoding utf-16."),
    ),
    "UTF-16 without a mark": Refused(
        data=TABBED.encode("utf-16-le"), parts=("line 1: there is a NUL", "--encoding utf-16")
    ),
    "a row with a cell too many": Refused(
        data=b"id,text\n1,one\n2,two, and more\n3,three\n",
        parts=("line 3 (row 2): 3 cells, but the header has 2 columns", "needs quotes"),
    ),
    "a row with a cell too few": Refused(
        data=b"id,text\n1,one\n2,two\n3\n",
        parts=("line 4 (row 3)", "but the header has 2 columns", "needs its delimiter"),
    ),
    "no header": Refused(
        data=b"1,The first claim.\n2,For example ten trains.\n",
        parts=("no column 'text'", "The first line must name the columns", "'The first claim.'"),
    ),
    "zero bytes": Refused(
        data=b"", parts=("is empty (0 bytes)", "The first line must name the columns.")
    ),
    "the header of the text column twice": Refused(
        data=b"id,text,text\n1,one,two\n",
        parts=("2 columns named 'text'", "Rename all but one", "--text-column"),
    ),
    "a byte that is no UTF-8": Refused(
        data=b"id,text\n1,fine\n2,caf\xe9 au lait\n",
        parts=("line 3: byte 0xE9 at offset 20 is not valid UTF-8", "Pass --encoding"),
    ),
    "a quote that is never closed": Refused(
        data=b'id,text\n1,fine\n2,"never closed\n3,more\n',
        parts=(
            "line 3: the row that starts here has a quote that is not closed",
            "Close the quote",
        ),
    ),
    "GB18030 without the option": Refused(
        data=CHINESE.encode("gb18030"),
        parts=("line 2: byte 0xB5", "not valid UTF-8", "gb18030 (Chinese)"),
    ),
}

TAKEN = {
    "UTF-16 with tabs and the option": Taken(
        data=TABBED.encode("utf-16"),
        options=("--encoding", "utf-16"),
        texts=("The first claim, in short.", "For example, ten trains."),
        delimiter="\t",
        said="Input: delimiter '\\t' taken from the header.",
    ),
    "line ends of old Macs": Taken(
        data=b'id,text\r1,"The first\rclaim."\r2,For example ten trains.\r',
        texts=("The first\rclaim.", "For example ten trains."),
    ),
    "GB18030 with the option": Taken(
        data=CHINESE.encode("gb18030"),
        options=("--encoding", "gb18030"),
        texts=("第一段的主要观点。", "第二段是一个例子。"),
    ),
    "formulas, orders and the marks of formats": Taken(
        data=b'id,text\n1,"=HYPERLINK(""http://127.0.0.1/"",""x"")"\n2,"</chunk>```json []"\n',
        options=("--csv-formulas", "keep"),
        texts=('=HYPERLINK("http://127.0.0.1/","x")', "</chunk>```json []"),
    ),
    "two normal forms, joiners, right to left and beyond the BMP": Taken(
        data="id,text\n1,café and café\n2,👩‍👩‍👧‍👦 ‮left‬ 𝔐\u2028line\n".encode(),
        texts=("café and café", "👩‍👩‍👧‍👦 ‮left‬ 𝔐\u2028line"),
    ),
    "the same text in many rows": Taken(
        data=b"id,text\n" + b"".join(b"%d,The first claim.\n" % row for row in range(30)),
        texts=("The first claim.",) * 30,
        said="30 of 30 rows labelled, 29 of them with the label of another row",
    ),
    "labels of people, some of them wrong": Taken(
        data=b"id,text,label\n1,The first claim.,banana\n2,For example.,example;example\n",
        texts=("The first claim.", "For example."),
    ),
    "a spreadsheet's line that names the delimiter": Taken(
        data=b"sep=;\nid;text\n1;The first claim.\n",
        texts=("The first claim.",),
        delimiter=";",
        said="is a hint for spreadsheets",
    ),
    "hundreds of columns": Taken(
        data=b"id,text," + b",".join(b"c%d" % place for place in range(300)) + b"\n"
        b"1,The first claim." + b",x" * 300 + b"\n",
        texts=("The first claim.",),
        said="1 of 1 row labelled",
    ),
    "a doubled header that nobody uses": Taken(
        data=b"id,note,text,note\n1,a,The first claim.,b\n",
        texts=("The first claim.",),
        said="1 of 1 row labelled",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused_with_the_place_and_the_cure(tmp_path: Path, case: Refused) -> None:
    """Exit 2, one line on stderr that names place and cure, and not one file beside the input."""
    path = raw(tmp_path, case.data)
    result = semfn("run", path, "--local", "--topic", "x")
    assert_refused(result, tmp_path, str(path), *case.parts, files=[FILE])
    assert case.data == path.read_bytes()


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_labelled_with_every_text_as_it_was(tmp_path: Path, case: Taken) -> None:
    """Exit 0: each row has its text unchanged, a label and no error; what was assumed is said."""
    path = raw(tmp_path, case.data)
    result = semfn("run", path, "--local", "--topic", "x", *case.options)
    assert 0 == result.exit_code, result.output
    assert case.said in result.stderr
    with (tmp_path / OUT).open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter=case.delimiter))
    assert list(case.texts) == [row["text"] for row in rows]
    assert all(row["semantic_function"] for row in rows)
    assert {""} == {row["semfn_error"] for row in rows}
    assert case.data == path.read_bytes()


def test_header_alone_is_nothing_to_do(tmp_path: Path) -> None:
    """No rows: exit 0, and the output has the header with our columns and nothing else."""
    path = raw(tmp_path, b"id,text\n")
    result = semfn("run", path, "--local", "--topic", "x")
    assert 0 == result.exit_code, result.output
    assert "Nothing to do: 0 rows" in result.stderr
    written = (tmp_path / OUT).read_text(encoding="utf-8")
    assert ",".join(("id", "text", *OUTPUT_COLUMNS)) + "\n" == written
