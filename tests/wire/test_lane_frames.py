"""What single frames of a Responses WebSocket say, and that the SDK's types agree."""

from __future__ import annotations

import json

import pytest
from openai.types.beta import BetaResponsesClientEventParam, BetaResponsesServerEvent
from pydantic import TypeAdapter

from analysis.errors import AccountClosed, RouteClosed
from analysis.wire.forms import STRICTEST, Form
from analysis.wire.lane_frames import ENDS, PASSING, ids_of, items_of, peek, read_error, response_of
from analysis.wire.lanes import LanesConnection

from .examples import request
from .lane_examples import completed, frame, item, refusal

CLIENT_FRAME: TypeAdapter[object] = TypeAdapter(BetaResponsesClientEventParam)


@pytest.mark.parametrize("has_lanes", [True, False])
def test_our_frame_is_one_of_the_sdk(has_lanes: bool) -> None:
    """The SDK's type for what a client sends takes every field with its value."""
    text = LanesConnection(has_lanes=has_lanes).ask(request())
    found = CLIENT_FRAME.validate_python(json.loads(text))
    assert json.loads(text) == json.loads(CLIENT_FRAME.dump_json(found))


def test_every_event_that_is_passed_over_is_known_to_the_sdk() -> None:
    """A name with a slip of the pen would be counted as unknown for ever."""
    schema = json.dumps(TypeAdapter(BetaResponsesServerEvent).json_schema())
    assert set() == {name for name in PASSING | ENDS.keys() if f'"{name}"' not in schema}


@pytest.mark.parametrize(
    ("metadata", "rid"),
    [(None, None), ({}, None), ({"rid": "r1"}, "r1"), ({"rid": 1}, None)],
)
def test_the_ids_of_a_response_object(metadata: dict[str, object] | None, rid: str | None) -> None:
    """Our id is a string or there is none."""
    text = completed("p1", None, "w00", metadata=metadata)
    ids = ids_of(response_of(text))
    assert (("response.completed", "w00"), "p1", rid, True) == (
        peek(text),
        ids.id,
        ids.rid,
        ids.has_output,
    )


@pytest.mark.parametrize("output", [None, []])
def test_an_empty_output_is_none(output: list[object] | None) -> None:
    """Then the events of finished parts count."""
    text = completed("p1", "r1", "w00", output=output)
    assert ids_of(response_of(text)).has_output is False


def test_items_beat_texts() -> None:
    """An item holds the text of its parts, which must not count twice."""
    text = frame("response.output_text.done", "w00", text="one")
    whole = frame("response.output_item.done", "w00", item=item("one"))
    assert [item("one")] == [json.loads(one) for one in items_of([text, whole])]
    assert [{"type": "message", "content": [{"type": "output_text", "text": "one"}]}] == [
        json.loads(one) for one in items_of([text])
    ]


@pytest.mark.parametrize(
    ("text", "is_about_lanes", "hits_all"),
    [
        (refusal("websocket_connection_limit_reached"), False, True),
        (refusal("websocket_stream_limit_reached"), True, True),
        (refusal("invalid_stream_id"), True, True),
        (refusal("unknown_parameter", param="stream_id"), True, True),
        (refusal("unknown_parameter", message="Unknown parameter: 'stream_id'."), True, True),
        (refusal("unknown_parameter", param="input", message="not stream_id"), False, False),
        (refusal("server_error", status=500, message="stream_id"), False, False),
        (refusal("insufficient_quota", status=429), False, True),
        (refusal("model_not_found", status=404), False, True),
        (refusal("rate_limit_exceeded", status=429), False, False),
    ],
)
def test_whom_an_error_is_about(text: str, is_about_lanes: bool, hits_all: bool) -> None:
    """Lanes, the account and the route concern every request that has not begun."""
    error = read_error(text)
    assert (is_about_lanes, hits_all) == (error.is_about_lanes, error.hits_all)


def test_an_error_means_what_the_table_says() -> None:
    """Each call makes a new exception, since each caller gets one of its own."""
    error = read_error(refusal("insufficient_quota", status=429))
    first, second = error.failure(), error.failure()
    assert (AccountClosed, False) == (type(first), first is second)
    assert RouteClosed is type(read_error(refusal("model_not_found", status=404)).failure())


def test_a_refused_field_has_a_next_form() -> None:
    """A refusal without a status is a 400."""
    error = read_error(refusal("invalid_value", param="text.format", message="unsupported"))
    assert Form(format="json_object") == error.simpler(STRICTEST)
    assert None is read_error(refusal("server_error", status=500)).simpler(STRICTEST)
