"""A CSV file as bytes: compression, encoding, delimiter, quotes; read as a stream.

io. Called by `analysis.pipeline.tables`, which gives the columns their meaning. Nothing here keeps
more than one row of the file in memory, and nothing is guessed without a line in `notes`.

A line ends at LF, CR or CRLF, also inside a quoted cell; the line numbers in messages count these.
Quoting is checked strictly: a quote that is never closed, or text after a closing quote, would
otherwise join rows or change a text without a word.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import gzip
import io
import re
import stat
import unicodedata
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from analysis.errors import ConfigurationError, InputError
from analysis.pipeline.formats import suffix_of
from analysis.pipeline.misread import misreading

CANDIDATES = (",", ";", "\t", "|")
"""Delimiters that are tried when the usual one does not split the header."""

HEADER_WANTED = "The first line must name the columns."
"""What a CSV file must begin with, for messages."""

_UTF8_MARK = codecs.BOM_UTF8
_WIDE_MARKS = (
    # UTF-32 first: its little-endian mark starts with the one of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARKED = frozenset({"utf-16", "utf-32"})
"""Codecs that need the mark to know the order of bytes."""

_OTHER_FORMATS = (
    (b"\x1f\x8b", "a gzip file. Give it a name that ends in .gz"),
    (b"PK\x03\x04", "a workbook or zip file. Save the table as CSV"),
    (b"PAR1", "a Parquet file. Give it a name that ends in .parquet"),
    (b"\xd0\xcf\x11\xe0", "a workbook. Save the table as CSV"),
    (b"\x80\x04\x95", "a pickle. Write the table with to_csv or to_parquet"),
    (b"\x80\x05\x95", "a pickle. Write the table with to_csv or to_parquet"),
    (b"ARRO", "an Arrow file. Write the table as Parquet"),
)
_JSON = (
    "is JSON, and of JSON only lines are read: an object on each, in a file whose name ends in "
    ".jsonl, as to_json(path, orient='records', lines=True) of pandas writes it."
)
# These decode bytes to half characters, or do not belong to files; neither can be written again.
_NOT_FOR_FILES = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)
_SEP_LINE = re.compile(r'"?sep=([^"])"?', re.IGNORECASE)
_ENCODING_CURE = (
    "Pass --encoding with the encoding of the file, e.g. windows-1251 (Russian), "
    "gb18030 (Chinese), latin-1 (French)."
)
_BLOCK_BYTES = 1 << 16  # read size while looking for a bad byte; any size gives the same answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """All that is needed to read the rows of one file again and again.

    Attributes:
        path: The file.
        encoding: Name of the Python codec; a byte order mark is removed separately.
        delimiter: One character.
        has_bom: The file starts with a byte order mark.
        has_sep_line: The first line is a `sep=X` hint for spreadsheets; it is skipped.
        row_chars: Largest number of characters of a row; bounds memory.
        notes: What was assumed, one line each, to be shown to the user.
    """

    path: Path
    encoding: str
    delimiter: str
    has_bom: bool
    has_sep_line: bool
    row_chars: int
    notes: tuple[str, ...] = ()


def detect(
    path: Path, *, encoding: str | None, delimiter: str | None, row_chars: int
) -> tuple[Dialect, tuple[str, ...]]:
    """Return how the file is written, and its header.

    Raises:
        ConfigurationError: If an option cannot be used.
        InputError: If there is no such file or its beginning cannot be read as CSV.
    """
    wanted = None if delimiter is None else _delimiter_option(delimiter)
    check_file(path)
    codec, has_bom = _encoding(path, _head(path), encoding)
    dialect = Dialect(
        path=path,
        encoding=codec,
        delimiter=wanted or _usual_delimiter(path),
        has_bom=has_bom,
        has_sep_line=False,
        row_chars=row_chars,
    )
    dialect = _with_sep_line(dialect, is_explicit=wanted is not None)
    if wanted is None and not dialect.has_sep_line:
        dialect = _with_delimiter_of_header(dialect)
    header = _header(dialect)
    if header is None:
        raise InputError(f"{path} holds blank lines only. {HEADER_WANTED}")
    return dialect, header


def check_file(path: Path, *, wanted: str = HEADER_WANTED) -> tuple[int, int]:
    """Return size and modification time (ns) of a file that can be read more than once.

    Args:
        path: The file.
        wanted: A sentence on what should be in it, for a file without a byte.

    Raises:
        InputError: If it is missing (names the nearest file there), a folder, a pipe or empty.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(f"Cannot read {path}: no such file.{_nearest_file(path)}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read {path}: {cause(error)}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"Cannot read {path}: it is a folder. Name a CSV file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"Cannot read {path}: it is no regular file, and the input is read more than once. "
            "Save it to a file first."
        )
    if status.st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). {wanted}")
    return status.st_size, status.st_mtime_ns


