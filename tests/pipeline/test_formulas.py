"""Formulas in cells: guarded, and given back exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.pipeline.formulas import guard, guarded, unguard

SIGNS = "=+-@\t\r\n＝＋－＠"

RISKY = st.builds(
    "".join,
    st.tuples(
        st.text("'", max_size=3),
        st.sampled_from(["", *SIGNS]),
        st.text(st.sampled_from("'=-+.0123456789eE \n") | st.characters(), max_size=8),
    ),
)


@given(RISKY | st.text())
def test_guard_can_be_undone(cell: str) -> None:
    """Any cell comes back identical."""
    assert cell == unguard(guard(cell))


@given(RISKY, RISKY)
def test_no_two_cells_look_the_same_when_guarded(one: str, other: str) -> None:
    """What is different stays different."""
    assert (one == other) == (guard(one) == guard(other))


@given(RISKY | st.text())
def test_guarded_cell_is_no_formula(cell: str) -> None:
    """Whatever begins with a sign of formulas afterwards is a plain number."""
    safe = guard(cell)
    if safe[:1] and safe[0] in SIGNS:
        assert "" == safe.strip("0123456789.eE+-")
        assert cell == safe
        float(safe)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+49 30 1", "'+49 30 1"),
        ("-3.5", "-3.5"),
        ("+2e-3", "+2e-3"),
        ("-3.5\n", "'-3.5\n"),
        ("-", "'-"),
        ("-1+1", "'-1+1"),
        ("--1", "'--1"),
        ("-1e", "'-1e"),
        ("-.5", "-.5"),
        ("-.", "'-."),
        ("-１", "'-１"),
        ("'-3.5", "''-3.5"),
        ("'=1", "''=1"),
        ("''=1", "'''=1"),
        ("'tis", "'tis"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("＝1", "'＝1"),
        ("－1", "'－1"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_cells_and_their_guarded_form(cell: str, expected: str) -> None:
    """Signs of formulas get an apostrophe, also behind apostrophes; plain numbers stay."""
    assert expected == guard(cell)


def test_row_is_guarded_cell_by_cell() -> None:
    """A row keeps its length and order."""
    assert ("a", "'=b", "-1") == guarded(["a", "=b", "-1"])
