"""What `semfn prove` asks, fixed before anything is asked: the protocol and its digest.

io only for reading the shipped sample texts. `proof` follows it step by step.

Nothing in it may be chosen after a look at answers, so all choices stand in one value. Its digest
is printed first and written into the result: two results with the same digest asked the same.

    for each label set, over `pack_routes`:
        the texts in packs of each size in `pack_sizes`; then in packs of `repeated` once more
        compared: each two pack sizes, and the two askings of `repeated`, whose difference is noise
    for each route in `routes`, with `route_label_set`:
        the first `route_chunks` texts one by one, one request at a time: latency, and labels
        compared with those of the packs of one
    for all of it: what was billed beside what was estimated
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources

from analysis.errors import InputError
from analysis.labels.tokens import estimate
from analysis.records import Chunk, is_blank
from analysis.settings import SETTINGS

SAMPLES = ("four_languages.csv", "long_english.csv")
"""Shipped texts, in the order in which they are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The choices of a proof.

    Attributes:
        version: Moves when the steps change.
        label_sets: In the order in which they are asked.
        chunks: Texts for each label set, at most; none is used twice.
        pack_sizes: Chunks in a request, from 1.
        repeated: The pack size that is asked twice; one of `pack_sizes`.
        pack_routes: Routes for the packs, in order.
        routes: Routes whose latency is measured, each alone.
        route_label_set: The label set for them.
        route_chunks: Texts for each of them.
        level: Of all intervals.
        texts: Digest of the texts, empty before they are known.
        models: (route, model) of routes that are asked for another model than their own; None
            where no model was named.
        service_tier: Asked for on the routes that take one; None where none was named.
    """

    version: int = 1
    label_sets: tuple[str, ...] = ("ten_functions", "sci_abstract", "news_schema", "argument")
    chunks: int = 200
    pack_sizes: tuple[int, ...] = (1, 10, 20)
    repeated: int = 10
    pack_routes: tuple[str, ...] = ("responses-ws", "rest")
    routes: tuple[str, ...] = ("responses-ws", "rest", "realtime", "decisions")
    route_label_set: str = "ten_functions"
    route_chunks: int = 20
    level: float = 0.95
    texts: str = ""
    models: tuple[tuple[str, str], ...] | None = None
    service_tier: str | None = None

    @property
    def digest(self) -> str:
        """Return what tells two protocols apart, their texts included.

        What was not named is left out, so that a new choice moves no digest.
        """
        named = {name: value for name, value in asdict(self).items() if value is not None}
        content = json.dumps(named, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def of(self, chunks: Sequence[Chunk]) -> Protocol:
        """Return the protocol with the digest of the texts that will be asked."""
        hasher = hashlib.sha256()
        for chunk in chunks:
            content = [chunk.id, chunk.document, chunk.topic, chunk.text]
            if chunk.title is not None:  # texts without titles keep their digest
                content.append(chunk.title)
            hasher.update(json.dumps(content, ensure_ascii=True).encode())
        return replace(self, texts=hasher.hexdigest())


def sample_chunks() -> Iterator[Chunk]:
    """Yield the shipped texts, each file a source of its own."""
    for name in SAMPLES:
        text = resources.files("analysis.samples").joinpath(name).read_text(encoding="utf-8")
        for row in csv.DictReader(text.splitlines(keepends=True)):
            yield Chunk(
                id=row["id"],
                text=row["text"],
                topic=row["topic"],
                document=row["document"],
                source=name,
            )


def chosen(chunks: Iterable[Chunk], protocol: Protocol) -> tuple[Chunk, ...]:
    """Return the texts of a proof: the first that can be sent, none of them twice.

    Raises:
        InputError: If there are fewer than two.
    """
    seen: set[str] = set()
    found: list[Chunk] = []
    for chunk in chunks:
        if len(found) == protocol.chunks:
            break
        is_sendable = not is_blank(chunk.text) and estimate(chunk.text) <= SETTINGS.chunk_tokens
        if is_sendable and chunk.text not in seen:
            seen.add(chunk.text)
            found.append(chunk)
    if len(found) < 2:
        raise InputError("A proof needs at least two different texts. Name another --input.")
    return tuple(found)
