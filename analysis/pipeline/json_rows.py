"""Rows of a JSON Lines file: one object a line, whose keys may differ from line to line.

io. `tables` opens it. The file is read once when it is opened: only then all keys are known, and
which values they have. Later passes take from each line what is needed and keep the line itself,
so an output in the same format repeats it byte by byte, numbers included.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import msgspec

from analysis.errors import InputError
from analysis.pipeline.dialect import cause, open_bytes
from analysis.pipeline.formats import ROLES, Cells, Kind, Named, Record

COLUMN_COUNT = 10_000
"""More keys than this are values by mistake, and would not fit into memory."""

_MOST_INTEGER = 2**63
_EXACT_INTEGER = 2**53  # a larger one changes when it becomes a floating-point number
_KINDS = {  # exactly the types that the decoder makes; null says nothing
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    list: Kind.OTHER,
    dict: Kind.OTHER,
}
WANTED = 'Each line must hold one JSON object such as {"id": "1", "text": "..."}'
_SHOWN_CHARS = 40
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ANY = msgspec.json.Decoder()
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRows:
    """A JSON Lines file that was read once; its cells are the line.

    Attributes:
        path: The file.
        columns: All keys in the order in which they first appear, or those of them that are kept.
        kinds: Of each column.
        line_bytes: Largest size of a line.
        is_narrowed: Whether a line may have keys that are not kept.
    """

    path: Path
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    line_bytes: int
    notes: tuple[str, ...] = ()
    is_narrowed: bool = False

    def narrowed(self, kept: Sequence[int]) -> JsonRows:
        """Return a reader of the same rows that knows only these columns, in this order."""
        return replace(
            self,
            columns=tuple(self.columns[at] for at in kept),
            kinds=tuple(self.kinds[at] for at in kept),
            is_narrowed=True,
        )

    def check_roles(self, roles: Mapping[str, int]) -> None:
        """Values are checked line by line."""

    def records(self, roles: Mapping[str, int]) -> Generator[Record, None, None]:
        """Yield the rows.

        Raises:
            InputError: If a line is no object, or a value cannot be what it is to be.
        """
        keys = [self.columns[roles[role]] if role in roles else None for role in ROLES]
        with closing(lines_of(self.path, self.line_bytes)) as lines:
            for number, (line, data) in enumerate(lines, start=1):
                try:
                    found = _RAW.decode(data)
                    named = self._named(line, keys, found)
                except _BROKEN as error:
                    raise broken_line(self.path, line, data, error) from error
                yield number, line, (data,), named

    def _named(
        self, line: int, keys: Sequence[str | None], found: Mapping[str, msgspec.Raw]
    ) -> Named:
        id_key, text_key, document_key, topic_key, title_key = keys
        return (
            None if id_key is None else self._plain(line, id_key, found),
            "" if text_key is None else self._plain(line, text_key, found, is_text=True),
            "" if document_key is None else self._plain(line, document_key, found),
            "" if topic_key is None else self._plain(line, topic_key, found),
            "" if title_key is None else self._plain(line, title_key, found),
        )

    def _plain(
        self, line: int, key: str, found: Mapping[str, msgspec.Raw], *, is_text: bool = False
    ) -> str:
        """Return a string, or a number as it is written; a missing value is empty."""
        raw = found.get(key)
        if raw is None:
            return ""
        data = bytes(raw)
        start = data[:1]
        if start == b'"':
            text = _TEXT.decode(data)
            if "\0" in text:
                raise InputError(
                    f"{self.path}, line {line}: the value of {key!r} holds a NUL character "
                    "(\\u0000). It is damaged: export it again, or remove the character."
                )
            return text
        if start == b"n":
            return ""
        if start in b"-0123456789" and not is_text:
            return data.decode()
        wanted = "a string or null" if is_text else "a string, a number or null"
        raise InputError(
            f"{self.path}, line {line}: the value of {key!r} is {_shown(data)}, not {wanted}. "
            "Put quotes around it, or name another column."
        )

    def size(self, cells: Cells) -> int:
        """Return the bytes of the line."""
        return len(cells[0])

    def texts(self, cells: Cells) -> Sequence[str]:
        """Return strings as they are, everything else as it is written, without spaces."""
        found = _RAW.decode(cells[0])
        return [_as_written(found.get(key)) or "" for key in self.columns]

    def values(self, cells: Cells) -> Sequence[object]:
        """Return the values by kind; what is OTHER as text."""
        raw, found = _RAW.decode(cells[0]), _ANY.decode(cells[0])
        return [
            _as_written(raw.get(key)) if kind is Kind.OTHER else found.get(key)
            for key, kind in zip(self.columns, self.kinds, strict=True)
        ]

    def json(self, cells: Cells) -> bytes:
        """Return the line; without keys that are not kept, and then the values as written."""
        line: bytes = cells[0]
        if not self.is_narrowed:
            return line
        kept = frozenset(self.columns)
        return msgspec.json.encode(
            {key: value for key, value in _RAW.decode(line).items() if key in kept}
        )


def open_json(path: Path, *, limit: int | None, line_bytes: int) -> JsonRows:
    """Read all lines, or the first `limit`, and return what they hold.

    Raises:
        InputError: If the file cannot be read, or a line is no object.
    """
    survey = _Survey()
    with closing(lines_of(path, line_bytes)) as lines:
        for line, data in islice(lines, limit):
            try:
                values = _ANY.decode(data)
            except _BROKEN as error:
                raise broken_line(path, line, data, error) from error
            if not isinstance(values, dict):
                raise broken_line(path, line, data, None)
            survey.add(values)
            if len(survey.kinds) > COLUMN_COUNT:
                raise InputError(
                    f"{path}, line {line}: more than {COLUMN_COUNT:,} different keys up to here. "
                    "Keys are names of columns; put what differs from row to row into values."
                )
    if not survey.kinds:
        raise InputError(f"{path} holds no values. {WANTED}.")
    columns = tuple(survey.kinds)
    return JsonRows(
        path=path,
        columns=columns,
        kinds=tuple(map(survey.common, columns)),
        line_bytes=line_bytes,
    )


class _Survey:
    """Which keys there are, and which kinds of values each has."""

    def __init__(self) -> None:
        self.kinds: dict[str, set[Kind]] = {}
        self._large: set[str] = set()

    def add(self, values: Mapping[str, object]) -> None:
        """Take note of one object."""
        for key, value in values.items():
            kinds = self.kinds.get(key)
            if kinds is None:
                kinds = self.kinds[key] = set()
            kind = _KINDS.get(type(value))
            if isinstance(value, int) and not -_EXACT_INTEGER <= value <= _EXACT_INTEGER:
                self._large.add(key)
                if not -_MOST_INTEGER <= value < _MOST_INTEGER:
                    kind = Kind.OTHER
            if kind is not None:
                kinds.add(kind)

    def common(self, key: str) -> Kind:
        """Return the kind that holds all values of a key without loss."""
        kinds = self.kinds[key]
        if kinds == {Kind.INTEGER, Kind.NUMBER} and key not in self._large:
            return Kind.NUMBER
        if len(kinds) > 1:
            return Kind.OTHER
        return next(iter(kinds), Kind.TEXT)  # only null: nothing speaks against text


def lines_of(path: Path, line_bytes: int) -> Generator[tuple[int, bytes], None, None]:
    """Yield (number, bytes) of each line that is not blank, without mark, spaces and line end.

    Raises:
        InputError: If the file cannot be read, or a line is too long.
    """
    line = 0
    try:
        with closing(open_bytes(path)) as raw:
            while data := raw.readline(line_bytes + 1):
                line += 1
                if len(data) > line_bytes:
                    raise InputError(
                        f"{path}, line {line}: the line has more than {line_bytes:,} bytes. Each "
                        "line must hold one object; a text of this size has to be cut into "
                        "chunks first."
                    )
                if line == 1:
                    data = _without_mark(path, data)
                if data := data.strip():
                    yield line, data
    except gzip.BadGzipFile as error:
        raise InputError(
            f"{path} is not a gzip file, though its name ends in .gz, or it is damaged. Rename "
            "it, or pack it again."
        ) from error
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(
            f"Cannot read {path} after line {line}: {cause(error)}. The file is cut or damaged, "
            "or its disk failed; copy or make it again."
        ) from error


def _without_mark(path: Path, data: bytes) -> bytes:
    if data.startswith(_WIDE_MARKS):
        raise InputError(
            f"{path} starts with the byte order mark of UTF-16, but JSON Lines are UTF-8. Write "
            f"it again as UTF-8 (iconv -f utf-16 -t utf-8 {path.name} > new.jsonl)."
        )
    return data.removeprefix(codecs.BOM_UTF8)


def broken_line(path: Path, line: int, data: bytes, error: Exception | None) -> InputError:
    """Return the error for a line that is not one JSON object."""
    if isinstance(error, UnicodeDecodeError):
        why = f"byte 0x{error.object[error.start]:02X} is not valid UTF-8"
    elif isinstance(error, RecursionError):
        why = "values are nested too deeply"
    elif error is None or data[:1] != b"{":
        why = f"{_shown(data)} is no object"
    elif _SURROGATE.search(data) and "truncated" in str(error):  # the decoder's word for it
        why = "a text holds half a character (\\ud800 to \\udfff)"
    else:
        why = str(error).rstrip(".")
    cure = ""
    if line == 1 and data[:1] == b"[":
        cure = " A file with one array becomes lines by: jq -c '.[]' old.json > new.jsonl."
    return InputError(f"{path}, line {line}: {why}. {WANTED}; mend the line or remove it.{cure}")


def _shown(data: bytes) -> str:
    text = data[: 4 * _SHOWN_CHARS].decode(errors="replace")
    return repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…")


def _as_written(raw: msgspec.Raw | None) -> str | None:
    """Return a string's content, or any other value as written but for spaces; null is None."""
    if raw is None:
        return None
    data = bytes(raw)
    match data[:1]:
        case b'"':
            return _TEXT.decode(data)
        case b"n":
            return None
        case b"{" | b"[":
            return msgspec.json.format(data, indent=-1).decode()
        case _:
            return data.decode()
