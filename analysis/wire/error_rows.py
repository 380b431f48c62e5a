"""The form of a row in the table of foreign errors, and the places where they show.

Pure. `wire/error_table.py` and `wire/exception_table.py` are made of these rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analysis.errors import RequestRejected, TransportError
from analysis.records import Ending

ANY = "any other"
"""Pattern of the row for what no other row of its place names."""

CHECK_URL = "Check the base URL."
"""Cure of an address that leads nowhere."""


class Where(StrEnum):
    """Where an error shows; within a place the rows are asked in the order of the table."""

    NAME = "error code or type, wherever it stands"
    PARAM = "parameter that an error object names"
    LIMIT_WORDS = "words of a rate limit"
    STATUS = "HTTP status"
    BARE_NAME = "error code or type without an HTTP status"
    CLOSE = "close code of a WebSocket"
    CONNECT = "exception before a connection stands"
    CALL = "exception of an HTTPS request"
    OPENING = "exception of a WebSocket that opens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one foreign error means.

    Attributes:
        where: The place.
        patterns: Names in this place. A status may be a class such as `5xx`. An exception is named
            by package and class, and stands for the classes that inherit from it, too; a status in
            a proxy's refusal follows the name.
        becomes: Our exception.
        ending: How the request ended.
        meaning: What happened; the beginning of the message. `{host}` is the host.
        cure: What to do; the end of the message.
        code: In place of the service's own code.
        source: Mark and origin.
    """

    where: Where
    patterns: tuple[str, ...]
    becomes: type[TransportError] | type[RequestRejected]
    ending: Ending = Ending.REFUSED
    meaning: str
    cure: str = ""
    code: str = ""
    source: str
