"""The simulated model: what it is called and how it labels.

Pure. Whoever starts the service hands one in; `service` asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from analysis.simulator.answers import Pack

Labels = Sequence[Sequence[str]]

_LARGEST = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """The simulated model.

    Attributes:
        name: Reported as the model.
        label: Takes the texts of a request and their topic, gives the labels of each text.
        label_placed: The same, for requests that say where their texts stand in a document; takes
            that, too, such as `12-21 of 80`. By default `label` answers them.
        probability: Takes a text, gives the probability with which its first label is written,
            above 0 and up to 1; None where there is none to give.
    """

    name: str
    label: Callable[[Sequence[str], str | None], Labels]
    label_placed: Callable[[Sequence[str], str | None, str | None], Labels] | None = None
    probability: Callable[[str], float] | None = None

    def answer(self, texts: Sequence[str], pack: Pack | None) -> Labels:
        """Return the labels of the texts of a request; without a pack it is other text."""
        topic, position = (pack.topic, pack.position) if pack else (None, None)
        if position is None or self.label_placed is None:
            return self.label(texts, topic)
        return self.label_placed(texts, topic, position)


def digest_answerer(keys: Sequence[str]) -> Answerer:
    """Return an answerer whose label is a function of sha256 of the text, to show every swap."""

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str]]:
        digests = (sha256(text.encode()).digest() for text in texts)
        return [(keys[int.from_bytes(digest[:8]) % len(keys)],) for digest in digests]

    return Answerer(name="digest-labels", label=label, probability=digest_probability)


def digest_probability(text: str) -> float:
    """Return a probability that is a function of sha256 of the text, from 0.05 to 1."""
    share = int.from_bytes(sha256(text.encode()).digest()[8:16]) / _LARGEST
    return round(0.05 + 0.95 * share, 6)
