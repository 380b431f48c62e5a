"""Behaviour of the frames of one Realtime response."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator.refusals import Refusal
from analysis.simulator.replies import Reply
from analysis.simulator.service import Question, Service
from tests.simulator.beta_shapes import beta_events
from tests.simulator.examples import CHOICE, TOOL, events, kinds, pack, service

SETTINGS: dict[str, Any] = {
    "output_modalities": ["text"],
    "max_output_tokens": "inf",
    "tools": [TOOL],
    "tool_choice": CHOICE,
    "metadata": {"rid": "17"},
    "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy"}},
}
BETA_SETTINGS: dict[str, Any] = {
    "modalities": ["text"],
    "max_response_output_tokens": "inf",
    "voice": "alloy",
    "output_audio_format": "pcm16",
    "temperature": 0.8,
    "tools": [TOOL],
    "tool_choice": CHOICE,
    "metadata": {"rid": "17"},
}


def frames_of(account: Service, content: str, conversation_id: str | None, **changes: Any) -> Any:
    """Return the frames of a whole response."""
    question = Question(
        route="realtime",
        model="m",
        key="k",
        content=content,
        size_bytes=8,
        schema=TOOL["parameters"],
        metadata={},
    )
    job = account.start(question, 0.0)
    reply = Reply(account, SETTINGS | changes, conversation_id)
    return [*reply.created(), *reply.begun(job, None), *reply.finished(job.receipt, None)]


def test_function_call_has_its_order() -> None:
    """No content parts; deltas add up to the arguments of `done` and of the item."""
    frames = frames_of(service(), pack("one", "two"), None)
    assert [
        "response.created",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
    ] == kinds(frames)
    found = events(frames)
    deltas = "".join(event["delta"] for event in found if "delta" in event)
    call = found[-1]["response"]["output"][0]
    assert (deltas, deltas, "set_labels") == (
        found[-3]["arguments"],
        call["arguments"],
        call["name"],
    )
    assert all("obfuscation" in event for event in found if "delta" in event)


@pytest.mark.parametrize(
    ("modality", "name", "content"),
    [
        ("text", "response.output_text", {"type": "output_text", "text": "a"}),
        (
            "audio",
            "response.output_audio_transcript",
            {"type": "output_audio", "transcript": "a"},
        ),
    ],
)
def test_message_has_its_order(modality: str, name: str, content: dict[str, str]) -> None:
    """A message has content parts; in the default conversation its item is announced."""
    text = next(str(n) for n in range(99) if service().answerer.label([str(n)], None)[0][0] == "a")
    frames = frames_of(service(), text, "conv_1", output_modalities=[modality])
    assert [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        f"{name}.delta",
        f"{name}.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ] == kinds(frames)
    response = events(frames)[-1]["response"]
    assert ([content], "conv_1") == (response["output"][0]["content"], response["conversation_id"])


def test_cut_reply_is_incomplete() -> None:
    """Response and item say so, and the arguments stay as far as they came."""
    account = service()
    question = Question(
        route="realtime",
        model="m",
        key="k",
        content=pack("one"),
        size_bytes=8,
        max_output_tokens=2,
        metadata={},
    )
    job = account.start(question, 0.0)
    reply = Reply(account, SETTINGS, None)
    reply.begun(job, None)
    response = events(reply.finished(job.receipt, None))[-1]["response"]
    details = {"type": "incomplete", "reason": "max_output_tokens"}
    assert ("incomplete", details) == (response["status"], response["status_details"])
    assert ("incomplete", '{"answer') == (
        response["output"][0]["status"],
        response["output"][0]["arguments"],
    )


def test_failed_reply_carries_the_error() -> None:
    """Type, code and text stand in the status details."""
    refusal = Refusal("text", kind="tokens", code="rate_limit_exceeded")
    response = events(Reply(service(), SETTINGS, None).failed(refusal))[0]["response"]
    error = {"type": "tokens", "code": "rate_limit_exceeded", "message": "text"}
    assert ({"type": "failed", "error": error}, {"rid": "17"}) == (
        response["status_details"],
        response["metadata"],
    )


def test_beta_reply_has_its_own_names() -> None:
    """The response repeats the settings of its dialect; arguments have no name and no padding."""
    account = service(dialect="beta")
    job = account.start(
        Question(
            route="realtime", model="m", key="k", content=pack("one"), size_bytes=8, metadata={}
        ),
        0.0,
    )
    reply = Reply(account, BETA_SETTINGS, None)
    frames = [*reply.created(), *reply.begun(job, None), *reply.finished(job.receipt, None)]
    created, *_, done = beta_events(frames)
    settings = {
        "modalities": ["text"],
        "max_output_tokens": "inf",
        "voice": "alloy",
        "output_audio_format": "pcm16",
        "temperature": 0.8,
    }
    for event in (created, done):
        assert settings.items() <= event["response"].items()


def test_deltas_come_one_by_one() -> None:
    """`spoken` gives the deltas up to its number, `finished` the rest."""
    account = service()
    job = account.start(
        Question(
            route="realtime", model="m", key="k", content=pack("one"), size_bytes=8, metadata={}
        ),
        0.0,
    )
    reply = Reply(account, SETTINGS, None)
    reply.begun(job, None)
    assert 5 == reply.delta_count
    texts = [events(reply.spoken(number)) for number in (1, 2, 2)]
    assert [[job.text[:8]], [job.text[8:16]], []] == [
        [event["delta"] for event in found] for found in texts
    ]
    rest = [
        event["delta"] for event in events(reply.finished(job.receipt, None)) if "delta" in event
    ]
    assert job.text[16:] == "".join(rest)
