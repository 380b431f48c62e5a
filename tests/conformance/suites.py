"""What crosses the wire on each route, and the type that it has to have.

Pure. `messages` takes an exchange apart, `judge` holds each message against its type. `ALLOWED`
lists every deviation that is let pass, with its source; nothing else is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from openai.types import (
    Batch,
    Decision,
    ErrorObject,
    FileDeleted,
    FileObject,
    Model,
)
from openai.types.batch_create_params import BatchCreateParams
from openai.types.beta import BetaResponsesClientEventParam, BetaResponsesServerEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.decision_create_params import DecisionCreateParams
from openai.types.realtime import (
    ClientSecretCreateParams,
    ClientSecretCreateResponse,
    RealtimeClientEventParam,
)
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from openai.types.responses import (
    Response,
    ResponsesClientEventParam,
    ResponsesServerEvent,
    ResponseStreamEvent,
)
from openai.types.responses.response_create_params import ResponseCreateParams

from analysis.simulator.mischief import UNKNOWN_TYPE
from tests.conformance.beta_client_shapes import beta_client_complaints
from tests.conformance.strict import complaints
from tests.conformance.wiretap import Exchange
from tests.simulator.beta_shapes import beta_events

Direction: TypeAlias = Literal["to service", "to client"]
GA, BETA, BATCHES = "realtime ga", "realtime beta", "batches"

SENT: Mapping[str, tuple[Any, ...]] = {
    GA: (RealtimeClientEventParam,),
    BETA: (),
    "responses-ws": (ResponsesClientEventParam, BetaResponsesClientEventParam),
    "responses": (ResponseCreateParams,),
    "chat": (CompletionCreateParams,),
    "decisions": (DecisionCreateParams,),
    BATCHES: (BatchCreateParams,),
    "client secrets": (ClientSecretCreateParams,),
}
"""Suite -> types of what a client sends."""

RECEIVED: Mapping[str, tuple[Any, ...]] = {
    GA: (RealtimeServerEvent,),
    BETA: (),
    "responses-ws": (ResponsesServerEvent, BetaResponsesServerEvent),
    "responses": (Response,),
    "responses stream": (ResponseStreamEvent,),
    "chat": (ChatCompletion,),
    "chat stream": (ChatCompletionChunk,),
    "decisions": (Decision,),
    BATCHES: (Batch,),
    "files": (FileObject,),
    "models": (Model,),
    "client secrets": (ClientSecretCreateResponse,),
    "refused upgrades": (),
}
"""Suite -> types of what the service sends, errors and other special cases aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One frame, body or part of a body.

    Attributes:
        suite: Route and dialect.
        direction: Where it goes.
        kind: Type of the event, or what the body is.
        types: Types of the SDK, each of which it has to have; empty for the beta dialect.
        text: As it was sent.
    """

    suite: str
    direction: Direction
    kind: str
    types: tuple[Any, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A deviation that passes.

    Attributes:
        suite: A regular expression for suites.
        kind: A regular expression for kinds.
        complaint: A regular expression for the whole line.
        what: In words, for the page.
        source: Why it is right; sections are those of the protocol notes.
    """

    suite: str
    kind: str = ".*"
    complaint: str = ".*"
    what: str
    source: str


ALLOWED = (
    Allowance(
        suite=GA,
        kind=r"session\.(created|updated)",
        complaint=r"session\.(id|object|expires_at): not in the type",
        what="A session has `id`, `object` and `expires_at`.",
        source="3.3, captured 2026-09",
    ),
    Allowance(
        suite=GA,
        kind=r".*\.delta",
        complaint="obfuscation: not in the type",
        what="Deltas have `obfuscation`.",
        source="3.1, captured 2026-09",
    ),
    Allowance(
        suite=GA,
        kind=r"response\.create",
        complaint=r"response\.input\[\]\.(content: absent|role: absent|type: 'item_reference' .*)",
        what="The input of a response has items of type `item_reference`.",
        source="4.1, documented",
    ),
    Allowance(
        suite=f"responses.*|{BATCHES}",
        complaint=r"(response\.)?store: not in the type",
        what="A response has `store`.",
        source="6.3, example of the guide",
    ),
    Allowance(
        suite="responses-ws|responses stream",
        kind=r".*\.delta",
        complaint="obfuscation: not in the type",
        what="Deltas have `obfuscation`.",
        source="`stream_options.include_obfuscation` in the SDK's parameters",
    ),
    Allowance(
        suite="responses-ws",
        kind=r"response\.completed|response\.incomplete",
        complaint=r"response\.output: absent",
        what="The last event has no `output`; switch `responses.is_terminal_bare`.",
        source="6.3, the SDK's lane helper takes it",
    ),
    Allowance(
        suite=BETA,
        kind=r"response\.(created|done)",
        complaint=r"Object missing required field `\w+` - at `\$\.response`",
        what="A response leaves fields out; switch `omits_optional_fields`.",
        source="SDK 1.66.5: each field of a response is optional",
    ),
    Allowance(
        suite=".*",
        kind=UNKNOWN_TYPE.replace(".", r"\."),
        what="An event of an unknown type; fault `unknown_event`.",
        source="on purpose",
    ),
    Allowance(
        suite="decisions",
        complaint="answers: no list",
        what="`answers` is no list; fault `malformed`.",
        source="on purpose",
    ),
)


def messages(exchange: Exchange, dialect: str) -> Iterator[Message]:
    """Return what an exchange consists of; an answer that was cut off is left out.

    Args:
        exchange: As the wiretap saw it.
        dialect: What Realtime connections speak that do not say it by their address.
    """
    path = urlsplit(exchange.path).path
    if exchange.status == 101:
        yield from _frames(exchange, path, dialect)
        return
    yield from _reader(exchange, path)(exchange)


