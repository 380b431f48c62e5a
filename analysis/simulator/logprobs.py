"""The tokens of a simulated answer, each with its log probability.

Pure. `streams` and `chat` call it for requests that ask for log probabilities. A token is four
bytes of the text, so tokens reach across quotes and brackets. Those that hold a part of the key of
a chunk's first label share the probability that the answerer gives to its labels of that text; one
that begins behind such a key with its quote is certain, and each other one has `OTHER`, so that a
client which adds up the wrong tokens shows. An answerer that gives no probability, such as the
rules, writes everything with certainty, since the wire has no word for none. Shapes: types of
openai-python 3.52.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analysis.simulator.cache import BYTES_PER_TOKEN
from analysis.simulator.refusals import Json
from analysis.simulator.service import Job, encode

OTHER = -0.5
"""Log probability of a token that holds nothing of a first label."""

_ITEM = re.compile(rb"\{[^{}]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A piece of an answer; it begins at the byte `start`."""

    start: int
    encoded: bytes
    logprob: float

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.start + len(self.encoded)


def tokens_of(job: Job, probability: Callable[[str], float] | None) -> tuple[Token, ...]:
    """Return the tokens of an answer.

    Args:
        job: With the text, perhaps cut or spoiled.
        probability: Text of a chunk -> probability of its first label, above 0, or None.
    """
    encoded = job.text.encode()
    starts = range(0, len(encoded), BYTES_PER_TOKEN)
    if probability is None:
        logprobs = dict.fromkeys(starts, 0.0)
    else:
        logprobs = dict.fromkeys(starts, OTHER)
        for text, first, last in _keys(job, encoded):
            logprobs |= _shared(starts, first, last, probability(text))
    return tuple(
        Token(start=at, encoded=encoded[at : at + BYTES_PER_TOKEN], logprob=logprobs[at])
        for at in starts
    )


def _keys(job: Job, encoded: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield the text of each chunk, and from where to where the key of its first label stands."""
    texts = job.receipt.texts
    if not job.is_shaped:
        if encoded and not job.is_declined:
            yield texts[0], 0, len(encoded)
        return
    for item in _ITEM.finditer(encoded, encoded.find(b"[")):
        for name, text, labels in zip(job.receipt.item_ids, texts, job.labels, strict=True):
            spelled = encode(labels[0])
            at = encoded.find(spelled, item.start(), item.end())
            if at >= 0 and encode(name) in item[0]:
                yield text, at + 1, at + len(spelled) - 1


def _shared(starts: Sequence[int], first: int, last: int, probability: float) -> dict[int, float]:
    """Return the log probabilities of the tokens that hold a part of a key, and of the next one."""
    found = [at for at in starts if first - BYTES_PER_TOKEN < at < last]
    each = math.log(probability) / len(found)
    return dict.fromkeys(found, each) | ({last: 0.0} if last in starts else {})


def in_part(tokens: Sequence[Token], top: int) -> list[Json]:
    """Spell tokens as they stand in a part of a response, or in a completion.

    Args:
        tokens: In order.
        top: How many of the likeliest tokens are asked for; only the written one is known.
    """
    spelled: list[Json] = [
        {
            "token": token.encoded.decode(errors="replace"),
            "bytes": list(token.encoded),
            "logprob": token.logprob,
        }
        for token in tokens
    ]
    return [{**one, "top_logprobs": [one] if top else []} for one in spelled]


def in_event(tokens: Sequence[Token], top: int) -> list[Json]:
    """Spell tokens as they stand in an event of the text, which leaves the bytes out."""
    spelled: list[Json] = [
        {"token": token.encoded.decode(errors="replace"), "logprob": token.logprob}
        for token in tokens
    ]
    return [{**one, "top_logprobs": [one] if top else []} for one in spelled]


def within(tokens: Sequence[Token], text: str, start: int, end: int) -> tuple[Token, ...]:
    """Return the tokens that begin in a piece of the text, given in characters."""
    if not tokens:
        return ()
    first, last = (len(text[:place].encode()) for place in (start, end))
    return tuple(token for token in tokens if first <= token.start < last)
