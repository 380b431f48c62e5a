"""The values that flow through the package, and the Journal protocol.

Pure. Everybody imports it; it imports nothing of the package. A value stands here only if it
crosses two folders. Sizes are in tokens, durations in seconds, unless a name says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

_INVISIBLE = re.compile("[\\s\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*")


def is_blank(text: str) -> bool:
    """Tell whether nothing of a text can be seen: spaces of any kind and zero-width characters."""
    return _INVISIBLE.fullmatch(text) is not None


class FailureKind(StrEnum):
    """Why a chunk has no label; the values of the column `semfn_error`."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    REFUSED = "refused"
    DEFECT = "defect"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    STOPPED = "stopped"

    @property
    def is_failure(self) -> bool:
        """Whether the chunk should have a label: it is neither empty nor merely not reached."""
        return self not in (FailureKind.EMPTY, FailureKind.STOPPED)


class Ending(StrEnum):
    """How a request ended. Only `UNKNOWN` can cost twice when it is sent again."""

    DONE = "done"
    REFUSED = "refused"
    UNSENT = "unsent"
    UNKNOWN = "unknown"


class StopCause(StrEnum):
    """Who or what ended a run early."""

    SERVICE = "service"
    INTERRUPTED = "interrupted"
    BUDGET = "budget"
    TIME = "time"
    FAILURES = "failures"