def judge(message: Message) -> list[str]:
    """Return what is wrong with a message, none if it has its types."""
    if message.suite == BETA:
        return _judge_beta(message)
    content = json.loads(message.text)
    lines = (line for kind in message.types for line in complaints(kind, content))
    return list(dict.fromkeys(lines))


def allowance(message: Message, complaint: str) -> Allowance | None:
    """Return what lets a complaint about a message pass, or None."""
    for one in ALLOWED:
        patterns = (one.suite, message.suite), (one.kind, message.kind), (one.complaint, complaint)
        if all(re.fullmatch(pattern, text) for pattern, text in patterns):
            return one
    return None


def _judge_beta(message: Message) -> list[str]:
    if message.direction == "to service":
        return beta_client_complaints(message.text)
    try:
        beta_events([message.text.encode()])
    except msgspec.ValidationError as error:
        return [str(error)]
    return []


# WebSockets


def _frames(exchange: Exchange, path: str, dialect: str) -> Iterator[Message]:
    suite = "responses-ws"
    if not path.endswith("/responses"):
        suite = BETA if dialect == "beta" or path == "/openai/realtime" else GA
    for text in exchange.sent:
        yield sent(suite, text, _kind(text))
    for text in exchange.received:
        yield _received(suite, text, _kind(text))


def _kind(text: str) -> str:
    try:
        content = json.loads(text)
    except ValueError:
        return "no JSON"
    kind = content.get("type") if isinstance(content, dict) else None
    return kind if isinstance(kind, str) else "no event"


def sent(suite: str, text: str, kind: str = "body") -> Message:
    """Return a message of a client."""
    return Message(suite=suite, direction="to service", kind=kind, types=SENT[suite], text=text)


def _received(
    suite: str, text: str, kind: str = "body", types: tuple[Any, ...] | None = None
) -> Message:
    types = RECEIVED[suite] if types is None else types
    return Message(suite=suite, direction="to client", kind=kind, types=types, text=text)


# HTTP


def _completion(suite: str) -> _Reader:
    def take_apart(exchange: Exchange) -> Iterator[Message]:
        yield sent(suite, exchange.body.decode())
        if exchange.content_type.startswith("text/event-stream"):
            yield from _events(exchange, f"{suite} stream")
        else:
            yield from _answer(exchange, suite)

    return take_apart


def _events(exchange: Exchange, suite: str) -> Iterator[Message]:
    """Return the events of a stream; the last one may be torn."""
    blocks = exchange.answer.decode().split("\n\n")
    whole = blocks if exchange.is_whole else blocks[:-1]
    for block in whole:
        text = block.partition("data: ")[2]
        if text and text != "[DONE]":
            yield _received(suite, text, json.loads(text).get("type", "chunk"))


def _answer(exchange: Exchange, suite: str) -> Iterator[Message]:
    """Return the one object of an answer, or its error; nothing of a torn answer."""
    if not exchange.is_whole or not exchange.status:
        return
    content = json.loads(exchange.answer)
    if exchange.status < 400:
        yield _received(suite, exchange.answer.decode())
    else:
        kind = f"error {exchange.status}"
        yield _received(suite, json.dumps(content["error"]), kind, (ErrorObject,))


def _listing(suite: str) -> _Reader:
    def take_apart(exchange: Exchange) -> Iterator[Message]:
        """Return the entries of a list, or the one object that the path names."""
        if exchange.method == "POST" and suite in SENT and exchange.body:
            yield sent(suite, exchange.body.decode())
        content = json.loads(exchange.answer) if exchange.status < 400 else {}
        if content.get("object") != "list":
            yield from _answer(exchange, suite)
        for entry in content.get("data", ()):
            yield _received(suite, json.dumps(entry), "entry")

    return take_apart


def _files(exchange: Exchange) -> Iterator[Message]:
    if exchange.status >= 400:
        yield from _answer(exchange, "files")
    elif exchange.method == "DELETE":
        yield _received("files", exchange.answer.decode(), "deleted", (FileDeleted,))
    elif exchange.path.endswith("/content"):
        yield from _rows(exchange)
    else:
        yield from _listing("files")(exchange)


def _rows(exchange: Exchange) -> Iterator[Message]:
    """Return the answers in the output of a batch; other files have none."""
    for line in exchange.answer.decode().splitlines():
        body = (json.loads(line).get("response") or {}).get("body") or {}
        if body.get("object") in _ROWS:
            types = (_ROWS[body["object"]],)
            yield _received(BATCHES, json.dumps(body), f"row: {body['object']}", types)
        elif "error" in body:
            yield _received(BATCHES, json.dumps(body["error"]), "row: error", (ErrorObject,))


def _secret(exchange: Exchange) -> Iterator[Message]:
    yield sent("client secrets", exchange.body.decode())
    yield from _answer(exchange, "client secrets")


def _refused_upgrade(exchange: Exchange) -> Iterator[Message]:
    yield from _answer(exchange, "refused upgrades")


_Reader: TypeAlias = Callable[[Exchange], Iterator[Message]]
_ROWS = {"response": Response, "chat.completion": ChatCompletion}
_READERS: Mapping[str, _Reader] = {
    "responses": _completion("responses"),
    "completions": _completion("chat"),
    "decisions": _completion("decisions"),
    "models": _listing("models"),
    "files": _files,
    "batches": _listing(BATCHES),
    "client_secrets": _secret,
    "realtime": _refused_upgrade,
}
"""Part of a path -> how the exchange is taken apart."""


def _reader(exchange: Exchange, path: str) -> _Reader:
    if exchange.headers.get("upgrade"):
        return _refused_upgrade
    return _READERS[next(part for part in path.split("/")[::-1] if part in _READERS)]
