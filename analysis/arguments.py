"""What callers hand in, checked: chunks in any of their forms, topics, counts.

Pure. The analyzers call it before anything is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from analysis.analyzer import ChunkLike
from analysis.endpoint import Endpoint
from analysis.errors import ConfigurationError
from analysis.kinds import (
    CALL,
    FLAG,
    NONE,
    NUMBER,
    TEXT,
    TEXTS,
    WHOLE,
    Kind,
    instance_of,
)
from analysis.labels.label_set import LabelSet
from analysis.labels.neighbours import placed_chunks
from analysis.labels.titles import sent_title
from analysis.prices import PriceTable
from analysis.records import Chunk
from analysis.settings import LANGUAGES, MOST_CONTEXT, SETTINGS, Settings

LARGEST_COUNT = 10**15
"""More things than any file or service has."""


def check_count(name: str, value: int | None, *, most: int | None = None) -> None:
    """Refuse a number of things that is no whole number from 1 to `most`.

    Raises:
        ConfigurationError: Names the allowed values.
    """
    if value is None:
        return
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 1 <= value <= (most or LARGEST_COUNT):
        is_large = is_whole and value > LARGEST_COUNT
        allowed = f"1 to {most or LARGEST_COUNT}" if most or is_large else "at least 1"
        raise ConfigurationError(f"{name} is {value!r}; it must be a whole number, {allowed}.")


def check_context(context: int) -> int:
    """Return a number of neighbours that can be sent along.

    Raises:
        ConfigurationError: Names the allowed values.
    """
    is_whole = isinstance(context, int) and not isinstance(context, bool)
    if not is_whole or not 0 <= context <= MOST_CONTEXT:
        raise ConfigurationError(
            f"context is {context!r}; it must be a whole number from 0 (no neighbours) to "
            f"{MOST_CONTEXT}."
        )
    return context


AUTO = "auto"
"""In place of a number of chunks: it is planned."""


def check_pack_size(name: str, value: int | str | None, *, most: int) -> None:
    """Refuse what is neither a number of chunks from 1 to `most` nor `auto`.

    Raises:
        ConfigurationError: Names the allowed values.
    """
    if value is None or value == AUTO:
        return
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 1 <= int(value) <= most:
        raise ConfigurationError(
            f"{name} is {value!r}; allowed: a whole number from 1 to {most}, or {AUTO}."
        )


LABEL_SET = Kind(
    words="the name of a label set or the path of its file as str, or a LabelSet",
    takes=lambda value: isinstance(value, str | LabelSet),
)

ANALYZER_KINDS: Mapping[str, Kind] = {
    "api_key": TEXT | NONE,
    "base_url": TEXT | NONE,
    "model": TEXT | NONE,
    "label_set": LABEL_SET,
    "language": TEXT,
    "routes": TEXT | TEXTS,
    "dialect": TEXT,
    "timeout_s": NUMBER | NONE,
    "on_event": CALL | NONE,
    "seed": WHOLE | NONE,
    "settings": instance_of(Settings, "a Settings"),
    "endpoint": instance_of(Endpoint, "an Endpoint") | NONE,
    "service_tier": TEXT | NONE,
    "tape": CALL | NONE,
    "prices": instance_of(PriceTable, "a PriceTable") | NONE,
    "logprobs": FLAG,
    "examples": FLAG,
}
"""Of which kind the arguments of the analyzers are; the others have checks of their own."""


def check_topic(topic: str | None) -> str | None:
    """Return a topic that can be sent.

    Raises:
        ConfigurationError: If it is no text.
    """
    return _check_words("topic", topic)


def _check_words(name: str, given: str | None) -> str | None:
    if given is not None and not isinstance(given, str):
        raise ConfigurationError(
            f"The {name} is of the type {type(given).__name__}; it must be a str, or None."
        )
    if given is not None and not _is_encodable(given):
        raise ConfigurationError(
            f"The {name} holds half a surrogate pair, which no service takes. Decode it anew."
        )
    return given


def as_chunks(
    given: Iterable[ChunkLike],
    *,
    context: int = 0,
    has_totals: bool = True,
    settings: Settings = SETTINGS,
) -> Iterator[Chunk]:
    """Yield a new `Chunk` for each of what a caller hands in.

    Args:
        given: The chunks, read as they are yielded.
        context: So many neighbours each side stand in the place of a chunk; 0: it has no place.
        has_totals: See `labels.neighbours.placed`, as for `settings`.
        settings: Knobs.

    Raises:
        ConfigurationError: If it is no collection of chunks, or one of them cannot be read.
    """
    if isinstance(given, str | bytes | Mapping | Chunk) or not isinstance(given, Iterable):
        cure = "; for a single one there is analyze_chunk."
        if hasattr(type(given), "__aiter__"):
            cure = ", such as [one async for one in chunks]."
        raise ConfigurationError(
            f"chunks is of the type {type(given).__name__}. Pass a list (or another iterable) of "
            f"chunks{cure}"
        )
    if hasattr(type(given), "columns"):  # a frame yields the names of its columns
        raise ConfigurationError(
            f"chunks is of the type {type(given).__name__}, and a frame is no list of chunks. "
            "Label it with analyze_dataframe, or pass pairs of strings: zip(ids, texts)."
        )
    found = (
        as_chunk(one, settings, where=f"chunk {number} of those handed in")
        for number, one in enumerate(given, 1)
    )
    if not context:
        return found
    return placed_chunks(found, distance=context, has_totals=has_totals, settings=settings)


def as_chunk(given: ChunkLike, settings: Settings = SETTINGS, *, where: str = "the chunk") -> Chunk:
    """Return a new `Chunk` of what a caller may hand in; a long title is cut to `title_chars`.

    An id must be a str: a verdict has the id that its chunk was given, and a number would come
    back as something that is not equal to it. `where` names the chunk in messages.

    Raises:
        ConfigurationError: If it has no id or text, or they cannot be sent.
    """
    try:
        chunk = _read_chunk(given)
    except (KeyError, TypeError, ValueError) as error:
        lacking = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigurationError(
            f"Cannot read {where}, which is of the type {type(given).__name__}: "
            f"{lacking.rstrip('.')}. Pass a Chunk, a mapping with the strings id and text, or a "
            "pair (id, text)."
        ) from error
    if not _is_encodable(chunk.text):
        raise ConfigurationError(
            f"The text of chunk {chunk.id!r} holds half a surrogate pair, which no service takes. "
            "Decode it anew, or replace it: text.encode('utf-8', 'replace').decode()."
        )
    for name, words in (("topic", chunk.topic), ("document", chunk.document)):
        _check_words(f"{name} of chunk {chunk.id!r}", words)
    title = sent_title(
        _check_words(f"title of chunk {chunk.id!r}", chunk.title), settings.title_chars
    )
    return chunk if title == chunk.title else replace(chunk, title=title)


async def one_slice(chunks: Sequence[Chunk]) -> AsyncIterator[Sequence[Chunk]]:
    """Yield a list as dispatch takes it, in one piece."""
    yield chunks


async def in_slices(chunks: Iterator[Chunk], settings: Settings) -> AsyncIterator[Sequence[Chunk]]:
    """Yield chunks in slices, reading no further than each."""
    while batch := list(islice(chunks, settings.slice_chunks)):
        yield batch


def _read_chunk(given: ChunkLike) -> Chunk:
    if isinstance(given, Chunk):
        return replace(given, place=None)  # the analyzer says what stands around
    named = given if isinstance(given, Mapping) else _row_with_names(given)
    if named is not None:
        return Chunk(
            id=_text_of("id", named["id"]),
            text=_text_of("text", named["text"]),
            topic=named.get("topic"),
            title=named.get("title"),
            document=named.get("document"),
        )
    if isinstance(given, str | bytes):
        raise TypeError("a text alone has no id")
    chunk_id, text = given
    return Chunk(id=_text_of("id", chunk_id), text=_text_of("text", text))


def _row_with_names(given: object) -> Mapping[str, Any] | None:
    """Return a row that has `id` or `text` among its names as a mapping, else None.

    Such are named tuples, as `itertuples` of pandas makes them, and the rows of pandas and sqlite3.
    They can be unpacked like a pair, and then id and text would be by chance in the right order.
    """
    fields = getattr(given, "_fields", None)
    if isinstance(given, tuple) and isinstance(fields, tuple):
        found = dict(zip(fields, given, strict=False))
    elif callable(names := getattr(given, "keys", None)):
        row: Any = given
        found = {name: row[name] for name in names()}
    else:
        return None
    return None if found.keys().isdisjoint(("id", "text")) else found


def _text_of(name: str, value: object) -> str:
    if not isinstance(value, str):
        shown = f", {value!r}" if isinstance(value, int | float) else ""
        raise TypeError(
            f"its {name} is of the type {type(value).__name__}{shown}, and must be a str"
            + (", such as str(id)" if name == "id" else "; a missing one is ''")
        )
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_language(language: str) -> str:
    """Return the language if it is one of those that are known.

    Raises:
        ConfigurationError: Names those.
    """
    if language not in LANGUAGES:
        raise ConfigurationError(
            f"Language {language!r} is not known. Use one of {', '.join(LANGUAGES)}."
        )
    return language