GIVEN_UP = "given_up"
"""Code of a request that was cancelled because another one with its chunks was answered first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a chunk stands in its document, and what stands around it; see `labels.neighbours`.

    Attributes:
        number: Counted from 1 over the chunks whose text can be seen.
        total: How many those are, if it is known.
        before: Texts before it in the order of the document, each perhaps cut.
        after: Texts after it.
    """

    number: int
    total: int | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One piece of text with the id under which its label is reported.

    `topic` beats the topic of the call; `title` is the headline of what the chunk is part of;
    `document` keeps packs from crossing documents; `source` names the input that a chunk comes
    from, where a run has several: ids are unique within one. `is_after_gap` says that rows before
    it were left out: no pack reaches across the gap. `place` is set where neighbours are sent
    along.
    """

    id: str
    text: str
    topic: str | None = None
    title: str | None = None
    document: str | None = None
    source: str | None = None
    is_after_gap: bool = False
    place: Place | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not isinstance(self.text, str):
            raise TypeError(
                f"Chunk needs str for id and text, not {type(self.id).__name__} and "
                f"{type(self.text).__name__}. Convert them before."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A chunk on its way: `ticket` is unique among the chunks that one analyzer works on."""

    ticket: int
    chunk: Chunk
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the chunks of a pack stand in their document, counted from 1; `total` if it is known.

    As text: `12-21 of 80`.
    """

    first: int
    last: int
    total: int | None = None

    def __str__(self) -> str:
        span = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return span if self.total is None else f"{span} of {self.total}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Chunks that travel in one request, in input order, of one document, topic and title.

    What stands around the chunks follows from the places of the first and the last one, so it is
    right for any part of a pack, too.
    """

    items: tuple[Item, ...]
    topic: str | None = None

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("A pack needs at least one chunk.")

    @property
    def tokens(self) -> int:
        """Estimated tokens of the texts of all chunks together, without what stands around."""
        return sum([item.tokens for item in self.items])

    @property
    def title(self) -> str | None:
        """The title that all chunks have, if they have one."""
        return self.items[0].chunk.title

    @property
    def position(self) -> Position | None:
        """Where the chunks stand in their document, if that is known."""
        first, last = self.items[0].chunk.place, self.items[-1].chunk.place
        if first is None or last is None:
            return None
        return Position(first=first.number, last=last.number, total=last.total)

    @property
    def before(self) -> tuple[str, ...]:
        """Texts before the chunks in the order of the document, which are not to be labelled."""
        place = self.items[0].chunk.place
        return () if place is None else place.before

    @property
    def after(self) -> tuple[str, ...]:
        """Texts after the chunks in the order of the document, which are not to be labelled."""
        place = self.items[-1].chunk.place
        return () if place is None else place.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question to a model, free of any wire format.

    Attributes:
        instructions: What the model is told once; byte-identical within a run.
        content: The user content, JSON text that holds title, topic and chunks.
        schema_name: Name of the answer schema, `[A-Za-z0-9_-]{1,64}`.
        schema: JSON Schema of the answer; the same object within a run.
        max_output_tokens: Cap for the answer.
        tickets: Short id of each chunk in `content` -> its ticket.
        estimated_input_tokens: Instructions, content and schema together.
        choices: The label keys, in the order of the label set, for routes that ask a question per
            chunk instead of for a text.
    """

    instructions: str
    content: str
    schema_name: str
    schema: Mapping[str, Any]
    max_output_tokens: int
    tickets: Mapping[str, int]
    estimated_input_tokens: int
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question on one route. `request_id` is made once and never used again."""

    request_id: str
    route: str
    model: str
    pack: Pack
    ask: Ask
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the service billed them.

    Attributes:
        input_tokens: All input.
        cached_tokens: The part of the input that was read from the prompt cache.
        written_tokens: The part of the input that was written to the prompt cache.
        output_tokens: All output.
        reasoning_tokens: The part of the output that is reasoning.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            written_tokens=self.written_tokens + other.written_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )

    def shares(self, count: int) -> tuple[Usage, ...]:
        """Split into `count` equal shares whose sum is exactly this usage.

        A remainder goes to the first shares, one token each.
        """
        if count == 1:
            return (self,)
        split = [(name, *divmod(total, count)) for name, total in self.to_dict().items()]
        steps = {0, *(rest for _, _, rest in split)}
        found: list[Usage] = []
        for index in range(count):
            if index in steps:  # else it is the same share as the one before
                share = Usage(**{name: size + (index < rest) for name, size, rest in split})
            found.append(share)
        return tuple(found)

    def to_dict(self) -> dict[str, int]:
        """Return the counts under their field names."""
        return {
            "input_tokens": self.input_tokens,
            "cached_tokens": self.cached_tokens,
            "written_tokens": self.written_tokens,
            "output_tokens": self.output_tokens,
            "reasoning_tokens": self.reasoning_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """What a service says about one limit: `name` is `requests` or `tokens`, per minute."""

    name: str
    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


Tokens: TypeAlias = tuple[tuple[bytes, float], ...]
"""The tokens of an answer in order: UTF-8 bytes and log probability, NaN where none is stated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReply:
    """The text that came back for one request.

    Attributes:
        text: The answer, possibly incomplete.
        model: The model that the service says it used.
        usage: Billed tokens.
        is_cut: The service stopped the answer before its end (output cap).
        service_request_id: The service's own id, for support.
        tokens: As the service stated them; empty if it was not asked, or stated none.
    """

    text: str
    model: str
    usage: Usage = field(default_factory=Usage)
    is_cut: bool = False
    service_request_id: str | None = None
    tokens: Tokens = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer to the question about one chunk.

    Attributes:
        probabilities: Label key -> its probability, as the service stated it, the one that it
            chose first; empty if the service declined to answer this question.
    """

    probabilities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceReply:
    """The typed answers that came back for one request: a choice per chunk.

    Attributes:
        choices: Short id of a chunk -> the answer to its question.
        model: The model that the service says it used.
        usage: Billed tokens.
        service_request_id: The service's own id, for support.
    """

    choices: Mapping[str, Choice]
    model: str
    usage: Usage = field(default_factory=Usage)
    service_request_id: str | None = None


Reply: TypeAlias = TextReply | ChoiceReply
"""What a route brings back for one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """Why a chunk has no label, for people: `kind` is stable, `message` is not."""

    kind: FailureKind
    message: str

    def to_dict(self) -> dict[str, str]:
        """Return both fields as strings."""
        return {"kind": str(self.kind), "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeled:
    """The verdict on a chunk that has one or two labels.

    Attributes:
        chunk_id: The id that the chunk came with.
        labels: One or two keys of the label set; the first is the primary one.
        confidence: From the route's own probabilities, else None; never invented.
        route: The route that answered.
        model: The model as the service reported it.
        attempts: Requests in which this chunk was sent, from 1.
        pack: Chunks in the request that answered.
        latency_s: Send to terminal event of that request.
        usage: Equal share of that request's billed tokens.
    """

    chunk_id: str
    labels: tuple[str, ...]
    confidence: float | None = None
    route: str
    model: str
    attempts: int
    pack: int
    latency_s: float
    usage: Usage

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("A labeled chunk needs at least one label.")

    @property
    def semantic_function(self) -> str:
        """The key of the primary label."""
        return self.labels[0]

    @property
    def error(self) -> None:
        """Always None: this chunk has a label."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "chunk_id": self.chunk_id,
            "semantic_function": self.semantic_function,
            "labels": list(self.labels),
            "confidence": self.confidence,
            "route": self.route,
            "model": self.model,
            "attempts": self.attempts,
            "pack": self.pack,
            "latency_s": self.latency_s,
            "usage": self.usage.to_dict(),
            "error": None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The verdict on a chunk without a label; fields as in `Labeled`, `route` of the last try."""

    chunk_id: str
    error: ErrorDetail
    route: str | None = None
    model: str | None = None
    attempts: int = 0
    pack: int = 0
    latency_s: float | None = None
    usage: Usage = field(default_factory=Usage)

    @property
    def labels(self) -> tuple[str, ...]:
        """Always empty."""
        return ()

    @property
    def semantic_function(self) -> None:
        """Always None: there is no label, and none is made up."""
        return None

    @property
    def confidence(self) -> None:
        """Always None."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "chunk_id": self.chunk_id,
            "semantic_function": None,
            "labels": [],
            "confidence": None,
            "route": self.route,
            "model": self.model,
            "attempts": self.attempts,
            "pack": self.pack,
            "latency_s": self.latency_s,
            "usage": self.usage.to_dict(),
            "error": self.error.to_dict(),
        }


Verdict: TypeAlias = Labeled | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How one request ended, as the journal keeps it.

    `verdicts` holds (chunk, verdict) for the chunks that this ending settles; it may be shorter
    than the pack (the rest is asked again) and is empty for most failures.
    """

    request_id: str
    ending: Ending
    code: str = ""
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    verdicts: tuple[tuple[Chunk, Verdict], ...] = ()


class Journal(Protocol):
    """A durable record of requests and verdicts; the ledger implements it."""

    async def missing(self, chunks: Sequence[Chunk]) -> Sequence[bool]:
        """Return for each chunk whether it still has to be asked."""
        ...

    async def intend(self, request: Request) -> None:
        """Record that the request is about to be sent; durable when this returns.

        Raises:
            LedgerError: If it cannot be made durable; then the request must not be sent.
        """
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Record how the request ended and its verdicts; durable when this returns.

        Raises:
            LedgerError: If it cannot be made durable.
        """
        ...

    async def fail(self, chunk: Chunk, verdict: Failed) -> None:
        """Record a verdict that belongs to no request (an empty text, retries used up)."""
        ...
