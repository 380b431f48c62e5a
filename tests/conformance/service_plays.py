"""Everything that the service can say and that our client never makes it say.

Strangers talk here: they use audio, conversations, streams, files and batches, other forms of
answers, and they say wrong things. Only what the service says to them is judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import websockets
from websockets.asyncio.client import connect

from analysis.simulator.profile import PROFILE, Profile
from tests.conformance.plays import Play, Talk
from tests.simulator.batch_examples import BOUNDARY, form, lines, row
from tests.simulator.examples import CHOICE, KEYS, TOOL, body, chat, message, pack

HEADERS = {"Authorization": "Bearer key-1"}
QUIET_S = 20.0
"""Virtual seconds after which nobody has anything left to say."""

MODEL = "gpt-realtime-2.1-mini"
MANY = pack(*(f"Text number {number} of many." for number in range(30)))


def plays() -> Iterator[Play]:
    """Return the plays of strangers."""
    yield from _realtime()
    yield from _lanes()
    yield from _http()
    yield from _batches()
    yield from _azure()


def _play(name: str, talk: Talk, **options: Any) -> Play:
    return Play(name=name, talk=talk, options=options, keys=KEYS, is_ours=False)


def _profile(**responses: Any) -> Profile:
    return replace(PROFILE, responses=replace(PROFILE.responses, **responses))


# Sockets


def _socket(path: str, frames: Sequence[Any], **headers: str) -> Talk:
    """Say these frames, dicts as JSON, one after the other was answered, and listen."""

    async def talk(base_url: str) -> None:
        address = base_url.replace("http", "ws") + path
        with contextlib.suppress(websockets.WebSocketException):
            async with connect(
                address, additional_headers=HEADERS | headers, proxy=None, ping_interval=None
            ) as socket:
                for one in frames:
                    await socket.send(json.dumps(one) if isinstance(one, dict) else one)
                    await asyncio.sleep(0.3)
                await asyncio.sleep(QUIET_S)

    return talk


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": f"e-{kind}", **fields}


def _realtime() -> Iterator[Play]:
    path = f"/realtime?model={MODEL}"
    for dialect in ("ga", "beta"):
        name = "output_modalities" if dialect == "ga" else "modalities"
        mark = {"type": "realtime"} if dialect == "ga" else {}
        text = _event("session.update", session={**mark, name: ["text"]})
        voice = ["audio"] if dialect == "ga" else ["audio", "text"]
        item = _event("conversation.item.create", item={"id": "item_a", **message(pack("one"))})
        frames = [
            item,
            _event("response.create", response={name: voice}),
            text,
            _event("response.create"),
            _event("response.create"),
            _event("response.cancel"),
            _event("response.cancel"),
            _event("response.create", response={"tools": [TOOL], "tool_choice": CHOICE}),
            _event("input_audio_buffer.append", audio=""),
            _event("input_audio_buffer.commit"),
            _event("input_audio_buffer.commit"),
            _event("input_audio_buffer.clear"),
            _event("conversation.item.truncate", item_id="item_a", content_index=0, audio_end_ms=1),
            _event("conversation.item.retrieve", item_id="item_a"),
            _event("conversation.item.delete", item_id="item_a"),
            _event("response.create", response={"conversation": "none", "input": [message(MANY)]}),
            *_wrong(name),
        ]
        options: dict[str, Any] = {"dialect": dialect, "ms_per_token": 5.0}
        yield _play(f"{dialect} conversation", _socket(path, frames), **options)
        bare = replace(PROFILE, omits_optional_fields=True)
        yield _play(f"{dialect} bare", _socket(path, frames), profile=bare, **options)
        capped = _event("response.create", response={"input": [message(MANY)], _cap(dialect): 5})
        yield _play(f"{dialect} cut", _socket(path, [text, capped]), **options)
        for fault in ("refusal", "error_500", "rejected_create", "overloaded", "quota", "stall"):
            yield _play(
                f"{dialect} {fault}",
                _socket(path, [text, item, _event("response.create")]),
                faults={fault: 1.0},
                **options,
            )
    yield _play("no model", _socket("/realtime", []))
    yield _play("no such model", _socket("/realtime?model=gpt-4", []))
    yield _play("beta header", _socket(path, [], **{"OpenAI-Beta": "realtime=v1"}))
    yield _play("bad key", _socket(path, []), api_key="another")


def _cap(dialect: str) -> str:
    return "max_output_tokens" if dialect == "ga" else "max_response_output_tokens"


def _wrong(name: str) -> list[Any]:
    """Return what nobody should say, each for an error of its own."""
    return [
        "{",
        "[]",
        b"\x00",
        {"event_id": "e"},
        _event("nope"),
        _event("session.update", session={"bogus": 1}),
        _event("session.update", session={name: ["text", "audio", "smell"]}),
        _event("session.update"),
        _event("conversation.item.create"),
        _event("conversation.item.retrieve", item_id="item_z"),
        _event("conversation.item.delete", item_id="item_z"),
        _event("response.create", response={"metadata": {"a": 1}}),
        _event("response.create", response={"input": [{"type": "item_reference", "id": "item_z"}]}),
        _event("transcription_session.update", session={}),
    ]


def _lanes() -> Iterator[Play]:
    def create(**changes: Any) -> dict[str, Any]:
        return {"type": "response.create", **body(store=False, **changes)}

    frames = [
        create(),
        create(stream_id="a", reasoning={"effort": "low"}),
        create(stream_id="b", input=MANY, max_output_tokens=16),
        create(stream_id="c", generate=False),
        create(stream_id="c", text=..., metadata=...),
        create(stream_id="c", instructions="x", temperature=0, service_tier="flex"),
        create(stream_id="d", previous_response_id="resp_0"),
        create(stream_id=""),
        create(stream_id="e", bogus=1),
        create(stream_id="e", background=True),
        create(stream_id="e", stream=True),
        create(stream_id="e", model="gpt-4"),
        *(create(stream_id=f"w{number}") for number in range(30)),
        {"type": "response.steer", "previous_response_id": "resp_0", "input": "x"},
        {"type": "response.bogus"},
        "{",
    ]
    variants: dict[str, dict[str, Any]] = {
        "as it is": {},
        "numbered": {"profile": _profile(is_error_numbered=True, is_error_headed=True)},
        "bare": {"profile": _profile(is_terminal_bare=True, has_item_events=False)},
        "refusing by response": {"profile": _profile(is_refusal_response=True), "rpm": 5},
        "progress of a warm-up": {"profile": _profile(is_warmup_progress_told=True)},
        "busy": {"profile": _profile(running=1, waiting=2), "latency_ms": 2_000.0},
        "aged": {"profile": _profile(connection_max_age_s=5.0)},
        "limited": {"rpm": 5},
        "without lanes": {"profile": _profile(lane_names=0)},
        **{one: {"faults": {one: 1.0}} for one in ("refusal", "error_500", "overloaded", "quota")},
    }
    for name, options in variants.items():
        yield _play(f"lanes {name}", _socket("/responses", frames), **options)
    yield _play("lanes with a bad key", _socket("/responses", []), api_key="another")


# HTTP


def _posts(path: str, requests: Sequence[Any]) -> Talk:
    async def talk(base_url: str) -> None:
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            for one in requests:
                content = json.dumps(one) if isinstance(one, dict) else one
                async with session.post(base_url + path, data=content) as answer:
                    await answer.read()

    return talk


def _http() -> Iterator[Play]:
    whole: list[dict[str, Any]] = [
        {},
        {"reasoning": {"effort": "low"}},
        {"input": MANY, "max_output_tokens": 16},
        {"text": {"format": {"type": "json_object"}}, "service_tier": "flex"},
        {"text": ..., "metadata": ..., "instructions": "x", "store": False, "temperature": 0},
        {"previous_response_id": "resp_0"},
        {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {"bogus": 1},
        {"model": "gpt-4"},
        {"background": True},
    ]
    said: list[dict[str, Any]] = [
        {},
        {"max_completion_tokens": 3},
        {"logprobs": True, "top_logprobs": 2},
        {"response_format": {"type": "json_object"}, "service_tier": "flex"},
        {"metadata": ..., "store": ..., "temperature": 0, "response_format": ...},
        {"bogus": 1},
        {"model": "gpt-4"},
        {"n": 2},
    ]
    completions: tuple[tuple[str, list[Any], dict[str, Any]], ...] = (
        ("/responses", [body(**one) for one in whole], {}),
        ("/chat/completions", [chat(**one) for one in said], {"include_usage": True}),
    )
    for path, requests, options in completions:
        streamed = [{**one, "stream": True} for one in requests]
        if options:
            streamed += [{**one, "stream_options": options} for one in streamed]
        talk = _posts(path, [*requests, *streamed, "{", "[]"])
        yield _play(path, talk, ms_per_token=1.0)
        for fault in ("refusal", "error_500", "malformed", "quota"):
            yield _play(f"{path} {fault}", talk, faults={fault: 1.0}, ms_per_token=1.0)
        yield _play(f"{path} limited", _posts(path, [*requests, *streamed]), rpm=2)
        yield _play(f"{path} without schema", _posts(path, requests), has_json_schema=False)
    yield from _decisions()
    secrets = [
        {"session": {"type": "realtime", "output_modalities": ["text"]}},
        {"expires_after": {"anchor": "created_at", "seconds": 60}},
        {"session": {"type": "realtime", "bogus": 1}},
    ]
    yield _play("secrets", _posts("/realtime/client_secrets", secrets))


def _decisions() -> Iterator[Play]:
    values: list[Any] = [{"value": True}, {"value": "true"}, {"value": "no"}]
    questions = [
        {"type": "choice", "name": "q1", "instructions": "x", "choices": values},
        {"type": "predicate", "instructions": "x"},
        {"type": "score", "instructions": "x", "levels": [{"label": "low"}, {"label": "high"}]},
    ]
    asked: dict[str, Any] = {"model": "gpt-6-luna", "input": pack("one"), "questions": questions}
    wrong: list[Any] = [{"questions": []}, {"bogus": 1}, {"model": "gpt-4"}, {"input": 1}]
    requests = [asked, *({**asked, **one} for one in wrong), "{"]
    for name, rules in (("as they are", {}), ("all refused", {"is_all_refused": True})):
        profile = replace(PROFILE, decisions=replace(PROFILE.decisions, **rules))
        yield _play(f"decisions {name}", _posts("/decisions", requests), profile=profile)


# Files and batches


def _batches() -> Iterator[Play]:
    rules = replace(PROFILE.batch, speed=3_600.0)
    profile = replace(PROFILE, batch=rules)
    for endpoint, bodies in (
        ("/v1/responses", [body(), body(bogus=1)]),
        ("/v1/chat/completions", [chat(), chat(bogus=1)]),
    ):
        rows = lines(*(row(f"c{n}", url=endpoint, body=one) for n, one in enumerate(bodies)))
        yield _play(f"batch {endpoint}", _life(endpoint, rows), profile=profile)
    yield _play("bad batch", _life("/v1/responses", b"{\n"), profile=profile)
    slow = replace(PROFILE, batch=replace(rules, rows_per_s=1e-6))
    rows = lines(row("c0"), row("c1"))
    yield _play("slow batch", _life("/v1/responses", rows), profile=slow)
    yield _play("cancelled batch", _life("/v1/responses", rows, is_cancelled=True), profile=slow)


def _life(endpoint: str, rows: bytes, *, is_cancelled: bool = False) -> Talk:
    """Upload a file, make a batch of it, follow it to its end, and take what it leaves."""

    async def talk(base_url: str) -> None:
        async with aiohttp.ClientSession(headers=HEADERS) as session:

            async def call(method: str, path: str, **options: Any) -> Any:
                async with session.request(method, base_url + path, **options) as answer:
                    text = await answer.text()
                return {} if path.endswith("/content") else json.loads(text)

            kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            upload = await call("POST", "/files", data=form(rows), headers=kind)
            order = {
                "input_file_id": upload["id"],
                "endpoint": endpoint,
                "completion_window": "24h",
                "metadata": {"run": "1"},
            }
            batch = await call("POST", "/batches", json=order)
            await call("POST", "/batches", json={**order, "endpoint": "/v1/decisions"})
            if is_cancelled:
                await call("POST", f"/batches/{batch['id']}/cancel")
            while batch.get("status") not in ("completed", "failed", "expired", "cancelled"):
                await asyncio.sleep(1.0)
                batch = await call("GET", f"/batches/{batch['id']}")
            for name in ("output_file_id", "error_file_id"):
                if batch.get(name):
                    await call("GET", f"/files/{batch[name]}/content")
            for path in ("/batches", "/files", "/batches/batch_0", "/files/file-0", "/models"):
                await call("GET", path)
            await call("DELETE", f"/files/{upload['id']}")
            await call("GET", "/models/gpt-6-luna")
            await call("GET", "/models/gpt-4")

    return talk


def _azure() -> Iterator[Play]:
    version = "api-version=2025-04-01-preview"
    dated = f"/openai/realtime?{version}&deployment=d"
    talk = [
        _event("session.update", session={"modalities": ["text"]}),
        _event("conversation.item.create", item=message(pack("one"))),
        _event("response.create"),
    ]
    yield _play("azure dated realtime", _at_root(_socket, dated, talk))
    path = f"/openai/v1/realtime?model={MODEL}"
    yield _play("azure v1 realtime", _at_root(_socket, path, []))
    strict = replace(PROFILE, is_any_deployment_good=False)
    path = "/openai/v1/realtime?model=d"
    yield _play("azure without the deployment", _at_root(_socket, path, []), profile=strict)
    path = f"/openai/deployments/d/chat/completions?{version}"
    yield _play("azure dated chat", _at_root(_posts, path, [chat()]))
    path = f"/openai/responses?{version}"
    yield _play("azure dated responses", _at_root(_posts, path, [body(model="d")]))


def _at_root(make: Any, path: str, said: Sequence[Any]) -> Talk:
    """Return a talk at an address that does not begin with `/v1`."""

    async def talk(base_url: str) -> None:
        await make(path, said)(base_url.removesuffix("/v1"))

    return talk
