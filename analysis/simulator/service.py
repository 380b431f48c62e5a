"""The simulated account: keys, limits, chance, answers and payment, whatever the protocol.

Pure: `now` is handed in as monotonic seconds, chance comes from one seed. `responses`, `chat` and
`realtime` put the protocols on top; `server` owns sockets and files.

The life of a request: `start` checks it against the limits, draws latency and faults, works out
the answer and returns a `Job` that says when and how it ends. Whoever delivers the answer calls
`pay` before; a lost answer is paid with `is_delivered=False`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from random import Random

import msgspec

from analysis.errors import ConfigurationError
from analysis.simulator.dialects import DIALECTS
from analysis.simulator.faults import Draw, Faults
from analysis.simulator.limits import Limits
from analysis.simulator.outages import Outage, Outages
from analysis.simulator.profile import DEFAULT_SEED, PROFILE, ROUTES, Profile
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.schemas import FREE_SHAPE, find_shape

encode = msgspec.json.Encoder().encode

BYTES_PER_TOKEN = 4


def key_of(headers: Mapping[str, str]) -> str | None:
    """Return the key of a request; header names in lower case or a case-insensitive mapping."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("api-key") or None


def tokens_of(size_bytes: int) -> int:
    """Return the tokens of a text of so many UTF-8 bytes."""
    return -(-size_bytes // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """The simulated model: `name` is reported as the model, `label` gives labels per text."""

    name: str
    label: Callable[[Sequence[str], str | None], Sequence[Sequence[str]]]


def digest_answerer(keys: Sequence[str]) -> Answerer:
    """Return an answerer whose label is a function of sha256 of the text, to show every swap."""

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str]]:
        digests = (sha256(text.encode()).digest() for text in texts)
        return [(keys[int.from_bytes(digest[:8]) % len(keys)],) for digest in digests]

    return Answerer(name="digest-labels", label=label)


class _PackedChunk(msgspec.Struct):
    id: str
    text: str


class _Pack(msgspec.Struct):
    chunks: list[_PackedChunk]
    topic: str | None = None


_decode_pack = msgspec.json.Decoder(_Pack).decode


