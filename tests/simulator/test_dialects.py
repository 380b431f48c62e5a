"""Behaviour of the two dialects on a connection; beta frames have passed strict shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.simulator.dialects import BETA, DIALECTS
from analysis.simulator.outputs import Close, Output
from analysis.simulator.profile import PROFILE
from analysis.simulator.realtime import RealtimeSession
from tests.simulator.beta_shapes import beta_events, beta_kinds
from tests.simulator.examples import (
    CHOICE,
    NESTED_CHOICE,
    TOOL,
    connect,
    events,
    labels_of,
    message,
    pack,
    send,
    service,
)

BOTH = pytest.mark.parametrize("dialect", list(DIALECTS))
READERS = {"ga": events, "beta": beta_events}
DETECTION = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "create_response": True,
    "interrupt_response": True,
}
PASSING: dict[str, dict[str, Any]] = {
    "ga": {"type": "realtime", "output_modalities": ["text"]},
    "beta": {"modalities": ["text"]},
}


def beta(**options: Any) -> RealtimeSession:
    """Return a connection to a beta server that writes text and has taken its greeting."""
    session = connect(service(dialect="beta", **options))
    send(session, "session.update", session=PASSING["beta"])
    return session


def beta_call(rid: str, *texts: str, **changes: Any) -> dict[str, Any]:
    """Return the response part of a `response.create` out of band, with a forced call."""
    return {
        "conversation": "none",
        "metadata": {"rid": rid},
        "modalities": ["text"],
        "input": [message(pack(*texts))],
        "tools": [TOOL],
        "tool_choice": CHOICE,
        **changes,
    }


def error_of(dialect: str, outputs: list[Output]) -> dict[str, Any]:
    """Return the error of a lone error event."""
    (event,) = READERS[dialect](outputs)
    assert "error" == event["type"]
    return dict(event["error"])


def test_beta_greeting_is_session_and_conversation() -> None:
    """The settings lie flat, and the session speaks until told to write."""
    created, conversation = beta_events(
        connect(service(dialect="beta", epoch_s=1_000.0), is_beta=True).poll(now=0.0)
    )
    session = created["session"]
    expected = {
        "object": "realtime.session",
        "model": "digest-labels",
        "expires_at": 4_600,
        "modalities": ["audio", "text"],
        "voice": "alloy",
        "turn_detection": DETECTION,
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": None,
        "input_audio_noise_reduction": None,
        "tools": [],
        "tool_choice": "auto",
        "temperature": 0.8,
        "max_response_output_tokens": "inf",
    }
    assert expected == {
        name: value for name, value in session.items() if name not in ("id", "instructions")
    }
    assert "conversation.created" == conversation["type"]


def test_beta_update_is_merged_or_dropped_whole() -> None:
    """The answer holds the full session; after an error nothing of the update applies."""
    session = connect(service(dialect="beta"))
    session.poll(now=0.0)
    bad = {"modalities": ["text"], "temperature": 0}
    error = error_of("beta", send(session, "session.update", event_id="c1", session=bad))
    assert ("decimal_below_min_value", "session.temperature", "c1") == (
        error["code"],
        error["param"],
        error["event_id"],
    )
    good = {
        "modalities": ["text"],
        "temperature": 0.6,
        "turn_detection": {"type": "server_vad", "create_response": False},
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
    }
    (event,) = beta_events(send(session, "session.update", session=good))
    settings = event["session"]
    assert ("session.updated", ["text"], 0.6, DETECTION | {"create_response": False}) == (
        event["type"],
        settings["modalities"],
        settings["temperature"],
        settings["turn_detection"],
    )
    (event,) = beta_events(send(session, "session.update", session={"voice": "ash"}))
    assert settings | {"voice": "ash"} == event["session"]


def test_beta_text_turn_has_its_order() -> None:
    """The assistant item is announced once, limits come last; the answer joins the conversation."""
    session = beta()
    assert ["conversation.item.created"] == beta_kinds(
        send(session, "conversation.item.create", item=message("one"))
    )
    outputs = send(session, "response.create")
    assert [
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.text.delta",
        "response.text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ] == beta_kinds(outputs)
    *_, done, limits = beta_events(outputs)
    response = done["response"]
    (item,) = response["output"]
    assert ("text", "pcm16", "alloy", 0.8, "inf", True) == (
        item["content"][0]["type"],
        response["output_audio_format"],
        response["voice"],
        response["temperature"],
        response["max_output_tokens"],
        response["conversation_id"].startswith("conv_"),
    )
    assert ["requests", "tokens"] == [limit["name"] for limit in limits["rate_limits"]]
    (event,) = beta_events(send(session, "conversation.item.retrieve", item_id=item["id"]))
    assert item == event["item"]


def test_beta_speech_comes_as_its_transcript() -> None:
    """A client that forgets the modalities gets transcript events instead of text."""
    session = connect(service(dialect="beta"))
    found = beta_kinds(send(session, "response.create"))
    assert ["response.audio_transcript.delta", "response.audio_transcript.done"] == [
        kind for kind in found if "transcript" in kind
    ]


@pytest.mark.parametrize("choice", [CHOICE, NESTED_CHOICE, "required"])
def test_beta_call_out_of_band_has_its_order(choice: Any) -> None:
    """Nothing is announced to the conversation; labels, metadata and settings are there."""
    asked = beta_call(
        "17", "one", "two", tool_choice=choice, temperature=0.6, max_response_output_tokens=64
    )
    outputs = send(beta(), "response.create", response=asked)
    assert [
        "response.created",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ] == beta_kinds(outputs)
    response = beta_events(outputs)[-2]["response"]
    assert ({"rid": "17"}, None, "completed", 0.6, 64) == (
        response["metadata"],
        response["conversation_id"],
        response["status"],
        response["temperature"],
        response["max_output_tokens"],
    )
    assert labels_of("one", "two") == json.loads(response["output"][0]["arguments"])


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"output_modalities": ["text"]}, "unknown_parameter", "response.output_modalities"),
        ({"max_output_tokens": 5}, "unknown_parameter", "response.max_output_tokens"),
        ({"modalities": ["audio"]}, "invalid_value", "response.modalities"),
        ({"temperature": 0.5}, "decimal_below_min_value", "response.temperature"),
        ({"conversation": "conv_1"}, "invalid_value", "response.conversation"),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "response.metadata.k"),
        ({"tools": [TOOL | {"strict": True}]}, "unknown_parameter", "response.tools[0].strict"),
    ],
)
def test_wrong_beta_responses_are_refused(response: Any, code: str, param: str) -> None:
    """No response is created; the error is all that comes."""
    error = error_of("beta", send(beta(), "response.create", response=response))
    assert (code, param) == (error["code"], error["param"])


def test_beta_items_are_kept() -> None:
    """Items are created in place, deleted, and cannot be truncated without audio."""
    session = beta()
    for item_id, after in (("i1", None), ("i2", "root")):
        item = message(item_id) | {"id": item_id}
        send(session, "conversation.item.create", item=item, previous_item_id=after)
    (deleted,) = beta_events(send(session, "conversation.item.delete", item_id="i2"))
    assert "i2" == deleted["item_id"]
    codes = [
        error_of("beta", send(session, f"conversation.item.{verb}", item_id=item_id))["code"]
        for verb, item_id in (("retrieve", "i2"), ("truncate", "i1"))
    ]
    assert ["item_retrieve_invalid_item_id", "invalid_value"] == codes


def test_beta_failure_and_cut_have_their_status() -> None:
    """A refused response fails inside `response.done`; a cut one is incomplete."""
    limited = beta(rpm=1)
    cut = beta_call("1", "one", max_response_output_tokens=3)
    response = beta_events(send(limited, "response.create", response=cut))[-2]["response"]
    assert ("incomplete", "max_output_tokens", 3) == (
        response["status"],
        response["status_details"]["reason"],
        response["usage"]["output_tokens"],
    )
    outputs = send(limited, "response.create", response=beta_call("2", "two"))
    assert ["response.created", "response.done", "rate_limits.updated"] == beta_kinds(outputs)
    error = beta_events(outputs)[1]["response"]["status_details"]["error"]
    assert "rate_limit_exceeded" == error["code"]


def test_beta_cancel_ends_a_response() -> None:
    """The response is done at once as cancelled."""
    session = beta(latency_ms=100)
    send(session, "response.create")
    assert ["response.done", "rate_limits.updated"] == beta_kinds(send(session, "response.cancel"))


def test_beta_session_expires_like_the_other() -> None:
    """Error, then close 1001 with the same sentence."""
    error, closing = beta().poll(now=PROFILE.session_max_age_s)
    sentence = "Your session hit the maximum duration of 60 minutes."
    assert sentence == error_of("beta", [error])["message"]
    assert Close(code=1001, reason=sentence) == closing


def test_transcription_update_is_listed_and_refused() -> None:
    """The beta server knows the event; a session for conversation does not take it."""
    error = error_of("beta", send(beta(), "transcription_session.update", session={}))
    assert ("invalid_value", "type") == (error["code"], error["param"])
    assert "not allowed" in error["message"]
    assert "session.close" not in BETA.client_events


# The four errors of the quick reference


@BOTH
@pytest.mark.parametrize("kind", ["session.create", "message.create"])
def test_invented_events_are_not_supported(dialect: str, kind: str) -> None:
    """`session.create` is answered with the list of the events that there are."""
    session = connect(service(dialect=dialect))
    session.poll(now=0.0)
    error = error_of(dialect, send(session, kind, event_id="c1", session={}))
    head = {
        "ga": "'session.update', 'session.close', 'input_audio_buffer.append', "
        "'session.input_audio_buffer.append', ",
        "beta": "'session.update', 'transcription_session.update', 'input_audio_buffer.append', ",
    }[dialect]
    tail = (
        "'input_audio_buffer.commit', 'input_audio_buffer.clear', 'conversation.item.create', "
        "'conversation.item.truncate', 'conversation.item.delete', 'conversation.item.retrieve', "
        "'response.create', and 'response.cancel'."
    )
    assert {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": f"Invalid value: '{kind}'. Supported values are: {head}{tail}",
        "param": "type",
        "event_id": "c1",
    } == error


@pytest.mark.parametrize(
    ("dialect", "code", "text"),
    [
        (
            "beta",
            "decimal_below_min_value",
            "Invalid 'session.temperature': decimal below minimum value. Expected a value >= 0.6, "
            "but got 0.3 instead.",
        ),
        ("ga", "unknown_parameter", "Unknown parameter: 'session.temperature'."),
    ],
)
def test_temperature_below_the_minimum(dialect: str, code: str, text: str) -> None:
    """Beta has a minimum; GA has no temperature at all."""
    update = PASSING[dialect] | {"temperature": 0.3}
    session = connect(service(dialect=dialect))
    session.poll(now=0.0)
    error = error_of(dialect, send(session, "session.update", session=update))
    assert (code, text, "session.temperature") == (error["code"], error["message"], error["param"])


@pytest.mark.parametrize(
    ("dialect", "field", "modalities", "listed"),
    [
        ("beta", "modalities", ["audio"], "['text'] and ['audio', 'text']"),
        ("ga", "output_modalities", ["audio", "text"], "['text'] and ['audio']"),
    ],
)
def test_invalid_modalities(dialect: str, field: str, modalities: list[str], listed: str) -> None:
    """Each dialect has its own two combinations."""
    session = connect(service(dialect=dialect))
    session.poll(now=0.0)
    update = PASSING[dialect] | {field: modalities}
    error = error_of(dialect, send(session, "session.update", session=update))
    assert (
        "invalid_value",
        f"Invalid modalities: {modalities}. Supported combinations are: {listed}.",
        f"session.{field}",
    ) == (error["code"], error["message"], error["param"])


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("beta", "Conversation already has an active response"),
        (
            "ga",
            "Conversation already has an active response in progress: {id}. Wait until the "
            "response is finished before creating a new one.",
        ),
    ],
)
def test_conversation_has_an_active_response(dialect: str, text: str) -> None:
    """The second response gets the error alone; out of band it would run."""
    session = connect(service(dialect=dialect, latency_ms=100))
    session.poll(now=0.0)
    (created,) = READERS[dialect](send(session, "response.create"))
    error = error_of(dialect, send(session, "response.create", event_id="c2"))
    assert (
        "conversation_already_has_active_response",
        text.format(id=created["response"]["id"]),
        "c2",
    ) == (error["code"], error["message"], error["event_id"])
    beside = READERS[dialect](
        send(session, "response.create", response={"conversation": "none", "input": []})
    )
    assert ["response.created"] == [event["type"] for event in beside]


@BOTH
def test_every_listed_event_is_handled(dialect: str) -> None:
    """None of the events that the error lists gets that error itself."""
    for kind in DIALECTS[dialect].client_events:
        session = connect(service(dialect=dialect))
        session.poll(now=0.0)
        found = READERS[dialect](send(session, kind))
        texts = [event["error"]["message"] for event in found if "error" in event]
        assert not [text for text in texts if text.startswith("Invalid value")]
