"""Frames become tables and get their verdict columns back."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.errors import ConfigurationError, LedgerError
from analysis.pipeline.frames import (
    ROW,
    attach_summary,
    columns_of,
    temporary_folder,
    with_verdicts,
    write_frame,
)
from analysis.pipeline.output import OUTPUT_COLUMNS
from tests.commands.examples import SUMMARY
from tests.pipeline.table_files import EXAMPLE, FAILED, assert_says, refusal

NARWHALS = "takes frames of other kinds, which come with an extra"


def verdicts(folder: Path, places: Sequence[int]) -> Path:
    """Write the output of a run: a label for even rows, none for odd ones."""
    path = folder / "labeled.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([ROW, "text", *OUTPUT_COLUMNS])
        for place in places:
            writer.writerow([place, "x", *(FAILED if place % 2 else EXAMPLE).texts()])
    return path


def labelled(frame: Any, folder: Path) -> Any:
    """Return the frame with a verdict for each row."""
    return with_verdicts(frame, verdicts(folder, range(len(frame))))


def test_strings_that_look_like_missing_values_stay(tmp_path: Path) -> None:
    """NA, null and None as strings are texts; only values that are missing become empty."""
    texts = ["NA", "null", "None", "nan", None, float("nan"), pd.NA, "a\r\nb"]
    frame = pd.DataFrame({"id": range(8), "text": pd.Series(texts, dtype=object)})
    write_frame(tmp_path / "t.csv", frame, columns_of(frame, {}))
    written = (tmp_path / "t.csv").read_bytes().decode()
    expected = "NA", "null", "None", "nan", "", "", "", '"a\r\nb"'
    assert (
        "row,id,text\n" + "".join(f"{row},{row},{text}\n" for row, text in enumerate(expected))
        == written
    )


def test_digest_tells_other_rows_apart(tmp_path: Path) -> None:
    """The same rows give the same digest, a changed one another."""
    frame = pd.DataFrame({"text": ["one", "two"], "other": [1, 2]})
    changed = pd.DataFrame({"text": ["one", "TWO"]})
    first = write_frame(tmp_path / "1.csv", frame, {"text": 0})
    second = write_frame(tmp_path / "2.csv", frame.drop(columns="other"), {"text": 0})
    third = write_frame(tmp_path / "3.csv", changed, {"text": 0})
    assert first == second
    assert first != third


@pytest.mark.parametrize(
    ("columns", "named", "words"),
    [
        (["id", "words"], {}, "has no column 'text'; it has 'id', 'words'. Pass text_column"),
        ([], {}, "has no column 'text'; it has none at all. Pass text_column."),
        (["text"], {"id": "key"}, "has no column 'key'"),
        (["text", "text"], {}, "2 columns named 'text'"),
        (["text", "semfn_error"], {}, "already has the column semfn_error"),
    ],
)
def test_columns_that_cannot_be_used_are_named(
    columns: list[str], named: dict[str, str | None], words: str
) -> None:
    """Each fault of the columns gets one sentence with the cure."""
    frame = pd.DataFrame([["x"] * len(columns)], columns=columns)
    assert_says(refusal(lambda: columns_of(frame, named), ConfigurationError), words)


def test_a_column_in_the_index_is_named_with_the_cure() -> None:
    """It does not show among the columns."""
    frame = pd.DataFrame({"n": [1]}, index=pd.Index(["a"], name="text"))
    message = refusal(lambda: columns_of(frame, {}), ConfigurationError)
    assert_says(message, "no column 'text'; it has 'n'. It is in the index: pass frame.reset_index")


def test_other_frames_with_two_columns_of_one_name_are_refused() -> None:
    """Only pandas can tell them apart by their place."""
    pytest.importorskip("narwhals", reason=NARWHALS)
    arrow: Any = pytest.importorskip("pyarrow", reason=NARWHALS)
    table = arrow.table([arrow.array(["a"]), arrow.array(["b"])], names=["text", "text"])
    message = refusal(lambda: columns_of(table, {}), ConfigurationError)
    assert_says(message, "pyarrow.Table has several columns of one name", "Rename them")


def test_names_need_not_be_strings(tmp_path: Path) -> None:
    """Columns are found by what their names look like, and two others may share a name."""
    frame = pd.DataFrame([["x", "a", "y"]], columns=[0, 1, 0])
    columns = columns_of(frame, {"text": "1"})
    assert {"text": 1} == columns
    write_frame(tmp_path / "t.csv", frame, columns)
    assert "row,text\n0,a\n" == (tmp_path / "t.csv").read_text(encoding="utf-8")


def test_accents_of_a_name_may_be_coded_in_another_way() -> None:
    """Nobody sees whether é is one character or two."""
    frame = pd.DataFrame([["x"]], columns=["re\u0301sume\u0301"])
    assert {"text": 0} == columns_of(frame, {"text": "r\u00e9sum\u00e9"})


@pytest.mark.parametrize("value", [1, 2.5, True, b"a", ["a"], pd.Timestamp("2026-01-01")])
def test_text_that_is_no_string_is_refused(tmp_path: Path, value: object) -> None:
    """A number is not taken for a text, nor a truth value; the place is named."""
    frame = pd.DataFrame({"text": pd.Series(["a", None, value], dtype=object)})
    message = refusal(
        lambda: write_frame(tmp_path / "t.csv", frame, {"text": 0}), ConfigurationError
    )
    assert_says(message, "DataFrame, column 'text', row 3", "not a string", "text_column=")


@pytest.mark.parametrize("values", [[1, 2], [0.5, None], [True, False]])
def test_column_of_numbers_is_refused(tmp_path: Path, values: list[object]) -> None:
    """Also where the whole column is of one type."""
    frame = pd.DataFrame({"text": values})
    message = refusal(
        lambda: write_frame(tmp_path / "t.csv", frame, {"text": 0}), ConfigurationError
    )
    assert_says(message, "column 'text', row 1", "astype(str)")


@pytest.mark.parametrize(
    ("text", "words"), [("a\0", "NUL character"), ("\ud800", "half a character")]
)
def test_text_that_cannot_be_sent_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """What no request could hold is found before one is sent; nothing is written."""
    frame = pd.DataFrame({"text": pd.Series(["a", text], dtype=object)})
    message = refusal(
        lambda: write_frame(tmp_path / "t.csv", frame, {"text": 0}), ConfigurationError
    )
    assert_says(message, "column 'text', row 2", words)
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    ("cell", "words"), [("a\0", "NUL character"), ("\ud800", "half a character")]
)
@pytest.mark.parametrize("role", ["id", "document", "topic", "title"])
def test_other_cells_that_cannot_be_sent_are_refused(
    tmp_path: Path, role: str, cell: str, words: str
) -> None:
    """They would be taken for a full disk, or for a damaged file, when the table is written."""
    frame = pd.DataFrame({"text": ["a"], "x": pd.Series([cell], dtype=object)})
    message = refusal(
        lambda: write_frame(tmp_path / "t.csv", frame, {"text": 0, role: 1}), ConfigurationError
    )
    assert_says(message, "column 'x', row 1", words)


FRAMES = {
    "index with a name": pd.DataFrame({"text": ["a", ""]}, index=pd.Index([7, 3], name="row")),
    "doubled index": pd.DataFrame({"text": ["a", "b", "c"]}, index=["x", "x", "y"]),
    "index of numbers with decimals": pd.DataFrame({"text": ["a", "b"]}, index=[0.5, 1.5]),
    "levels": pd.DataFrame(
        {"text": ["a", "b"]}, index=pd.MultiIndex.from_tuples([(1, "x"), (1, "y")])
    ),
    "no rows": pd.DataFrame({"text": pd.Series([], dtype=str), "n": pd.Series([], dtype="int8")}),
    "doubled columns": pd.DataFrame([["a", 1, 2]], columns=["text", "n", "n"]),
    "categories": pd.DataFrame({"text": pd.Categorical(["a", None, "a"])}),
    "types": pd.DataFrame(
        {
            "text": pd.Series(["NA", None, "null"], dtype="string"),
            "n": pd.Series([1, None, 3], dtype="Int8"),
            "f": pd.Series([1, None, 3], dtype="float32"),
            "when": pd.to_datetime(pd.Series(["2026-01-01", None, "2026-01-03"]), utc=True),
            "span": pd.to_timedelta(["1 day", None, "2 days"]),
            "kind": pd.Categorical(["b", "a", None], categories=["b", "a"], ordered=True),
            "mixed": pd.Series([1, "x", None], dtype=object),
            "sparse": pd.arrays.SparseArray([0, 0, 1]),
            "months": pd.period_range("2026-01", periods=3, freq="M"),
        }
    ),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_own_columns_index_and_types_stay(tmp_path: Path, frame: pd.DataFrame) -> None:
    """The frame comes back as it was, with nine columns more; the one handed in is untouched."""
    before = frame.copy(deep=True)
    write_frame(tmp_path / "t.csv", frame, columns_of(frame, {}))
    after = labelled(frame, tmp_path)
    width = len(frame.columns)
    pd.testing.assert_frame_equal(before, after.iloc[:, :width])
    pd.testing.assert_frame_equal(before, frame)
    assert list(OUTPUT_COLUMNS) == list(after.columns[width:])


def test_columns_of_arrow_stay(tmp_path: Path) -> None:
    """Types of pyarrow inside of pandas are types like any others."""
    pa = pytest.importorskip("pyarrow", reason=NARWHALS)
    columns = {
        "text": pd.Series(["a", None], dtype=pd.ArrowDtype(pa.large_string())),
        "day": pd.Series([1, None], dtype=pd.ArrowDtype(pa.date32())),
        "tags": pd.Series([["x"], None], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
    }
    frame = pd.DataFrame(columns)
    write_frame(tmp_path / "t.csv", frame, columns_of(frame, {}))
    assert "row,text\n0,a\n1,\n" == (tmp_path / "t.csv").read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(frame, labelled(frame, tmp_path).iloc[:, :3])


def test_subclass_and_attributes_stay(tmp_path: Path) -> None:
    """A frame of a derived class stays one, with what is attached to it."""

    class Mine(pd.DataFrame):
        @property
        def _constructor(self) -> type[Mine]:
            return Mine

    frame = Mine({"text": ["a"]})
    frame.attrs["from"] = "here"
    after = labelled(frame, tmp_path)
    attach_summary(after, SUMMARY)
    assert isinstance(after, Mine)
    assert ["from", "semfn"] == list(after.attrs)
    assert SUMMARY.rows == after.attrs["semfn"]["rows"]
    assert ["ledger"] == list(after.attrs["semfn"]["paths"])
    assert not {"inputs", "outputs"} & after.attrs["semfn"].keys()
    assert {"from": "here"} == frame.attrs


def test_verdict_columns_have_types(tmp_path: Path) -> None:
    """Counts are whole numbers, latencies numbers, the rest strings; empty cells are missing."""
    after = labelled(pd.DataFrame({"text": ["a", ""]}, index=[7, 3]), tmp_path)
    assert ["example", None] == [x if isinstance(x, str) else None for x in after.iloc[:, 1]]
    assert [10, 0] == list(after["semfn_pack"])
    assert 412.4 == after["semfn_latency_ms"].iloc[0]
    assert [False, True] == after["semfn_confidence"].isna().tolist()
    types = [str(after[name].dtype) for name in OUTPUT_COLUMNS]
    expected = "str str Float64 str str Int64 Int64 Float64 str"
    assert expected.split() == types


def test_part_of_the_rows_comes_back_with_its_index(tmp_path: Path) -> None:
    """After a limit or a sample the frame holds the rows of the output only."""
    frame = pd.DataFrame({"text": list("abcde")}, index=[9, 8, 7, 7, 5])
    after = with_verdicts(frame, verdicts(tmp_path, [1, 2, 4]))
    assert [8, 7, 5] == list(after.index)
    assert ["b", "c", "e"] == list(after["text"])
    assert ["empty", "empty"] == [after["semfn_error"].iloc[0], "empty"]
    after.loc[8, "text"] = "changed"
    assert "b" == frame["text"].iloc[1]


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_other_frames_come_back_as_what_they_are(tmp_path: Path, kind: str) -> None:
    """A frame of polars or a table of pyarrow, whole and in part."""
    pytest.importorskip("narwhals", reason=NARWHALS)
    library: Any = pytest.importorskip(kind, reason=NARWHALS)
    columns = {"id": [1, 2, 3], "text": ["NA", None, "c\nd"], "tags": [["x"], [], None]}
    frame: Any = library.DataFrame(columns) if kind == "polars" else library.table(columns)
    write_frame(tmp_path / "t.csv", frame, columns_of(frame, {}))
    written = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert 'row,id,text\n0,1,NA\n1,2,\n2,3,"c\nd"\n' == written
    after = labelled(frame, tmp_path)
    attach_summary(after, SUMMARY)
    assert type(frame) is type(after)
    own = after.select(list(columns))
    assert frame.equals(own)
    found = after.to_dicts() if kind == "polars" else after.to_pylist()
    assert ["example", None, "example"] == [row["semantic_function"] for row in found]
    assert [412.4, None, 412.4] == [row["semfn_latency_ms"] for row in found]
    assert [10, 0, 10] == [row["semfn_pack"] for row in found]
    part = with_verdicts(frame, verdicts(tmp_path, [2]))
    ids = part["id"].to_list() if kind == "polars" else part.column("id").to_pylist()
    assert [3] == ids


@pytest.mark.parametrize("values", [[1, 2], [True, None]])
def test_other_frames_refuse_texts_that_are_no_strings(tmp_path: Path, values: list[Any]) -> None:
    """As with pandas."""
    pytest.importorskip("narwhals", reason=NARWHALS)
    polars: Any = pytest.importorskip("polars", reason=NARWHALS)
    frame = polars.DataFrame({"text": values})
    message = refusal(
        lambda: write_frame(tmp_path / "t.csv", frame, {"text": 0}), ConfigurationError
    )
    assert_says(message, "column 'text', row 1")


def test_a_series_is_no_frame() -> None:
    """Nothing is to be installed for it."""
    message = refusal(lambda: columns_of(pd.Series(["a"]), {}), ConfigurationError)
    assert_says(message, "A pandas.Series is no frame that can be labelled")


def test_columns_whose_names_are_no_strings() -> None:
    """Numbers and levels are named as they are, or by their text; 0 is a name like others."""
    numbers = pd.DataFrame([["a", "b"]])
    assert {"text": 0} == columns_of(numbers, {"text": 0})
    assert {"text": 1, "id": 0} == columns_of(numbers, {"text": "1", "id": 0})
    message = refusal(lambda: columns_of(numbers, {"text": 2}), ConfigurationError)
    assert_says(message, "no column 2; it has 0, 1. Pass text_column.")
    levels = pd.DataFrame([["a", "b", "c"]])
    levels.columns = pd.MultiIndex.from_tuples([("x", "id"), ("x", "said"), ("text", "")])
    assert {"text": 1} == columns_of(levels, {"text": ("x", "said")})
    assert {"text": 2, "id": 0} == columns_of(levels, {"id": ("x", "id")})


def test_frame_with_levels_is_refused_once_it_is_labelled(tmp_path: Path) -> None:
    """The added columns have an empty second level, and are known by the first."""
    frame = pd.DataFrame([["a"]], columns=pd.MultiIndex.from_tuples([("text", "")]))
    after = labelled(frame, tmp_path)
    assert ["example"] == list(after["semantic_function"])
    message = refusal(lambda: columns_of(after, {}), ConfigurationError)
    assert_says(message, "already has the column semantic_function")


def test_only_some_of_many_columns_are_named() -> None:
    """A frame may have thousands."""
    frame = pd.DataFrame([range(30)])
    message = refusal(lambda: columns_of(frame, {}), ConfigurationError)
    assert_says(message, "no column 'text'; it has 0, 1, 2", "19, .... Pass text_column.")


def test_lazy_frame_and_other_objects_are_refused() -> None:
    """Only what holds its rows in memory can be labelled; the message says what to do."""
    pytest.importorskip("narwhals", reason=NARWHALS)
    polars: Any = pytest.importorskip("polars", reason=NARWHALS)
    for value in (polars.LazyFrame({"text": ["a"]}), [{"text": "a"}], "a.csv"):
        message = refusal(lambda value=value: columns_of(value, {}), ConfigurationError)  # type: ignore[misc]
        assert_says(message, "is no frame that can be labelled", "collect()")


def test_no_temporary_folder_is_one_sentence_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as on a full disk; where there is one, it is gone afterwards."""
    with temporary_folder() as folder:
        assert folder.is_dir()
    assert not folder.exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(LedgerError, match=r"No temporary folder can be made: .* set TMPDIR to"):
        temporary_folder().__enter__()


def test_missing_narwhals_is_one_sentence_with_the_extra() -> None:
    """The message names the kind of the frame and what to install."""
    program = (
        "import sys; sys.modules['narwhals'] = None\n"
        "from analysis.pipeline.frames import columns_of\n"
        "class Frame:\n    columns = ['text']\n"
        "for value in (Frame(), {}, [], 'a.csv'):\n"
        "    try:\n        columns_of(value, {})\n"
        "    except Exception as error:\n        print(error)\n"
        "print('pandas' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    message, *others, has_pandas = result.stdout.splitlines()
    assert_says(message, "__main__.Frame needs narwhals", "pip install 'semfn[frames]'")
    for kind, message in zip(("dict", "list", "str"), others, strict=True):
        assert_says(message, f"A {kind} is no frame that can be labelled")
    assert "False" == has_pandas