def _read_pack(content: str) -> _Pack | None:
    try:
        return _decode_pack(content)
    except msgspec.DecodeError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request as the account sees it, free of its protocol.

    Attributes:
        route: `responses`, `chat` or `realtime`, for the payment log.
        model: The model asked for; the limits are reported under its name.
        key: The key of the request.
        content: Text of the last user content.
        size_bytes: Instructions and inputs, without the schema.
        schema: JSON schema of the answer, or None.
        max_output_tokens: Cap for the answer, or None.
        metadata: Pairs that came with the request.
    """

    route: str
    model: str
    key: str
    content: str
    size_bytes: int
    schema: object = None
    max_output_tokens: int | None = None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a request costs, for the payment log."""

    question: Question
    texts: tuple[str, ...]
    item_ids: tuple[str, ...]
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How an accepted request goes on.

    Attributes:
        at: When it ends.
        latency_s: From acceptance to that time.
        generation_s: The part of it in which the answer is written, at its end.
        draw: The faults that it meets.
        failure: The error it ends with, or None.
        text: The answer, possibly cut.
        is_shaped: The answer is JSON in the shape of the schema (else plain text).
        is_cut: The output cap cut the answer.
        cost_tokens: What was reserved.
        receipt: What it costs.
    """

    at: float
    latency_s: float
    generation_s: float
    draw: Draw
    failure: Refusal | None
    text: str
    is_shaped: bool
    is_cut: bool
    cost_tokens: int
    receipt: Receipt


class Service:
    """The state that all connections share.

    Args:
        answerer: The simulated model.
        seed: Seed of ids, latencies and faults.
        api_key: The only key that is accepted; None accepts any.
        latency_ms: Median of the latency; 0 answers at once.
        ms_per_token: Milliseconds per token of the answer on top of that; see `profile`.
        rpm: Requests per minute, or None for no limit.
        tpm: Tokens per minute, or None for no limit.
        faults: Name of a fault -> probability per request.
        payment: Called with one record per paid request, before its answer is sent.
        profile: Constants of the service.
        epoch_s: Unix time at which `now` is 0.
        dialect: Dialect of the Realtime route, `ga` or `beta`.
        endpoints: Routes that are there; the others are unknown addresses.
        has_json_schema: The HTTP routes take a JSON schema for the answer.
        outages: When which route is out, in seconds since `started_at`.

    Attributes:
        started_at: When the service started; 0 unless `server` sets it.
    """

    def __init__(
        self,
        answerer: Answerer,
        *,
        seed: int = DEFAULT_SEED,
        api_key: str | None = None,
        latency_ms: float = 0.0,
        rpm: int | None = None,
        tpm: int | None = None,
        faults: Mapping[str, float] | None = None,
        payment: Callable[[Json], None] | None = None,
        profile: Profile = PROFILE,
        epoch_s: float = 0.0,
        dialect: str = "ga",
        endpoints: Collection[str] = ROUTES,
        has_json_schema: bool = True,
        outages: Iterable[Outage] = (),
        ms_per_token: float = 0.0,
    ) -> None:
        if min(latency_ms, ms_per_token) < 0:
            raise ConfigurationError(
                f"Latency {latency_ms} ms and {ms_per_token} ms per token: at least 0 is needed."
            )
        if min(1 if rpm is None else rpm, 1 if tpm is None else tpm) < 1:
            raise ConfigurationError(f"Limits rpm {rpm} and tpm {tpm}: at least 1 is needed.")
        _check_names("Dialect", (dialect,), DIALECTS)
        _check_names("Endpoint", endpoints, ROUTES)
        self.answerer = answerer
        self.dialect = DIALECTS[dialect]
        self.endpoints = frozenset(endpoints)
        self.has_json_schema = has_json_schema
        self.started_at = 0.0
        self._outages = Outages(outages)
        self.profile = profile
        self.epoch_s = epoch_s
        self.limits = Limits(rpm=rpm, tpm=tpm, profile=profile)
        self._api_key = api_key
        self._latency_s = latency_ms / 1_000
        self._token_s = ms_per_token / 1_000
        self._latencies = Random(f"{seed}-latency")
        self._faults = Faults(faults or {}, Random(f"{seed}-faults"))
        self._tag = f"{Random(f'{seed}-ids').getrandbits(32):08x}"
        self._numbers = count(1)
        self._payment = payment

    def __repr__(self) -> str:
        return f"Service({self.answerer.name}, {self._faults}, latency {self._latency_s} s)"

    def new_id(self, prefix: str) -> str:
        """Return an id that this service has not used before."""
        return f"{prefix}_{self._tag}{next(self._numbers):08x}"

    def unix_time(self, now: float) -> float:
        """Return the Unix time of a moment."""
        return self.epoch_s + now

    def is_out(self, route: str, now: float) -> bool:
        """Return whether an outage of the route is under way."""
        return self._outages.is_out(route, now - self.started_at)

    def next_outage_at(self, route: str, now: float) -> float:
        """Return when the route is out next: `now` during an outage, infinity if never again."""
        age_s = now - self.started_at
        if self._outages.is_out(route, age_s):
            return now
        start_s = self._outages.next_start_s(route, age_s)
        return math.inf if start_s is None else self.started_at + start_s

    def check_key(self, key: str | None) -> str:
        """Return the key if it is accepted.

        Raises:
            Refusal: With status 401, else.
        """
        if not key:
            raise Refusal("Missing bearer or basic authentication in header", status=401)
        if self._api_key not in (None, key):
            raise Refusal(
                f"Incorrect API key provided: {key[:3]}***. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                status=401,
                code="invalid_api_key",
            )
        return key

    def start(self, question: Question, now: float) -> Job:
        """Accept a request and decide how it goes on.

        Raises:
            Refusal: If it exceeds the context or, with status 429, if a limit refuses it; nothing
                is paid then.
        """
        schema = encode(question.schema) if question.schema is not None else b""
        input_tokens = tokens_of(question.size_bytes + len(schema))
        longest = self.profile.context_tokens
        if input_tokens > longest:
            raise Refusal(
                f"Your input exceeds the context window of this model: {input_tokens} tokens, at "
                f"most {longest} are allowed.",
                code="context_length_exceeded",
                param="input",
            )
        cap = question.max_output_tokens
        cost_tokens = input_tokens + max(cap or 0, self.profile.output_estimate_tokens)
        self.limits.admit(question.model, cost_tokens, now)
        draw = self._faults.draw()
        latency_s = self._draw_latency(draw)
        pack = _read_pack(question.content)
        texts = tuple(chunk.text for chunk in pack.chunks) if pack else (question.content,)
        text, failure = "", None
        try:
            if draw.is_failed:
                raise _server_error(
                    "The server had an error while processing your request. Sorry about that!"
                )
            text = self._answer(pack, texts, schema)
        except Refusal as refusal:
            failure = refusal
        encoded = text.encode()
        is_cut = cap is not None and len(encoded) > cap * BYTES_PER_TOKEN
        if cap is not None and is_cut:
            encoded = encoded[: cap * BYTES_PER_TOKEN]
            text = encoded.decode(errors="ignore")
        output_tokens = tokens_of(len(encoded))
        generation_s = output_tokens * self._token_s
        latency_s += generation_s
        used_tokens = 0 if failure else input_tokens + output_tokens
        self.limits.refund(cost_tokens - used_tokens, now + latency_s)
        receipt = Receipt(
            question=question,
            texts=texts,
            item_ids=tuple(chunk.id for chunk in pack.chunks) if pack else (),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )
        return Job(
            at=now + latency_s,
            latency_s=latency_s,
            generation_s=generation_s,
            draw=draw,
            failure=failure,
            text=text,
            is_shaped=pack is not None,
            is_cut=is_cut,
            cost_tokens=cost_tokens,
            receipt=receipt,
        )

    def _draw_latency(self, draw: Draw) -> float:
        profile, latency_s = self.profile, self._latency_s
        if latency_s and profile.latency_sigma:
            latency_s *= math.exp(self._latencies.gauss(0.0, profile.latency_sigma))
        if draw.is_delayed:
            latency_s += latency_s * profile.delay_factor + profile.delay_s
        return latency_s + draw.shuffle_share * profile.shuffle_window_s

    def _answer(self, pack: _Pack | None, texts: tuple[str, ...], schema: bytes) -> str:
        labels = self.answerer.label(texts, pack.topic if pack else None)
        if len(labels) != len(texts):
            raise _model_failed(f"gave {len(labels)} answers for {len(texts)} texts")
        if pack is None:
            return next(iter(labels[0]), "")
        shape = find_shape(schema) if schema else FREE_SHAPE
        if shape is None:
            raise _model_failed(
                "can only fill a schema of one array whose items have a string and an array of "
                "enum labels"
            )
        answers = []
        for chunk, keys in zip(pack.chunks, labels, strict=True):
            for key in keys:
                if shape.allowed is not None and key not in shape.allowed:
                    raise _model_failed(f"gave the label {key!r}, which the schema does not allow")
            pair = {shape.id_name: chunk.id, shape.labels_name: list(keys[: shape.max_labels])}
            answers.append(dict(reversed(pair.items())) if shape.is_labels_first else pair)
        return encode({shape.list_name: answers}).decode()

    def pay(self, receipt: Receipt, *, is_delivered: bool, now: float) -> None:
        """Record that a request was paid; call it before the answer is sent."""
        if self._payment is None:
            return
        question = receipt.question
        self._payment(
            {
                "at": self.unix_time(now),
                "route": question.route,
                "request": question.metadata.get("rid"),
                "key_digest": sha256(question.key.encode()).hexdigest()[:8],
                "chunks": len(receipt.texts),
                "digests": [sha256(text.encode()).hexdigest() for text in receipt.texts],
                "item_ids": list(receipt.item_ids),
                "input_tokens": receipt.input_tokens,
                "output_tokens": receipt.output_tokens,
                "delivered": is_delivered,
            }
        )


def _check_names(what: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigurationError(f"{what} {name!r} is unknown. Known: {', '.join(known)}.")


def _server_error(message: str) -> Refusal:
    return Refusal(message, status=500, kind="server_error", code="server_error")


def _model_failed(what: str) -> Refusal:
    return _server_error(f"The simulated model {what}.")
