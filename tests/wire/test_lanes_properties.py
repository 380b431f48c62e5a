"""Lanes against junk, shuffled, doubled and foreign frames, and lanes that are used again."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.wire.events import Answered, RequestEnded
from analysis.wire.lane_frames import AskAgain, LaneEvent
from analysis.wire.lanes import LANES, LanesConnection

from .examples import request
from .lane_examples import answers, asked, breaches, completed, created, endings, feed, passing

NAMES = st.sampled_from(
    [
        "response.created",
        "response.completed",
        "response.failed",
        "response.incomplete",
        "response.output_item.done",
        "response.output_text.done",
        "response.refusal.done",
        "error",
        "x",
    ]
)
SOME_KEYS = ["id", "status", "metadata", "rid", "output", "usage", "error", "code", "type"]
OTHER_KEYS = [
    "response",
    "headers",
    "message",
    "param",
    "item",
    "text",
    "content",
    "status_code",
    "incomplete_details",
]
KEYS = st.sampled_from([*SOME_KEYS, *OTHER_KEYS])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner | st.just("r1"), max_size=5)
    ),
    max_leaves=12,
)
FRAMES = st.builds(
    lambda kind, fields, lane: json.dumps({**fields, "type": kind, "stream_id": lane}),
    NAMES,
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.sampled_from([None, "w00", "w01", "nobody"]),
)


@settings(max_examples=400, deadline=None)
@given(
    frames=st.lists(st.binary(max_size=60) | st.text(max_size=60) | FRAMES, max_size=4),
    has_lanes=st.booleans(),
)
def test_no_frame_makes_a_connection_raise(frames: list[bytes | str], has_lanes: bool) -> None:
    """Whatever a peer sends comes back as events, and each request ends at most once."""
    connection = asked("r1", has_lanes=has_lanes)
    events = feed(connection, *frames)
    kinds = (Answered, RequestEnded, AskAgain)
    ended = [event.request_id for event in events if isinstance(event, kinds)]
    assert ["r1"] == [*ended, *connection.waiting]


@st.composite
def parallel_scripts(draw: st.DrawFn) -> tuple[int, list[str]]:
    """Return a number of requests and their events: shuffled, doubled, some ids exchanged."""
    count = draw(st.integers(1, 5))
    texts = []
    for number in range(count):
        name = f"w{number:02}"
        texts.append(created(f"p{number}", f"r{number}", name))
        texts += draw(st.lists(st.sampled_from(passing(name, "a wrong text")), max_size=2))
        texts.append(completed(f"p{number}", f"r{number}", name))
    texts += draw(st.lists(st.sampled_from(texts), max_size=4))
    ids = st.integers(0, count)
    for response, rid, lane in draw(st.lists(st.tuples(ids, ids, ids), max_size=3)):
        # A planted reply: its text is the one of its rid, its other ids are others'.
        texts.append(completed(f"p{response}", f"r{rid}", f"w{lane:02}"))
    return count, draw(st.permutations(texts))


@settings(max_examples=500, deadline=None)
@given(script=parallel_scripts())
def test_no_request_ever_gets_its_neighbours_answer(script: tuple[int, list[str]]) -> None:
    """Any order, doubling and exchange gives a request its own answer, or none and a violation."""
    count, texts = script
    rids = [f"r{number}" for number in range(count)]
    connection = asked(*rids)
    events = feed(connection, *texts)
    found, ended = answers(events), endings(events)
    assert all(text == f"answer to {rid}" for rid, text in found.items())
    assert found.keys().isdisjoint(ended)
    assert set(rids) == found.keys() | ended.keys() | set(connection.waiting)
    assert len(found) + len(ended) == len(
        [e for e in events if isinstance(e, Answered | RequestEnded)]
    )
    assert bool(breaches(events)) or len(found) == count


@settings(max_examples=200, deadline=None)
@given(data=st.data(), has_rid=st.booleans(), has_lanes=st.booleans())
def test_a_lane_that_is_used_again_gives_each_request_its_own_answer(
    data: st.DataObject, has_rid: bool, has_lanes: bool
) -> None:
    """A server in order, with or without our id in the end: late replies go to nobody."""
    connection = LanesConnection(has_lanes=has_lanes)
    lanes: dict[str | None, int] = {}
    found: dict[str, str] = {}
    forgotten: set[str] = set()
    for number in range(40):
        if connection.room and data.draw(st.booleans()):
            name = json.loads(connection.ask(request(f"r{number}"))).get("stream_id")
            lanes[name] = number
            if data.draw(st.integers(0, 3)) == 0:
                forgotten.add(f"r{number}")
                connection.forget(f"r{number}")
        elif lanes:
            name = data.draw(st.sampled_from(sorted(lanes, key=str)))
            found |= answers(_reply(connection, name, lanes.pop(name), has_rid))
    for name, number in lanes.items():
        found |= answers(_reply(connection, name, number, has_rid))
    assert all(text == f"answer of {rid[1:]}" for rid, text in found.items())
    assert forgotten.isdisjoint(found)
    assert (LANES if has_lanes else 1, ()) == (connection.room, connection.waiting)


def _reply(
    connection: LanesConnection, name: str | None, number: int, has_rid: bool
) -> list[LaneEvent]:
    """Let the server answer a request whose text names its response."""
    rid = f"r{number}"
    part = {"type": "output_text", "text": f"answer of {number}"}
    output = [{"type": "message", "content": [part]}]
    end = completed(f"p{number}", rid if has_rid else None, name, output=output)
    return feed(connection, created(f"p{number}", rid if has_rid else None, name), end)
