"""TOML as people write it: read with a line for every fault, and values shown as the file has them.

Pure. `set_text` and the mappings of `evaluation` read files of users through it.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

SHOWN_SIZE = 60
"""Characters of a value in a message; the place of the fault is named beside it."""

_SHOWN_DEPTH = 3
_DEEPEST = 100
"""Brackets in brackets; the reader of the standard library gives up at about a thousand."""

_TOKEN = re.compile(
    r'#[^\n]*|"""(?:\\.|[^\\])*?(?:"""|\Z)|\'\'\'.*?(?:\'\'\'|\Z)'
    r'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[\[\]{}=\n]|[^\s#"\'\[\]{}=]+|.',
    re.DOTALL,
)
_PART = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'|([\w-]+)')
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MANY_DIGITS = re.compile(r"[\d_]{1000}")
_LAST_OF_FOUR_DIGITS = 0xFFFF
_AT_END = "(at end of document)"
_FAULT = re.compile(r"\(at line (\d+), column (\d+)\)")


class NotToml(ValueError):
    """A text that is not TOML, or more of it than can be read; the message names the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A header or an assignment.

    Attributes:
        line: Where it begins, from 1.
        path: Names from the outside to the inside, those of its header before its own.
        opens: It is a header; `[[labels]]` makes one more table each time.
    """

    line: int
    path: tuple[str, ...]
    opens: bool


def read_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML document.

    Raises:
        NotToml: If it cannot be read; says why and in which line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        began = next(reversed(statements(text)), None)
        where = f"(in what begins in line {1 if began is None else began.line})"
        raise NotToml(str(broken).replace(_AT_END, where) + _odd_sign(text, broken)) from broken
    except RecursionError as deep:
        raise NotToml(
            f"Brackets stand in brackets more than {_DEEPEST} deep (in what begins in line "
            f"{_deep_line(text)})"
        ) from deep
    except ValueError as long:  # tomllib leaves what int() says of too many digits as it is
        found = _MANY_DIGITS.search(text)
        line = text.count("\n", 0, found.start() if found else 0) + 1
        raise NotToml(f"A number has too many digits (at line {line})") from long


def _odd_sign(text: str, broken: tomllib.TOMLDecodeError) -> str:
    """Return words that name the character at the fault, if it only looks like what is meant.

    Full-width commas, curly quotes and blanks that do not break come with other keyboards, and
    nobody sees them.
    """
    place = _FAULT.search(str(broken))
    if place is None:
        return ""
    line, column = int(place[1]), int(place[2])
    rest = text.replace("\r\n", "\n").split("\n")[line - 1][column - 1 :]
    return f"; there stands {sign_name(rest[0])}" if rest and not " " <= rest[0] <= "~" else ""


def sign_name(sign: str) -> str:
    """Return a character for a message, with its name in Unicode."""
    return f"{sign!r} ({unicodedata.name(sign, f'U+{ord(sign):04X}')})"


def statements(text: str) -> list[Statement]:
    """Return headers and assignments in order; those inside of lists and texts are none."""
    found: list[Statement] = []
    table: tuple[str, ...] = ()
    for line, pieces in _logical_lines(text):
        if pieces[0] == "[":
            table = _path("".join(pieces).partition("#")[0])
            found.append(Statement(line=line, path=table, opens=True))
        elif "=" in pieces:
            own = _path("".join(pieces[: pieces.index("=")]))
            found.append(Statement(line=line, path=(*table, *own), opens=False))
        else:
            found.append(Statement(line=line, path=table, opens=False))
    return found


def as_toml(value: object, size: int = SHOWN_SIZE) -> str:
    """Return a value as TOML writes it, cut to so many characters, without control characters."""
    shown = _written(value, size, _SHOWN_DEPTH)
    return shown if len(shown) <= size else shown[: size - 3] + "..."


def named(text: str) -> str:
    """Return a name in quotes for a message, cut, without control characters."""
    return repr(text if len(text) <= SHOWN_SIZE else text[: SHOWN_SIZE - 3] + "...")


def _written(value: object, size: int, depth: int) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _quoted(value[:size])
        case datetime() | date() | time():
            return value.isoformat()
        case list() if value and depth:
            inside = ", ".join(_written(one, size, depth - 1) for one in value[:size])
            return f"[{inside}]"
        case dict() if value and depth:
            pairs = list(value.items())[:size]
            inside = ", ".join(
                f"{key if _BARE.fullmatch(key) else _quoted(key[:size])} = "
                f"{_written(one, size, depth - 1)}"
                for key, one in pairs
            )
            return f"{{ {inside} }}"
        case list() | dict():
            edges = "[]" if isinstance(value, list) else "{}"
            return f"{edges[0]}...{edges[1]}" if value else edges
        case int() if abs(value) >= 10**size:  # would be cut in any case, and str() has a limit
            return "a number of many digits"
        case _:
            return str(value)


def _quoted(text: str) -> str:
    """Return a text as a basic string; what cannot be printed as its escape."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(sign if sign.isprintable() else _escaped(sign) for sign in escaped)}"'


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\u{code:04x}" if code <= _LAST_OF_FOUR_DIGITS else f"\\U{code:08x}"


def _path(text: str) -> tuple[str, ...]:
    """Return the names of a key or header; the document was read, so each can be."""
    return tuple(
        (tomllib.loads(f'x = "{basic}"')["x"] if "\\" in basic else basic) or literal or bare
        for basic, literal, bare in _PART.findall(text)
    )


def _logical_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield what stands in one line, or in several that brackets and long texts keep together.

    Yields:
        Number of the first line, and the pieces, of which there is at least one.
    """
    number = first = 1
    depth, pieces = 0, list[str]()
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece == "\n" and depth <= 0:
            if pieces:
                yield first, pieces
            depth, pieces = 0, []
        elif not piece.isspace() and not piece.startswith("#"):
            first = first if pieces else number
            pieces.append(piece)
            depth += (piece in "[{") - (piece in "]}")
        number += piece.count("\n")
    if pieces:
        yield first, pieces


def _deep_line(text: str) -> int:
    """Return the first line with more brackets in brackets than anybody needs, else 1."""
    for line, pieces in _logical_lines(text):
        depth = 0
        for piece in pieces:
            depth += (piece in "[{") - (piece in "]}")
            if depth > _DEEPEST:
                return line
    return 1
