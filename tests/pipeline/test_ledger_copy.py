"""A private copy of a ledger: whole, gone at the end, and the ledger as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from analysis.errors import LedgerError
from analysis.pipeline.ledger_copy import copied
from tests.pipeline.ledger_samples import fill


def test_a_copy_holds_the_same_rows(tmp_path: Path) -> None:
    """Also of what lies in the log of a run that goes on."""
    path = tmp_path / "l.sqlite"
    fill(path, 50)
    before = path.read_bytes()
    with copied(path) as copy, closing(sqlite3.connect(copy)) as connection:
        assert (50,) == connection.execute("SELECT count(*) FROM verdict").fetchone()
    assert (False, before) == (copy.exists(), path.read_bytes())


def test_without_a_ledger_there_is_no_copy(tmp_path: Path) -> None:
    """A folder that is missing is none of its business."""
    with copied(tmp_path / "no" / "l.sqlite") as copy:
        assert not copy.exists()


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """As the run refuses it."""
    path = tmp_path / "l.sqlite"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(LedgerError, match="is not a semfn ledger"), copied(path):
        pass
