"""Whether a line was read in an encoding that it is not written in.

Pure. `dialect` asks it for files whose encoding the user named. Encodings of one byte a letter
decode anything, so that a wrong one raises nothing, and garbage would be paid for. What is told
here cannot be a text of the encoding; where that is not sure, nothing is told.
"""

from __future__ import annotations

import re

_UTF8_BYTES = 8
"""Bytes beyond ASCII from which a line that is valid UTF-8 is UTF-8. In one-byte encodings each
letter would have to be followed by a sign such as ѓ or §, four times and with no exception."""

_UTF8_BYTES_OF_PAIRS = 40
"""The same for encodings of two bytes a letter: a quarter of the Chinese ones pass for UTF-8."""

_LETTERS = 20
"""Letters from which their kinds say something about a line."""

_WESTERN = frozenset({"iso8859-1", "iso8859-15", "cp1252", "mac-roman"})
_ACCENTED = re.compile(r"[^\W\d_\x00-\x7f]")
_PLAIN = re.compile(r"[A-Za-z]")


def misreading(line: str, encoding: str) -> str | None:
    """Return what a line shows about its encoding, as the end of a sentence; None if nothing.

    Args:
        line: As it was decoded.
        encoding: Python's name of the codec.
    """
    if line.isascii() or encoding.startswith("utf"):
        return None
    if _is_utf8(line, encoding):
        return "it is UTF-8. Where all lines are, leave the encoding out"
    if encoding in _WESTERN:
        accented = len(_ACCENTED.findall(line))
        if accented >= _LETTERS and accented > len(_PLAIN.findall(line)):
            return "most of its letters have accents, as in no language of that encoding"
    return None


def _is_utf8(line: str, encoding: str) -> bool:
    try:
        data = line.encode(encoding)
        data.decode("utf-8")
    except UnicodeError:
        return False
    beyond = sum(byte > 0x7F for byte in data)
    has_pairs = len(data) > len(line)
    return beyond >= (_UTF8_BYTES_OF_PAIRS if has_pairs else _UTF8_BYTES)
