"""The targets of the fuzzer: what runs, and which modules it is about.

Nothing of the package is imported here, since the fuzzer has to watch its import.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing to fuzz.

    Attributes:
        entry: Module and function; the function takes the fuzzer's bytes and raises if something is
            wrong.
        modules: Files of the package whose branches are reported, without ending.
    """

    entry: str
    modules: tuple[str, ...]


_REALTIME = tuple(
    f"wire/{name}" for name in ("realtime", "outofband", "items", "context", "replies", "usage")
)
_SERVICE = ("simulator/mischief", "simulator/refusals")

TARGETS = {
    "realtime-ga": Target(entry="tests.fuzz.realtime_client:ga", modules=_REALTIME),
    "realtime-beta": Target(entry="tests.fuzz.realtime_client:beta", modules=_REALTIME),
    "realtime-turns": Target(
        entry="tests.fuzz.realtime_client:turns", modules=(*_REALTIME, "wire/turns")
    ),
    "lanes": Target(
        entry="tests.fuzz.lanes_client:lanes", modules=("wire/lanes", "wire/lane_frames")
    ),
    "responses": Target(entry="tests.fuzz.bodies:responses_body", modules=("wire/responses",)),
    "chat": Target(entry="tests.fuzz.bodies:chat_body", modules=("wire/chat",)),
    "decisions": Target(entry="tests.fuzz.bodies:decisions_body", modules=("wire/decisions",)),
    "refusals": Target(entry="tests.fuzz.bodies:refusals", modules=("wire/failures", "wire/forms")),
    "answers": Target(entry="tests.fuzz.answers:answer", modules=("labels/answer",)),
    "service-realtime": Target(
        entry="tests.fuzz.service_sessions:realtime",
        modules=(
            *_SERVICE,
            *(f"simulator/{name}" for name in ("realtime", "replies", "sessions", "fields")),
            "simulator/conversation",
        ),
    ),
    "service-lanes": Target(
        entry="tests.fuzz.service_sessions:lanes",
        modules=(*_SERVICE, *(f"simulator/{name}" for name in ("lanes", "queues", "streams"))),
    ),
}
