"""Faults of frames: doubled, swapped, unknown and foreign events, and one torn in the middle.

Pure. Routes over a WebSocket hand in the frames of one answer, stage by stage, on their way out:

    frames = disturb(frames, job.draw)          # every stage: created, deltas, end
    outputs = tear(frames) if job.draw.is_torn else frames      # the last stage only

A stage is what leaves at one moment. Nothing moves from one stage to another, so `created` never
comes after the end; within the last stage the terminal event may come before its neighbour. The
account has nothing to do with it: an answer that is disturbed is paid and delivered, a torn one is
paid and lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from analysis.simulator.faults import Draw
from analysis.simulator.outputs import Output, Torn

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

UNKNOWN_TYPE = "response.unheard_of.delta"
"""Type of the events that no protocol knows."""
_ID_FIELDS = frozenset({"event_id", "id", "response_id", "item_id", "call_id", "conversation_id"})
_FOREIGN_MARK = "f0"


def disturb(
    frames: list[bytes], draw: Draw, *, foreign: Callable[[bytes], bytes] | None = None
) -> list[bytes]:
    """Return the frames of one stage of one answer as this draw sends them.

    In this order: `reorder` swaps neighbours (first with second, third with fourth), so that a
    terminal event may precede the one before it; `foreign_event` puts a foreign copy in front of
    the last frame; `unknown_event` puts an event of an unknown type at a place that `draw.share`
    chooses; `duplicate` sends every frame twice, byte for byte.

    Args:
        frames: JSON objects, in the order of the protocol; not changed.
        draw: What the request meets.
        foreign: Makes the foreign copy of a frame; by default `foreign_copy`.

    Returns:
        The same list if the draw disturbs nothing.
    """
    if not draw.is_mischievous or not frames:
        return frames
    out = list(frames)
    if draw.is_reordered:
        for place in range(0, len(out) - 1, 2):
            out[place], out[place + 1] = out[place + 1], out[place]
    if draw.has_foreign_event:
        out.insert(len(out) - 1, (foreign or foreign_copy)(out[-1]))
    if draw.has_unknown_event:
        out.insert(int(draw.share * (len(out) + 1)), unknown_copy(frames[-1]))
    if draw.is_duplicated:
        out = [frame for frame in out for _ in range(2)]
    return out


def tear(frames: Sequence[bytes]) -> list[Output]:
    """Return the frames with the last one torn; the connection ends there."""
    return [*frames[:-1], *(Torn(frame=frame) for frame in frames[-1:])]


def foreign_copy(frame: bytes) -> bytes:
    """Return a copy whose ids and metadata belong to no request of the connection.

    The lane (`stream_id`), the type, the order number and the text stay as they are.
    """
    return _encode(_with_foreign_ids(_decode(frame)))


def unknown_copy(frame: bytes) -> bytes:
    """Return an event of an unknown type with the routing fields of a frame."""
    event = _decode(frame)
    routing = ("stream_id", "response_id", "sequence_number")
    kept = {name: event[name] for name in routing if name in event}
    return _encode({"type": UNKNOWN_TYPE, "event_id": "event_unheard_of", **kept, "delta": "?"})


def _with_foreign_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_foreign_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    changed: dict[str, Any] = {}
    for name, one in value.items():
        if name in _ID_FIELDS and isinstance(one, str):
            changed[name] = one + _FOREIGN_MARK
        elif name == "metadata" and isinstance(one, dict):
            changed[name] = {key: f"{text}{_FOREIGN_MARK}" for key, text in one.items()}
        else:
            changed[name] = _with_foreign_ids(one)
    return changed
