"""The suites: which route, against which form of the service, with which faults.

Pure. Every text has one label of 100, a digest of the text, so that of a hundred exchanges one is
not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from analysis.labels.label_set import NAME_LANGUAGES, Label, LabelSet
from analysis.simulator.faults import DEFECTS
from analysis.simulator.profile import ROUTES

KEYS = tuple(f"k{number:02}" for number in range(100))
LABEL_SET = LabelSet(
    name="hundred",
    version="1",
    labels=tuple(
        Label(key=key, names=dict.fromkeys(NAME_LANGUAGES, key), definition=f"Kind {key}.")
        for key in KEYS
    ),
    default=KEYS[0],
    max_labels=1,
    alone=frozenset(),
)
"""A hundred labels that mean nothing: what counts is whose they are."""

_EVERYWHERE = {
    "shuffle": 1.0,
    "delay": 0.02,
    **dict.fromkeys(("drop", "torn", "hang", "half_open", "stall"), 0.005),
    **dict.fromkeys(("error_500", "overloaded", "slow_down", "lying_headers"), 0.01),
    **dict.fromkeys(DEFECTS, 0.005),
}
_ON_SOCKETS = dict.fromkeys(("duplicate", "reorder", "unknown_event", "foreign_event"), 0.1)
_ON_REALTIME = {"rejected_create": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A route of the client against a form of the service.

    Attributes:
        name: As results and tests call it.
        route: What the client asks for.
        faults: Name -> probability per request.
        service: Further options of the service.
        client: Further options of the clients.
        served_as: The service's own name of the route, in its payments.
    """

    name: str
    route: str
    faults: Mapping[str, float]
    service: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    served_as: str


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            name="realtime-ga",
            route="realtime",
            faults=_EVERYWHERE | _ON_SOCKETS | _ON_REALTIME,
            service={"dialect": "ga"},
            client={"dialect": "ga"},
            served_as="realtime",
        ),
        Suite(
            name="realtime-beta",
            route="realtime",
            faults=_EVERYWHERE | _ON_SOCKETS | _ON_REALTIME,
            service={"dialect": "beta"},
            client={"dialect": "beta"},
            served_as="realtime",
        ),
        Suite(
            name="responses-ws",
            route="responses-ws",
            faults=_EVERYWHERE | _ON_SOCKETS,
            served_as="responses-ws",
        ),
        Suite(name="rest-responses", route="rest", faults=_EVERYWHERE, served_as="responses"),
        Suite(
            name="rest-chat",
            route="rest",
            faults=_EVERYWHERE,
            service={"endpoints": frozenset(ROUTES) - {"responses"}},
            served_as="chat",
        ),
        Suite(name="decisions", route="decisions", faults=_EVERYWHERE, served_as="decisions"),
    )
}


def due_label(text: str) -> str:
    """Return the label that belongs to a text; written anew, so that nothing tested decides it."""
    return KEYS[int.from_bytes(sha256(text.encode()).digest()[:8], "big") % len(KEYS)]
