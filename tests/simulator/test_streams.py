"""The events of one response, and their form as server-sent events over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from analysis.simulator.outcomes import Delivery, HttpOutcome
from analysis.simulator.profile import PROFILE, Profile, ResponsesRules
from analysis.simulator.streams import padding, server_sent
from tests.simulator.examples import body, chat, labels_of, pack, post, post_chat, service

stream_events: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def rules(**changes: Any) -> Profile:
    """Return a profile without chance whose Responses API differs in these rules."""
    return replace(PROFILE, latency_sigma=0.0, responses=ResponsesRules(**changes))


def read(outcome: HttpOutcome) -> list[dict[str, Any]]:
    """Return the events of a streamed body, each having passed the SDK's strict types."""
    assert "text/event-stream; charset=utf-8" == outcome.headers["content-type"]
    frames = []
    for block in b"".join(data for _, data in outcome.chunks).decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        frame = json.loads(data.removeprefix("data: "))
        assert f"event: {frame['type']}" == name
        stream_events.validate_python(frame, strict=True)
        frames.append(frame)
    return frames


def types(frames: list[dict[str, Any]]) -> list[str]:
    """Return the types without `response.`, runs of the same taken as one."""
    names = [frame["type"].removeprefix("response.") for frame in frames]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


def test_events_of_a_streamed_answer() -> None:
    """They have running numbers and come to the object that an answer in one piece has."""
    frames = read(post(service(), body(stream=True)))
    assert list(range(len(frames))) == [frame["sequence_number"] for frame in frames]
    assert [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ] == types(frames)
    whole = json.loads(post(service(), body()).body)
    assert whole == frames[-1]["response"]
    text = "".join(frame["delta"] for frame in frames if "delta" in frame)
    assert labels_of("one", "two") == json.loads(text)


def test_reasoning_item_precedes_the_message() -> None:
    """The message is the second item then, in its events as well."""
    frames = read(post(service(), body(stream=True, reasoning={"effort": "low"})))
    assert ["output_item.added", "output_item.done", "output_item.added"] == types(frames)[2:5]
    assert {1} == {frame["output_index"] for frame in frames if "delta" in frame}
    message = frames[-1]["response"]["output"][1]
    assert message["id"] == next(frame["item_id"] for frame in frames if "delta" in frame)


def test_rules_leave_out_announcements_padding_and_reasoning() -> None:
    """What remains is enough to put the answer together."""
    profile = rules(has_item_events=False, has_obfuscation=False, has_reasoning_item=False)
    asked = body(stream=True, reasoning={"effort": "low"})
    frames = read(post(service(profile=profile), asked))
    assert [
        "created",
        "in_progress",
        "output_text.delta",
        "output_text.done",
        "output_item.done",
        "completed",
    ] == types(frames)
    assert not any("obfuscation" in frame for frame in frames)


def test_last_event_may_have_no_output() -> None:
    """The item was told before; an answer in one piece has it nevertheless."""
    account = service(profile=rules(is_terminal_bare=True))
    data = post(account, body(stream=True)).chunks[-1][1].decode()
    *_, item, last = [json.loads(one.split("data: ")[1]) for one in data.split("\n\n")[:-1]]
    assert ("response.output_item.done", False) == (item["type"], "output" in last["response"])
    assert Response.model_validate(json.loads(post(account).body)).output_text


def test_deltas_leave_over_the_generation_time() -> None:
    """The opening leaves at once, the item with the first token, the end with the last one."""
    account = service(latency_ms=100, ms_per_token=10, profile=rules())
    outcome = post(account, body(stream=True, input=pack("one")), now=7.0)
    expected = [7.0, 7.1, 7.12, 7.14, 7.16, 7.18, 7.2]
    assert expected == [pytest.approx(at) for at, _ in outcome.chunks]
    assert (7.0, Delivery.SEND) == (outcome.at, outcome.delivery)
    assert outcome.receipt is not None


def test_cut_and_failed_answers_have_ends_of_their_own() -> None:
    """The status is 200 in both, since the stream had begun."""
    cut = read(post(service(), body(stream=True, input=pack(*"abcdef"), max_output_tokens=16)))
    assert "response.incomplete" == cut[-1]["type"]
    outcome = post(service(faults={"error_500": 1.0}), body(stream=True))
    failed = read(outcome)
    assert ["created", "in_progress", "failed"] == types(failed)
    assert (200, None) == (outcome.status, outcome.receipt)
    assert "server_error" == failed[-1]["response"]["error"]["code"]


