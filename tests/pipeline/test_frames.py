"""DataFrames become tables and get their verdict columns back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.errors import ConfigurationError
from analysis.pipeline.frames import columns_of, with_verdicts, write_frame
from analysis.pipeline.output import OUTPUT_COLUMNS


def test_strings_that_look_like_missing_values_stay(tmp_path: Path) -> None:
    """NA, null and None as strings are texts; only values that are missing become empty."""
    frame = pd.DataFrame({"id": [1, 2, 3, 4], "text": ["NA", "null", None, "a\r\nb"]})
    write_frame(tmp_path / "t.csv", frame, {"id": "id", "text": "text"})
    written = (tmp_path / "t.csv").read_bytes().decode()
    assert 'id,text\n1,NA\n2,null\n3,\n4,"a\r\nb"\n' == written


def test_digest_tells_other_rows_apart(tmp_path: Path) -> None:
    """The same rows give the same digest, a changed one another."""
    columns = {"text": "text"}
    frame = pd.DataFrame({"text": ["one", "two"], "other": [1, 2]})
    changed = pd.DataFrame({"text": ["one", "TWO"]})
    first = write_frame(tmp_path / "1.csv", frame, columns)
    second = write_frame(tmp_path / "2.csv", frame.drop(columns="other"), columns)
    third = write_frame(tmp_path / "3.csv", changed, columns)
    assert first == second
    assert first != third


@pytest.mark.parametrize(
    ("columns", "named", "words"),
    [
        (["id", "words"], {}, "has no column 'text'; it has 'id', 'words'. Pass text_column"),
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
    with pytest.raises(ConfigurationError) as error:
        columns_of(frame, named)
    assert words in str(error.value)


def test_verdict_columns_have_types_and_the_index(tmp_path: Path) -> None:
    """Counts are whole numbers, latencies numbers, the rest strings; empty cells are missing."""
    frame = pd.DataFrame({"text": ["a", ""]}, index=pd.Index([7, 3], name="row"))
    lines = [
        ",".join(["text", *OUTPUT_COLUMNS]),
        "a,example,,0.5000,rest,m,10,1,12.5,",
        ",,,,,,0,0,,empty",
    ]
    (tmp_path / "out.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    labeled = with_verdicts(frame, tmp_path / "out.csv")
    assert [7, 3] == list(labeled.index)
    assert ["example", None] == [x if isinstance(x, str) else None for x in labeled.iloc[:, 1]]
    assert [10, 0] == list(labeled["semfn_pack"])
    assert 12.5 == labeled["semfn_latency_ms"].iloc[0]
    assert labeled["semfn_latency_ms"].isna().tolist() == [False, True]
    assert "Int64" == str(labeled["semfn_attempts"].dtype)
    assert ["text"] == list(frame.columns)