def records(dialect: Dialect) -> Generator[tuple[int, list[str]], None, None]:
    """Yield (line of its start, cells) of each row, the header first; blank lines are skipped.

    Raises:
        InputError: If the file cannot be read, decoded or split; names the line.
    """
    if csv.field_size_limit() < dialect.row_chars:
        # For the whole process, and never downwards: others may have raised it further.
        csv.field_size_limit(dialect.row_chars)
    place = _Place()
    with _lines(dialect, place) as lines:
        if dialect.has_sep_line:
            next(lines, "")
            place.end_row()
        for cells in csv.reader(lines, delimiter=dialect.delimiter, strict=True):
            if cells:
                yield place.row_line, cells
            place.end_row()


class _Place:
    """Where one reading of a file is, for messages and for the bound on rows."""

    def __init__(self) -> None:
        self.line = 0
        self.row_line = 1
        self.row_chars = 0

    def end_row(self) -> None:
        """Note that the next line starts a row."""
        self.row_line = self.line + 1
        self.row_chars = 0


@contextmanager
def _lines(dialect: Dialect, place: _Place) -> Iterator[Iterator[str]]:
    """Open the file for one pass over its lines; every failure inside names the place."""
    path = dialect.path
    try:
        with open_bytes(path) as raw, io.TextIOWrapper(raw, dialect.encoding, newline="") as text:
            yield _checked_lines(dialect, text, place)
    except UnicodeDecodeError as error:
        raise _decoding_error(dialect) from error
    except csv.Error as error:
        raise InputError(
            f"{path}, line {place.row_line}: the row that starts here has a quote that is not "
            f"closed, or text after a closing quote (noticed on line {place.line}: {error}). "
            'Close the quote; a quote inside a quoted cell is written twice ("").'
        ) from error
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(
            f"Cannot read {path} after line {place.line}: {cause(error)}. The file is cut or "
            "damaged, or its disk failed; copy or make it again."
        ) from error


def _checked_lines(dialect: Dialect, text: TextIO, place: _Place) -> Iterator[str]:
    """Yield the lines with their ends, without the byte order mark."""
    path, limit = dialect.path, dialect.row_chars
    while line := text.readline(limit + 1):
        place.line += 1
        place.row_chars += len(line)
        if place.row_chars > limit:
            raise InputError(
                f"{path}, line {place.row_line}: the row that starts here has more than "
                f"{limit:,} characters. Look for a quote that is never closed; a text of this "
                "size has to be cut into chunks first."
            )
        if "\0" in line:
            raise InputError(
                f"{path}, line {place.line}: there is a NUL byte. If the file is UTF-16, pass "
                "--encoding utf-16 (utf-16-le if it has no byte order mark); otherwise it is "
                "damaged: export it again, or remove the NUL bytes (tr -d '\\000' < old > new)."
            )
        if place.line == 1:
            line = line.removeprefix("\ufeff")
        if wrong := misreading(line, dialect.encoding):
            raise InputError(
                f"{path}, line {place.line}: read as {dialect.encoding}, {wrong}. A file of "
                f"several encodings has to be written anew in one. {_ENCODING_CURE}"
            )
        yield line


def open_bytes(path: Path) -> BinaryIO:
    """Open for reading bytes, unpacked when the name ends in .gz."""
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _head(path: Path) -> bytes:
    """Return the first four bytes, unpacked, of a file that looks like text."""
    try:
        with open_bytes(path) as raw:
            head = raw.read(4)
    except gzip.BadGzipFile as error:
        raise InputError(
            f"{path} is not a gzip file, though its name ends in .gz. Rename it, or pack it."
        ) from error
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"Cannot read {path}: {cause(error)}.") from error
    if not head:
        raise InputError(f"{path} is empty when unpacked. {HEADER_WANTED}")
    for start, advice in _OTHER_FORMATS:
        if head.startswith(start):
            raise InputError(f"{path} is {advice}.")
    if suffix_of(path) == ".json" and head.lstrip()[:1] in (b"{", b"["):
        raise InputError(f"{path} {_JSON}")
    return head


def _encoding(path: Path, head: bytes, wanted: str | None) -> tuple[str, bool]:
    """Return the codec's name, and whether a byte order mark comes first."""
    codec = None if wanted is None else _codec(wanted)
    wide = next((name for mark, name in _WIDE_MARKS if head.startswith(mark)), None)
    if codec is None and wide is not None:
        raise InputError(
            f"{path} starts with the byte order mark of {wide.upper()}. Pass --encoding {wide}."
        )
    if codec in _MARKED and wide != codec:
        raise InputError(
            f"{path} does not start with the byte order mark of {codec.upper()}. Pass --encoding "
            f"{codec}-le, or {codec}-be, if it is {codec.upper()} without one. {_ENCODING_CURE}"
        )
    if not head.startswith(_UTF8_MARK):
        return codec or "utf-8", wide is not None
    if codec not in (None, "utf-8", "utf-8-sig"):
        raise ConfigurationError(
            f"{path} starts with the byte order mark of UTF-8, so it is not {wanted}. Leave "
            "--encoding out."
        )
    return "utf-8", True


