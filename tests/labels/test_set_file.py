"""A label set file of a user is read, or the message says why not; no name stands for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.errors import ConfigurationError
from analysis.labels.label_set import LabelSet
from analysis.labels.set_file import LARGEST_BYTES, read_set_file

OWN = LabelSet.text_of("argument").replace('"argument"', '"mine"', 1)


def test_a_path_is_read_and_never_a_name(tmp_path: Path) -> None:
    """With a suffix or with a separator; a shipped set of that name changes nothing."""
    for name in ("mine.toml", "argument.toml", "argument"):
        path = tmp_path / name
        path.write_text(OWN, encoding="utf-8")
        assert "mine" == LabelSet.load(str(path)).name


def test_a_mark_of_byte_order_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    """Editors on Windows write both."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode())
    assert LabelSet.parse(OWN, source="x").digest == LabelSet.load(str(path)).digest


@pytest.mark.parametrize(
    "name", ["argument.toml", "ten_functions.toml", "no/such", "a\\b", "a\0/b"]
)
def test_a_missing_file_is_no_shipped_set(name: str) -> None:
    """There is no silent fallback from a path to a name."""
    with pytest.raises(ConfigurationError) as caught:
        LabelSet.load(name)
    assert f"Label set file {name} cannot be read: " in str(caught.value)
    assert "semfn label-sets" in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """The system says so."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_set_file(str(tmp_path))


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    """A table given by mistake would fill memory."""
    path = tmp_path / "big.toml"
    path.write_bytes(b" " * LARGEST_BYTES)
    assert LARGEST_BYTES == len(read_set_file(str(path)))
    path.write_bytes(b" " * (LARGEST_BYTES + 1))
    with pytest.raises(ConfigurationError, match="more than 1,000,000 bytes"):
        read_set_file(str(path))


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    """Saving it as UTF-8 is the cure."""
    path = tmp_path / "old.toml"
    path.write_bytes('name = "x"\nversion = "тест"\n'.encode("cp1251"))
    with pytest.raises(ConfigurationError, match=r"old\.toml, line 2: not UTF-8\. Save"):
        read_set_file(str(path))


def test_a_fault_is_told_with_the_path_as_given(tmp_path: Path) -> None:
    """And with the line in that file."""
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace("max_labels = 2", "max_labels = 5"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"mine\.toml, line 9: max_labels must be 1 or 2"):
        LabelSet.load(str(path))
