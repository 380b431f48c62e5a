"""The lanes of one connection: their names, what waits in them, and what each remembers.

Pure. `lanes` asks it which request is next and tells it when a response begins and ends. A lane
comes into being with the first request of its name and stays; what is done with a request is none
of its business. Source: sections 6.2 and 6.5 of the protocol notes.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from analysis.simulator.profile import ResponsesRules
from analysis.simulator.refusals import Json, Refusal

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")

Conversation: TypeAlias = tuple[str, list[Json]]
"""Id of a response, and the items up to and including its answer."""


@dataclass(slots=True, kw_only=True)
class Lane:
    """One queue.

    Attributes:
        name: None for the default lane.
        waiting: Requests in the order in which they came.
        is_busy: A response of this lane runs.
        newest: The newest response of the lane, unless it was evicted.
    """

    name: str | None
    waiting: deque[Json] = field(default_factory=deque)
    is_busy: bool = False
    newest: Conversation | None = None

    def evict(self, response_id: object) -> None:
        """Forget the newest response if it is this one: its continuation failed."""
        if self.newest and self.newest[0] == response_id:
            self.newest = None


class Lanes:
    """All lanes of a connection.

    Args:
        rules: How many names there may be, and how many requests may run and wait.
    """

    def __init__(self, rules: ResponsesRules) -> None:
        self._rules = rules
        self._lanes: dict[str | None, Lane] = {None: Lane(name=None)}
        self._ready: deque[Lane] = deque()
        self._waiting = 0
        self._busy = 0

    def __repr__(self) -> str:
        named = len(self._lanes) - 1
        return f"Lanes({named} named, {self._busy} running, {self._waiting} waiting)"

    def find(self, name: str | None) -> Lane:
        """Return the lane of this name, a new one if need be.

        Raises:
            Refusal: If no further name is left.
        """
        lane = self._lanes.get(name)
        if lane is None:
            if len(self._lanes) > self._rules.lane_names:
                raise Refusal(
                    "This WebSocket connection has reached its maximum number of distinct stream "
                    f"IDs ({self._rules.lane_names}). Reuse an existing stream_id or open a new "
                    "WebSocket connection.",
                    code="websocket_stream_limit_reached",
                    param="stream_id",
                )
            lane = self._lanes[name] = Lane(name=name)
        return lane

    def add(self, lane: Lane, request: Json) -> None:
        """Put a request at the end of a lane.

        Raises:
            Refusal: With status 429, if too many wait already.
        """
        if self._waiting >= self._rules.waiting:
            raise Refusal(
                "Too many requests wait on this connection. Slow down.",
                status=429,
                kind="rate_limit_error",
                code="slow_down",
            )
        self._waiting += 1
        lane.waiting.append(request)
        if not lane.is_busy and len(lane.waiting) == 1:
            self._ready.append(lane)

    def begin_next(self) -> tuple[Lane, Json] | None:
        """Take the request whose turn it is; its lane is busy until `release`."""
        if not self._ready or self._busy >= self._rules.running:
            return None
        lane = self._ready.popleft()
        lane.is_busy = True
        self._busy += 1
        self._waiting -= 1
        return lane, lane.waiting.popleft()

    def release(self, lane: Lane) -> None:
        """Take note that the response of a lane has ended, well or not."""
        lane.is_busy = False
        self._busy -= 1
        if lane.waiting:
            self._ready.append(lane)

    def holder_of(self, response_id: object) -> Lane | None:
        """Return the lane whose newest response this is, or None."""
        lanes = self._lanes.values()
        return next((one for one in lanes if one.newest and one.newest[0] == response_id), None)


def read_lane_name(value: object) -> str | None:
    """Return the name in a `stream_id`, None for the default lane.

    Raises:
        Refusal: If it is no name of a lane.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Refusal(
            "The 'stream_id' field must be a non-empty string with at most 256 characters and may "
            "only contain letters, numbers, underscores, hyphens, and periods.",
            code="invalid_stream_id",
            param="stream_id",
        )
    return value