def test_stored_stream_can_be_continued() -> None:
    """As if it had been whole."""
    account = service()
    parent = read(post(account, body(stream=True)))[-1]["response"]["id"]
    assert 200 == post(account, body(previous_response_id=parent)).status


@pytest.mark.parametrize(
    ("fault", "delivery", "kind"),
    [
        ("drop", Delivery.DROP, "in_progress"),
        ("hang", Delivery.HANG, "in_progress"),
        ("half_open", Delivery.HANG, "in_progress"),
        ("stall", Delivery.HANG, "output_text.delta"),
        ("torn", Delivery.TORN, "completed"),
    ],
)
def test_faults_end_the_stream_early(fault: str, delivery: Delivery, kind: str) -> None:
    """The answer is paid as lost; what gets out ends with this event."""
    records: list[dict[str, Any]] = []
    account = service(faults={fault: 1.0}, payment=records.append, ms_per_token=10)
    outcome = post(account, body(stream=True))
    assert (delivery, kind) == (outcome.delivery, types(read(outcome))[-1])
    assert ([False], None) == ([one["delivered"] for one in records], outcome.receipt)


def test_events_can_be_disturbed() -> None:
    """Doubled events are the same bytes, and an unknown one has a name of its own."""
    outcome = post(service(faults={"duplicate": 1.0}), body(stream=True))
    blocks = b"".join(data for _, data in outcome.chunks).split(b"\n\n")[:-1]
    assert blocks[::2] == blocks[1::2]
    outcome = post(service(faults={"unknown_event": 1.0}), body(stream=True))
    assert outcome.chunks[0][1].count(b"event: response.unheard_of.delta") == 1


def chunks(outcome: HttpOutcome) -> list[dict[str, Any]]:
    """Return the chunks of a streamed completion, each having passed the SDK's strict type."""
    blocks = b"".join(data for _, data in outcome.chunks).decode().split("\n\n")
    assert ["data: [DONE]", ""] == blocks[-2:]
    frames = [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]
    for frame in frames:
        ChatCompletionChunk.model_validate(frame, strict=True)
    return frames


def test_completion_is_streamed_in_chunks() -> None:
    """Role first, then the text, then the reason why it ends; all share one id."""
    outcome = post_chat(service(), chat(stream=True))
    frames = chunks(outcome)
    deltas = [frame["choices"][0]["delta"] for frame in frames]
    assert {"role": "assistant", "content": "", "refusal": None} == deltas[0]
    text = "".join(delta.get("content", "") for delta in deltas)
    assert labels_of("one", "two") == json.loads(text)
    reasons = [frame["choices"][0]["finish_reason"] for frame in frames]
    assert [None] * (len(frames) - 1) + ["stop"] == reasons
    assert 1 == len({frame["id"] for frame in frames})
    assert not any("usage" in frame for frame in frames)


def test_usage_of_a_streamed_completion_comes_last() -> None:
    """In a chunk without choices, if asked for; padding can be left out."""
    options = {"include_usage": True, "include_obfuscation": False}
    asked = chat(stream=True, stream_options=options, max_completion_tokens=3)
    *frames, last = chunks(post_chat(service(), asked))
    assert ([], 3) == (last["choices"], last["usage"]["completion_tokens"])
    assert [None] * len(frames) == [frame["usage"] for frame in frames]
    assert "length" == frames[-1]["choices"][0]["finish_reason"]
    assert not any("obfuscation" in frame for frame in [*frames, last])


def test_declined_completion_is_streamed_as_refusal() -> None:
    """The text stands in another field."""
    frames = chunks(post_chat(service(faults={"refusal": 1.0}), chat(stream=True)))
    deltas = [frame["choices"][0]["delta"] for frame in frames]
    assert {"role": "assistant", "content": None, "refusal": ""} == deltas[0]
    assert "can't help" in "".join(delta.get("refusal", "") for delta in deltas)


def test_completion_fails_before_its_stream_begins() -> None:
    """It is an HTTP error then, streamed or not."""
    outcome = post_chat(service(faults={"error_500": 1.0}), chat(stream=True))
    assert (500, ()) == (outcome.status, outcome.chunks)


def test_server_sent_event_has_name_and_data() -> None:
    """Two lines and an empty one."""
    assert b'event: a.b\ndata: {"type":"a.b"}\n\n' == server_sent({"type": "a.b"})


@pytest.mark.parametrize("length", range(33))
def test_padding_is_never_empty(length: int) -> None:
    """Whatever the piece."""
    assert padding("x" * length)
