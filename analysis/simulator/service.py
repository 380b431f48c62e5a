"""The simulated account: keys, limits, chance, answers and payment, whatever the protocol.

Pure: `now` is handed in as monotonic seconds, chance comes from one seed. `responses`, `chat` and
`realtime` put the protocols on top; `server` owns sockets and files.

The life of a request: `start` checks it against the limits, draws latency and faults, works out
the answer and returns a `Job` that says when and how it ends. Whoever delivers the answer calls
`pay` before; a lost answer is paid with `is_delivered=False`.

Time. `now` is monotonic; scripts and outages count seconds since `started_at`, the age of the
service. A limit that a script changes takes effect with the first request after its time.

Event log. `event_log` is called with one record per thing that happens, each with `at` (age in
seconds) and `kind`; the first one, `configured`, holds seed, options and profile, so that a run can
be repeated. The others: `limit_changed`, `accepted`, `refused`, `fault`, `answered` and `lost`
(both at payment), `connected`, `disconnected`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import count
from random import Random

import msgspec

from analysis.errors import ConfigurationError
from analysis.simulator.answerer import Answerer as Answerer
from analysis.simulator.answerer import digest_answerer as digest_answerer
from analysis.simulator.answers import (
    Pack,
    capped,
    model_failed,
    read_pack,
    server_error,
    shape_of,
    spell,
)
from analysis.simulator.cache import PrefixCache, Rendered, tokens_of
from analysis.simulator.dialects import DIALECTS
from analysis.simulator.faults import (
    LIMIT_NAMES,
    NO_FAULT,
    Draw,
    Faults,
    FaultSpan,
    Span,
    limit_changes,
    met,
)
from analysis.simulator.latency import Latency
from analysis.simulator.limits import Limits, no_credit, overloaded, slow_down
from analysis.simulator.orders import obeyed
from analysis.simulator.outages import Outage, Outages
from analysis.simulator.profile import DEFAULT_SEED, PROFILE, ROUTES, Profile
from analysis.simulator.refusals import Json, Refusal
from analysis.simulator.storage import Storage

encode = msgspec.json.Encoder().encode


def key_of(headers: Mapping[str, str]) -> str | None:
    """Return the key of a request; header names in lower case or a case-insensitive mapping."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("api-key") or None


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
        is_answer_text: The answer is written by the model and counted as output.
        rendered: The request as the prompt cache sees it; None leaves it out of the cache.
        is_limited: The limits count it; they leave the rows of a batch alone.
        allowed: Labels that the answer may hold, where no schema says so; None is any.
    """

    route: str
    model: str
    key: str
    content: str
    size_bytes: int
    schema: object = None
    max_output_tokens: int | None = None
    metadata: Mapping[str, str]
    is_answer_text: bool = True
    rendered: Rendered | None = None
    is_limited: bool = True
    allowed: Collection[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a request costs, for the payment log and the usage object.

    `cached_tokens` were read from the prompt cache and `written_tokens` written to it; both are
    part of `input_tokens`.
    """

    question: Question
    texts: tuple[str, ...]
    item_ids: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    written_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How an accepted request goes on.

    Attributes:
        at: When it ends.
        latency_s: From acceptance to that time.
        generation_s: The part of it in which the answer is written, at its end.
        draw: The faults that it meets.
        failure: The error it ends with, or None.
        labels: What the model gave to each text of the receipt; empty after a failure.
        text: The answer, possibly cut.
        is_shaped: The answer is JSON in the shape of the schema (else plain text).
        is_cut: The output cap cut the answer.
        is_declined: The text says that the model declines; it is a refusal, not an answer.
        cost_tokens: What was reserved.
        receipt: What it costs.
    """

    at: float
    latency_s: float
    generation_s: float
    draw: Draw
    failure: Refusal | None
    labels: tuple[tuple[str, ...], ...]
    text: str
    is_shaped: bool
    is_cut: bool
    is_declined: bool
    cost_tokens: int
    receipt: Receipt


class Service:
    """The state that all connections share.

    Args:
        answerer: The simulated model.
        seed: Seed of ids, latencies and faults.
        api_key: The only key that is accepted; None accepts any.
        latency_ms: Median of the latency; 0 answers at once.
        ms_per_token: Milliseconds per token of the answer on top of that; see `latency`.
        rpm: Requests per minute, or None for no limit.
        tpm: Tokens per minute, or None for no limit.
        rpd: Requests per day, or None for no limit.
        faults: Name of a fault -> probability per request.
        fault_script: Faults and limits by time; `faults.parse` reads it from options.
        payment: Called with one record per paid request, before its answer is sent.
        profile: Constants of the service.
        epoch_s: Unix time at which `now` is 0.
        dialect: Dialect of the Realtime route, `ga` or `beta`.
        endpoints: Routes that are there; the others are unknown addresses.
        has_json_schema: The HTTP routes take a JSON schema for the answer.
        has_logprobs: The HTTP routes state the log probabilities of tokens.
        outages: When which route is out, in seconds since `started_at`.
        obedient: The model does what a text orders, for all texts of its request; see `orders`.
        canned: Every text gets the first label of the schema and the labeller is not asked, for
            measurements of a client. Without a schema it gets the label of an empty text.
        event_log: Called with one record per event; see the top of this module.

    Attributes:
        started_at: When the service started; 0 unless `server` sets it.
        paid: Requests that were paid so far.
        stored: Id of a response -> the items of its conversation, oldest first; `responses` keeps
            and reads it.
        storage: Files, batches and ephemeral keys.
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
        has_logprobs: bool = True,
        outages: Iterable[Outage] = (),
        ms_per_token: float = 0.0,
        rpd: int | None = None,
        fault_script: Iterable[Span] = (),
        obedient: bool = False,
        canned: bool = False,
        event_log: Callable[[Json], None] | None = None,
    ) -> None:
        limits = {"rpm": rpm, "tpm": tpm, "rpd": rpd}
        for name, limit in limits.items():
            if limit is not None and limit < 1:
                raise ConfigurationError(f"Limit {name} is {limit}: at least 1 is needed.")
        _check_names("Dialect", (dialect,), DIALECTS)
        _check_names("Endpoint", endpoints, ROUTES)
        self.answerer = answerer
        self.dialect = DIALECTS[dialect]
        self.endpoints = frozenset(endpoints)
        self.has_json_schema = has_json_schema
        self.has_logprobs = has_logprobs
        self.started_at = 0.0
        self.stored: dict[str, list[Json]] = {}
        self.storage = Storage()
        outages, script = tuple(outages), tuple(fault_script)
        self._outages = Outages(outages)
        self.profile = profile
        self.epoch_s = epoch_s
        self.limits = Limits(rpm=rpm, tpm=tpm, rpd=rpd, profile=profile)
        self._limit_changes = limit_changes(script, limits)
        self._cache = PrefixCache(profile.cache)
        self._closed_until_s = -math.inf
        self._is_obedient = obedient
        self._canned = tuple(answerer.label([""], None)[0]) if canned else None
        self._api_key = api_key
        self._latency = Latency(
            latency_ms=latency_ms, ms_per_token=ms_per_token, profile=profile, seed=seed
        )
        spans = [span for span in script if isinstance(span, FaultSpan)]
        self._faults = Faults(faults or {}, Random(f"{seed}-faults"), spans)
        self._tag = f"{Random(f'{seed}-ids').getrandbits(32):08x}"
        self._numbers = count(1)
        self._payment = payment
        self.paid = 0
        self._event_log = event_log
        options: Json = {**limits, "latency_ms": latency_ms, "ms_per_token": ms_per_token}
        options |= {"dialect": dialect, "has_json_schema": has_json_schema}
        options |= {"has_logprobs": has_logprobs}
        options |= {"endpoints": sorted(endpoints), "obedient": obedient, "canned": canned}
        options |= {"faults": dict(faults or {}), "fault_script": [asdict(one) for one in script]}
        options |= {"outages": [asdict(one) for one in outages], "answerer": answerer.name}
        self.event("configured", 0.0, seed=seed, options=options, profile=asdict(profile))

    def __repr__(self) -> str:
        return f"Service({self.answerer.name}, {self._faults}, {self._latency})"

    def event(self, kind: str, now: float, **fields: object) -> None:
        """Record that something happened; does nothing without an event log."""
        if self._event_log is not None:
            self._event_log({"at": now - self.started_at, "kind": kind, **fields})

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

        Args:
            question: The request.
            now: When it is complete.

        Raises:
            Refusal: If it exceeds the context or, with status 429, if a limit refuses it; nothing
                is paid then.
        """
        schema = encode(question.schema) if question.schema is not None else b""
        input_tokens = tokens_of(question.size_bytes + len(schema))
        self._check_size(input_tokens)
        cost_tokens = input_tokens
        if question.is_answer_text:
            cap = question.max_output_tokens or 0
            cost_tokens += max(cap, self.profile.output_estimate_tokens)
        draw = self._admit(question, cost_tokens if question.is_limited else None, now)
        latency_s = self._latency.first_s(draw)
        pack = read_pack(question.content)
        texts = tuple(chunk.text for chunk in pack.chunks) if pack else (question.content,)
        labels, text, failure = self._write(question, pack, texts, schema, draw)
        text, output_tokens, is_cut = capped(text, question.max_output_tokens)
        generation_s = self._latency.generation_s(output_tokens)
        cached_tokens, written_tokens = 0, 0
        if question.rendered is not None and failure is None:
            cached_tokens, written_tokens = self._cache.charge(
                question.rendered,
                model=question.model,
                schema=schema,
                input_tokens=input_tokens,
                ready_at=now + latency_s,
                now=now,
            )
        latency_s += generation_s
        used_tokens = 0 if failure else input_tokens + output_tokens
        if question.is_limited:
            self.limits.refund(cost_tokens - used_tokens, now + latency_s)
        is_declined = draw.defect == "refusal" and question.is_answer_text and failure is None
        receipt = Receipt(
            question=question,
            texts=texts,
            item_ids=tuple(chunk.id for chunk in pack.chunks) if pack else (),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            written_tokens=written_tokens,
        )
        return Job(
            at=now + latency_s,
            latency_s=latency_s,
            generation_s=generation_s,
            draw=draw,
            failure=failure,
            labels=labels,
            text=text,
            is_shaped=pack is not None and not is_declined,
            is_cut=is_cut,
            is_declined=is_declined,
            cost_tokens=cost_tokens,
            receipt=receipt,
        )

    def _check_size(self, input_tokens: int) -> None:
        longest = self.profile.context_tokens
        if input_tokens > longest:
            raise Refusal(
                f"Your input exceeds the context window of this model: {input_tokens} tokens, at "
                f"most {longest} are allowed.",
                code="context_length_exceeded",
                param="input",
            )

    def _write(
        self,
        question: Question,
        pack: Pack | None,
        texts: tuple[str, ...],
        schema: bytes,
        draw: Draw,
    ) -> tuple[tuple[tuple[str, ...], ...], str, Refusal | None]:
        """Return labels and text of the answer, or the error that comes instead."""
        try:
            if draw.is_failed:
                raise server_error(
                    "The server had an error while processing your request. Sorry about that!"
                )
            labels = self._label(question, pack, texts, schema)
            text = spell(pack, labels, schema, draw) if question.is_answer_text else ""
        except Refusal as refusal:
            return (), "", refusal
        return labels, text, None

    def _admit(self, question: Question, cost_tokens: int | None, now: float) -> Draw:
        """Return what the request meets, having taken its cost from the limits.

        Raises:
            Refusal: If the account, a limit or a fault refuses it.
        """
        age_s = now - self.started_at
        while self._limit_changes and self._limit_changes[0][0] <= age_s:
            _, name, limit = self._limit_changes.pop(0)
            self.limits.set_limit(LIMIT_NAMES[name], limit, now)
            self.event("limit_changed", now, name=name, limit=limit)
        rid = question.metadata.get("rid")
        try:
            if age_s < self._closed_until_s:
                raise no_credit()
            if cost_tokens is not None:
                self.limits.admit(question.model, cost_tokens, now)
            draw = self._faults.draw(age_s)
            if draw.refused_as:
                if cost_tokens is not None:
                    self.limits.refund(cost_tokens, now)
                raise self._refusal(draw.refused_as, age_s)
        except Refusal as refusal:
            self.event("refused", now, route=question.route, rid=rid, code=refusal.code)
            raise
        if self._event_log is not None:
            self.event("accepted", now, route=question.route, rid=rid, tokens=cost_tokens)
            if draw is not NO_FAULT:
                self.event("fault", now, route=question.route, rid=rid, **met(draw))
        return draw

    def _refusal(self, fault: str, age_s: float) -> Refusal:
        """Return the refusal that a fault stands for; `quota` closes the account."""
        if fault == "overloaded":
            return overloaded(self.profile.overloaded_retry_s)
        if fault == "slow_down":
            return slow_down(self.profile.slow_down_retry_s)
        self._closed_until_s = self._faults.end_s("quota", age_s)
        return no_credit()

    def _label(
        self, question: Question, pack: Pack | None, texts: tuple[str, ...], schema: bytes
    ) -> tuple[tuple[str, ...], ...]:
        shape = shape_of(schema) if self._canned or self._is_obedient else None
        if self._canned:
            first = (shape.first,) if shape is not None and shape.first else self._canned
            return (first,) * len(texts)
        labels = self.answerer.answer(texts, pack)
        if len(labels) != len(texts):
            raise model_failed(f"gave {len(labels)} answers for {len(texts)} texts")
        if self._is_obedient:
            allowed = shape.allowed if shape is not None and schema else question.allowed
            labels = obeyed(texts, labels, allowed)
        return tuple(map(tuple, labels))

    def pay(self, receipt: Receipt, *, is_delivered: bool, now: float) -> None:
        """Record that a request was paid; call it before the answer is sent."""
        if self._event_log is not None:
            question = receipt.question
            kind, rid = "answered" if is_delivered else "lost", question.metadata.get("rid")
            self.event(kind, now, route=question.route, rid=rid, tokens=receipt.output_tokens)
        self.paid += 1
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
