"""How probable the model found the label that it wrote, from the log probabilities of its tokens.

Pure. `answer.check` calls it for an answer that it has accepted labels from.

The confidence of an item is the product of the probabilities of all tokens that share a byte with
the key of its main label: the probability of spelling that key, given everything before it. Where
the key is the beginning of another one, the quote behind it decides between the two, and its token
counts, too. A token counts whole, also if it holds quotes or brackets beside a part of the key.

Nothing is guessed. There is no confidence at all unless the tokens, one after the other, are the
text of the answer to the byte; none for an item that is written in another form than
`{"id": ..., "labels": [...]}`, in either order and with any white space, or that spells something
with escapes; and none where a token of the key has no log probability, or one above 0.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate

from analysis.records import Tokens

_WORD = r'"[^"\\\x00-\x1f]*"'
_SPACE = r"[ \t\r\n]*"


def _spaced(*parts: str) -> str:
    return _SPACE.join(parts)


_ID = _spaced('"id"', ":", f"(?P<id>{_WORD})")
_REST = f"(?:{_spaced('', ',', _WORD)})*"
_LABELS = _spaced('"labels"', ":", r"\[", f"(?P<main>{_WORD})(?P<rest>{_REST})", r"\]")
_OPENING = re.compile(_spaced("", r"\{", '"answers"', ":", r"\[", ""))
_ITEMS = tuple(
    re.compile(_spaced(r"\{", first, ",", second, r"\}"))
    for first, second in ((_ID, _LABELS), (_LABELS, _ID))
)
_COMMA = re.compile(_spaced("", ",", ""))
_WORDS = re.compile(_WORD)
_READER = json.JSONDecoder()


def confidences(
    text: str,
    tokens: Tokens,
    *,
    tickets: Mapping[str, int],
    labels: Mapping[int, Sequence[str]],
    keys: Collection[str],
) -> dict[int, float]:
    """Return ticket -> probability of its main label, for those where the tokens state it.

    Args:
        text: The answer, perhaps cut.
        tokens: Of that text.
        tickets: Short id of each chunk of the request -> its ticket.
        labels: Ticket -> its labels, for the items that count.
        keys: Whatever could have stood in place of a label.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if b"".join(piece for piece, _ in tokens) != encoded:
        return {}
    ends = list(accumulate(len(piece) for piece, _ in tokens))
    found: dict[int, float] = {}
    for short_id, given, start in _written(text):
        ticket = tickets.get(short_id)
        if ticket is None or tuple(labels.get(ticket, ())) != given:
            continue
        main = given[0]
        is_open = any(key != main and key.startswith(main) for key in keys)
        first = start if text.isascii() else len(text[:start].encode("utf-8", "surrogatepass"))
        last = first + len(main.encode()) + is_open
        probability = _probability(tokens, ends, first, last)
        if probability is not None:
            found[ticket] = probability
    return found


def _written(text: str) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield id, labels and the place of the main label's key, for the items in the plain form.

    Items in other forms are passed over whole, so that nothing inside of them is taken for one.
    """
    opening = _OPENING.match(text)
    place = len(text) if opening is None else opening.end()
    while place < len(text):
        item = _ITEMS[0].match(text, place) or _ITEMS[1].match(text, place)
        if item is None:
            try:
                _, place = _READER.raw_decode(text, place)
            except (ValueError, RecursionError):
                return
        else:
            others = (word[1:-1] for word in _WORDS.findall(item["rest"]))
            yield item["id"][1:-1], (item["main"][1:-1], *others), item.start("main") + 1
            place = item.end()
        comma = _COMMA.match(text, place)
        if comma is None:
            return
        place = comma.end()


def _probability(tokens: Tokens, ends: Sequence[int], first: int, last: int) -> float | None:
    """Return the product over the tokens that share a byte with [first, last)."""
    begin = bisect_right(ends, first)
    end = bisect_left(ends, last, lo=begin) + 1
    stated = [logprob for piece, logprob in tokens[begin:end] if piece]
    # Written this way round, NaN is refused, too.
    if not stated or not all(logprob <= 0 for logprob in stated):
        return None
    return math.exp(math.fsum(stated))
