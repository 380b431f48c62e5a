"""What a service repeats of the texts that it was sent, and messages without it.

Pure. dispatch calls it when a request has failed or its answer has a defect, before anybody hears
of it: run, ledger, events, tape and verdicts get the words of a service from there only.

A service may repeat a text cut, escaped for JSON, HTML or an address, once or twice, in other
letters or with other spaces. So both sides are compared without all of that: escapes undone,
letters and digits only, folded case, no accents. What then stands in both for at least `RUN` in a
row is taken out; a letter of a script that is written without spaces counts for two.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate

from analysis.errors import (
    AccountClosed,
    AnalysisError,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Ending, Pack, Reply

TEXT = "[text]"
"""Stands for what was taken out."""

RUN = 20
"""Letters and digits in a row that are taken out: about 24 characters with their spaces, or 10 of a
script without spaces. Long words of a service's own sentences are shorter."""

WHOLE = 12
"""A shorter text, title or topic is taken out as a whole from this length on."""

_BLOCK = 8
"""Every run of `RUN` holds one of the blocks of this length into which a message is cut."""

_KNOWN = 64
"""Messages of lost sockets that are remembered, since each of its requests gets the same one."""

_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]{1,6}\}|\\U[0-9a-fA-F]{8}"
    r"|(?:\\x[0-9a-fA-F]{2})+|(?:%[0-9a-fA-F]{2})+"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
    r"|\\.",
    re.DOTALL,
)
_DEPTH = 4
"""How often escapes are undone: a text in JSON in JSON in HTML has three coats."""

_WIDE = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
    "\U00020000-\U0003ffff]"
)
"""Letters of scripts without spaces: Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese."""

_NAME = re.compile(r"[A-Za-z0-9._:/@+-]{0,100}")
"""Codes and models, which have no spaces."""


def texts_of(pack: Pack) -> Iterator[str]:
    """Yield all that a request says of its chunks: texts, what stands around them, title, topic."""
    for item in pack.items:
        yield item.chunk.text
    yield from pack.before
    yield from pack.after
    for one in (pack.topic, pack.title):
        if one is not None:
            yield one


def without_texts(message: str, texts: Iterable[str]) -> str:
    """Return a message with `[text]` for all that it repeats of some texts."""
    said = _bare(message)
    own = [found for found in map(_bare, texts) if found]
    short = (text for text in own if len(text) < RUN)  # which is quicker than to weigh them all
    wholes = {text for text in short if WHOLE <= _weight(text) < RUN and text in said}
    joined = "\n".join(own)
    if not wholes and not any(block in joined for block in _blocks(said)):
        return message
    letters = tuple(_letters(message))
    spans = [*_runs(said, joined), *(span for text in wholes for span in _places(said, text))]
    return _replaced(message, [(letters[start][1], letters[end - 1][2]) for start, end in spans])


def with_plain_model(reply: Reply, pack: Pack) -> Reply:
    """Return a reply whose name of a model repeats no text, which no real name does."""
    if _NAME.fullmatch(reply.model):
        return reply
    return replace(reply, model=without_texts(reply.model, texts_of(pack)))


class Silencer:
    """Takes texts out of the errors of requests.

    Args:
        in_flight: Returns the packs that are on their way now.
    """

    def __init__(self, in_flight: Callable[[], Iterable[Pack]]) -> None:
        self._in_flight = in_flight
        self._known: dict[str, str] = {}

    def clean(self, error: AnalysisError, pack: Pack) -> None:
        """Take the texts of a failed request out of an error, in place.

        What ends a whole socket or route, or keeps it from opening, may repeat the text of any
        request.
        """
        look = self._without_any if _is_shared(error) else self._without_own
        message = str(error)
        clean = look(message, pack)
        if clean != message:
            error.args = (clean,)
            error.__cause__, error.__suppress_context__ = None, True  # it has the same words
        if isinstance(error, TransportError | RequestRejected) and not _NAME.fullmatch(error.code):
            error.code = look(error.code, pack)

    def _without_own(self, words: str, pack: Pack) -> str:
        return without_texts(words, texts_of(pack))

    def _without_any(self, words: str, pack: Pack) -> str:
        if words not in self._known:
            if len(self._known) == _KNOWN:
                self._known.clear()
            texts = [text for one in (pack, *self._in_flight()) for text in texts_of(one)]
            self._known[words] = without_texts(words, texts)
        return self._known[words]


