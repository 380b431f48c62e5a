"""TOML is read with a line for every fault, and values are shown as the file has them."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.labels.toml_text import (
    SHOWN_SIZE,
    NotToml,
    Statement,
    as_toml,
    named,
    read_toml,
    statements,
)


@pytest.mark.parametrize(
    ("text", "named_part"),
    [
        (f"a = {'[' * 3000}", "more than 100 deep (in what begins in line 1)"),
        (f"b = 1\na = {'{a=' * 3000}", "more than 100 deep (in what begins in line 2)"),
        (f"b = 1\n\na = {'1' * 5000}", "A number has too many digits (at line 3)"),
        ("a = 1\nb = [\n1,\n\n", "Invalid value (in what begins in line 2)"),
        ('a = 1\nb = """x\ny\n', "Unterminated string (in what begins in line 2)"),
        ("a = 1\nb = '''x\n\n", "(in what begins in line 2)"),
        ('a = 1\nb = "x\n', "(at line 2, column 7)"),
        ("\n[x", "(in what begins in line 2)"),
        ("a", "(in what begins in line 1)"),
    ],
)
def test_a_fault_names_its_line(text: str, named_part: str) -> None:
    """Also where the standard library has no line, or no error of its own."""
    with pytest.raises(NotToml) as caught:
        read_toml(text)
    assert named_part in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("a = 1\nb ＝ 2", "'＝' (FULLWIDTH EQUALS SIGN)"),
        ("a = {x = 1，y = 2}", "'，' (FULLWIDTH COMMA)"),
        ("a = 1\r\nb = “x”", "'“' (LEFT DOUBLE QUOTATION MARK)"),
        ("a\u00a0= 1", "'\\xa0' (NO-BREAK SPACE)"),
        ("a = 1\rb = 2", "'\\r' (U+000D)"),
    ],
)
def test_a_sign_of_another_keyboard_is_named(text: str, sign: str) -> None:
    """It looks like the right one, so the place alone explains nothing."""
    with pytest.raises(NotToml) as caught:
        read_toml(text)
    assert str(caught.value).endswith(f"; there stands {sign}")


def test_a_plain_sign_is_not_named() -> None:
    """The place is enough where the fault can be seen."""
    with pytest.raises(NotToml) as caught:
        read_toml("a = x")
    assert str(caught.value).endswith("(at line 1, column 5)")


def test_good_toml_is_read_as_the_standard_library_reads_it() -> None:
    """Numbers, texts, tables."""
    text = 'a = 0x1f\n[b]\nc = ["d"] # e\n'
    assert tomllib.loads(text) == read_toml(text)


def test_statements_have_their_line_and_their_names() -> None:
    """What stands inside of lists and long texts is none, also if it looks like a header."""
    text = (
        "a = 1 # = [x]\n"
        "[[ labels ]] # x\n"
        '"key" . \'b c\' = "x=["\n'
        'pairs = [\n  ["a"],\n  ["b", "c"]\n]\n'
        'long = """\nb = 1\n[x]\n"""\n'
        "[policy.kinds]\n"
        '"a\\u0062" = { y = 1 }\n'
    )
    expected = [
        Statement(line=1, path=("a",), opens=False),
        Statement(line=2, path=("labels",), opens=True),
        Statement(line=3, path=("labels", "key", "b c"), opens=False),
        Statement(line=4, path=("labels", "pairs"), opens=False),
        Statement(line=8, path=("labels", "long"), opens=False),
        Statement(line=12, path=("policy", "kinds"), opens=True),
        Statement(line=13, path=("policy", "kinds", "ab"), opens=False),
    ]
    assert "ab" in read_toml(text)["policy"]["kinds"]
    assert expected == statements(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (1.5, "1.5"),
        (float("nan"), "nan"),
        pytest.param(10**5000, "a number of many digits", id="many digits"),
        ('a\x1b"\\\u202e', '"a\\u001b\\"\\\\\\u202e"'),
        (date(1979, 5, 27), "1979-05-27"),
        (datetime(1979, 5, 27, 7, 32, tzinfo=UTC), "1979-05-27T07:32:00+00:00"),
        (time(7, 32), "07:32:00"),
        ([], "[]"),
        ({}, "{}"),
        ([1, [2, [3, [4]]]], "[1, [2, [3, [...]]]]"),
        ({"a": {"b c": "d"}}, '{ a = { "b c" = "d" } }'),
        ({"a": {"b": {"c": {"d": 1}}}}, "{ a = { b = { c = {...} } } }"),
        ("x" * 100, f'"{"x" * 56}...'),
        (["y" * 300], f'["{"y" * 55}...'),
    ],
)
def test_values_are_shown_as_toml_writes_them(value: object, expected: str) -> None:
    """Cut to what one line has room for."""
    assert expected == as_toml(value)


@given(st.recursive(st.text() | st.integers() | st.booleans(), st.lists, max_leaves=20))
def test_any_value_is_shown_in_one_printable_line(value: object) -> None:
    """Whatever stands in a file cannot move the cursor of a terminal."""
    shown = as_toml(value)
    assert shown.isprintable()
    assert len(shown) <= SHOWN_SIZE


@given(st.text(max_size=SHOWN_SIZE // 2).filter(lambda text: "\ud800" > text or text > "\udfff"))
def test_a_short_text_is_shown_so_that_toml_reads_it_again(text: str) -> None:
    """The escapes are those of TOML, as far as they fit into the line."""
    shown = as_toml(text, 10_000)
    assert text == tomllib.loads(f"a = {shown}")["a"]


def test_a_name_is_cut_and_printable() -> None:
    """With quotes around it."""
    assert ("'a'", "'a\\x1b'") == (named("a"), named("a\x1b"))
    assert f"'{'x' * 57}...'" == named("x" * 500)