def _codec(name: str) -> str:
    """Return Python's name of an encoding that text files can have."""
    try:
        codec = codecs.lookup(name).name
        io.TextIOWrapper(io.BytesIO(), codec)  # refuses codecs that are no text encodings
        if codec not in _NOT_FOR_FILES:
            return codec
    except (LookupError, ValueError):
        pass  # both ways end in the same advice
    raise ConfigurationError(f"Unknown encoding {name!r}. {_ENCODING_CURE}")


def _delimiter_option(value: str) -> str:
    """Return the delimiter that the user means."""
    delimiter = "\t" if value.lower() in ("\\t", "tab") else value
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ConfigurationError(
            f"Delimiter {value!r} cannot be used. Pass one character, e.g. --delimiter ';', or "
            "tab; a quote or a line end cannot be one."
        )
    return delimiter


def _usual_delimiter(path: Path) -> str:
    return "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","


def _with_sep_line(dialect: Dialect, *, is_explicit: bool) -> Dialect:
    """Take the `sep=X` hint that Excel writes, when a header follows it.

    The line is no data: it is skipped here, and so it is absent from the output. An explicit
    delimiter wins over it.
    """
    with _lines(dialect, _Place()) as lines:
        hint = _SEP_LINE.fullmatch(next(lines, "").rstrip("\r\n"))
    if hint is None:
        return dialect
    delimiter = dialect.delimiter if is_explicit else _delimiter_option(hint[1])
    found = replace(
        dialect,
        delimiter=delimiter,
        has_sep_line=True,
        notes=(
            f"line 1 {hint[0]!r} is a hint for spreadsheets and is left out of the output; "
            f"delimiter {delimiter!r}",
        ),
    )
    return dialect if _header(found) is None else found


def _with_delimiter_of_header(dialect: Dialect) -> Dialect:
    """Take another delimiter where the header splits that way alone."""
    if _splits(dialect):
        return dialect
    others = (replace(dialect, delimiter=other) for other in CANDIDATES)
    ways = [other for other in others if _splits(other)]
    if len(ways) != 1:
        return dialect
    note = f"delimiter {ways[0].delimiter!r} taken from the header"
    return replace(ways[0], notes=(*dialect.notes, note))


def _splits(dialect: Dialect) -> bool:
    """Return whether the header has more than one column this way.

    A header that cannot be read this way, such as `"id";"text"` by commas, does not split.
    """
    try:
        header = _header(dialect)
    except InputError:
        return False
    return header is not None and len(header) > 1


def _header(dialect: Dialect) -> tuple[str, ...] | None:
    with closing(records(dialect)) as rows:
        for _, cells in rows:
            return tuple(cells)
    return None


def _decoding_error(dialect: Dialect) -> InputError:
    """Read once more to name the first byte that the encoding does not know."""
    path, encoding = dialect.path, dialect.encoding
    line, offset, byte = _bad_byte(path, encoding)
    given = encoding.upper() if encoding.startswith("utf") else encoding
    return InputError(
        f"{path}, line {line}: byte 0x{byte:02X} at offset {offset} is not valid {given}. "
        f"{_ENCODING_CURE}"
    )


def _bad_byte(path: Path, encoding: str) -> tuple[int, int, int]:
    """Return line, offset in the unpacked file and value of the first byte that is not valid."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line, offset, last = 1, 0, ""
    with open_bytes(path) as raw:
        while True:
            block = raw.read(_BLOCK_BYTES)
            state = decoder.getstate()
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                break
            line, last = line + _line_ends(last, text), text[-1:] or last
            offset += len(block)
    # Byte by byte, so that all characters before the bad byte are counted.
    decoder.setstate(state)
    for byte in (*(bytes([value]) for value in block), b""):
        try:
            text = decoder.decode(byte, final=not byte)
        except UnicodeDecodeError as error:
            offset += len(byte)
            return line, offset - len(error.object) + error.start, error.object[error.start]
        line, last = line + _line_ends(last, text), text[-1:] or last
        offset += 1
    raise InputError(f"{path} changed while it was read. Start again when it is complete.")


def _line_ends(last: str, text: str) -> int:
    """Count line ends in `text`, which follows the character `last`."""
    joined = last + text
    return text.count("\n") + text.count("\r") - joined.count("\r\n")


def _nearest_file(path: Path) -> str:
    """Return a sentence on the file that was probably meant, or on the missing folder."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f" There is no folder {path.parent} either."
    near = difflib.get_close_matches(path.name, names, n=1)
    same = [name for name in names if _composed(name) == _composed(path.name)]
    if same:
        return (
            f" Nearest: {path.parent / same[0]}, whose accents are coded in another way: let the "
            "terminal complete the name."
        )
    return f" Nearest: {path.parent / near[0]}." if near else ""


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def cause(error: Exception) -> str:
    """Return the reason in an exception's own words, without number and path."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).rstrip(".")