def _is_shared(error: AnalysisError) -> bool:
    if isinstance(error, TransportError):
        return error.loss is not None or error.ending is Ending.UNSENT
    return isinstance(error, AccountClosed | RouteClosed)


# How texts are compared


def _letters(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each letter that `_bare` returns, with start and end of its place in the text."""
    found = [(one, place, place + 1) for place, one in enumerate(text)]
    for _ in range(_DEPTH):
        plain = "".join(one for one, _, _ in found)
        parts, place = [], 0
        for match in _ESCAPES.finditer(plain):
            first, last = match.span()
            span = found[first][1], found[last - 1][2]
            parts += found[place:first] + [(one, *span) for one in _meant(match[0])]
            place = last
        found = parts + found[place:]
    for one, start, end in found:
        for letter in _fold(one):
            yield letter, start, end


def _bare(text: str) -> str:
    """Return the letters and digits of a text without its escapes, folded."""
    for _ in range(_DEPTH):
        if "\\" not in text and "%" not in text and "&" not in text:
            break
        text = _ESCAPES.sub(lambda match: _meant(match[0]), text)
    return _fold(text)


_NO_LETTER = re.compile(r"[\W_]+")


def _fold(text: str) -> str:
    if text.isascii():
        return _NO_LETTER.sub("", text.lower())
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return _NO_LETTER.sub("", apart)


@lru_cache(maxsize=4096)
def _meant(escape: str) -> str:
    """Return what an escape stands for; itself if it is none."""
    if escape.startswith("&"):
        return html.unescape(escape)
    if escape.startswith(("%", "\\x")):
        data = bytes.fromhex(escape.replace("%", "").replace("\\x", ""))
        return data.decode("utf-8", errors="replace")
    if len(escape) == 12:  # two halves of one character
        high, low = int(escape[2:6], 16), int(escape[8:], 16)
        return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))
    if len(escape) > 2:
        number = int(escape[2:].strip("{}"), 16)
        return chr(number) if number <= 0x10FFFF else escape
    return " " if escape[1] in "nrtbfv0" else escape[1]


def _weights(text: str) -> list[int]:
    if text.isascii():
        return [1] * len(text)
    return [2 if _WIDE.match(letter) else 1 for letter in text]


def _weight(text: str) -> int:
    return sum(_weights(text))


def _blocks(text: str) -> Iterator[str]:
    """Cut a text into blocks that weigh `_BLOCK` or one more."""
    start = weight = 0
    for place, one in enumerate(_weights(text), 1):
        weight += one
        if weight >= _BLOCK:
            yield text[start:place]
            start, weight = place, 0


def _runs(text: str, within: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each part of a text, weighing at least `RUN`, that stands within."""
    upto = [0, *accumulate(_weights(text))]
    start = end = 0
    while start < len(text):
        while end < len(text) and upto[end] - upto[start] < RUN:
            end += 1
        if upto[end] - upto[start] < RUN:
            return
        if text[start:end] not in within:
            start += 1
            continue
        while end < len(text) and text[start : end + 1] in within:
            end += 1
        yield start, end
        start = end


def _places(text: str, part: str) -> Iterator[tuple[int, int]]:
    place = text.find(part)
    while place >= 0:
        yield place, place + len(part)
        place = text.find(part, place + len(part))


def _replaced(message: str, spans: list[tuple[int, int]]) -> str:
    """Put `[text]` for each span; one mark for spans with no letter between them."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and (start <= merged[-1][1] or not _bare(message[merged[-1][1] : start])):
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    parts, place = [], 0
    for start, end in merged:
        parts += [message[place:start], TEXT]
        place = end
    return "".join(parts) + message[place:]
