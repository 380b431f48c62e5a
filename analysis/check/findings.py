"""What a probe found, and the cure for what it did not find.

Pure. The probes make findings; commands and the probe scripts print them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    ConfigurationError,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import Failed, FailureKind

ANOTHER_MODEL = "Name another model with --model ROUTE=NAME (model= in Python)."
KEY_CURE = "Set OPENAI_API_KEY to a key of this service, and look at its quota and permissions."
WAY_CURE = "Look at the base URL, the network and the proxy variables (HTTPS_PROXY, NO_PROXY)."
ROUTE_CURE = "Look at the base URL, or leave this route out with --route (routes= in Python)."
WAIT_CURE = "Wait a minute, then check again."

MODEL_CODES = frozenset({"invalid_model", "missing_model", "model_not_found"})
"""Codes of a closed route that another model opens."""

VERDICT_CURES: Mapping[FailureKind, str] = {
    FailureKind.TIMEOUT: WAIT_CURE,
    FailureKind.UNAVAILABLE: WAY_CURE,
    FailureKind.STOPPED: WAY_CURE,
}
"""Why a chunk has no label -> what to do; the kinds that are about the answer need a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one probe found.

    Attributes:
        name: What was probed, such as `https` or `round trip rest`.
        ok: Whether it is as it has to be.
        message: What was found, one sentence; what the local service said is marked simulated.
        cure: What to do; never empty where `ok` is False.
        facts: The same as values, ready for JSON; never a key.
    """

    name: str
    ok: bool
    message: str
    cure: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.ok and not self.cure:
            raise ValueError(f"The failed finding {self.name!r} names no cure.")

    def to_dict(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        return {
            "name": self.name,
            "ok": self.ok,
            "message": self.message,
            "cure": self.cure,
            "facts": dict(self.facts),
        }


def found(
    endpoint: Endpoint,
    name: str,
    message: str,
    *,
    ok: bool = True,
    cure: str = "",
    facts: Mapping[str, object] | None = None,
) -> Finding:
    """Return what an endpoint showed, marked if it is the local service."""
    is_simulated = endpoint.host == EMBEDDED
    return Finding(
        name=name,
        ok=ok,
        message=f"{message} (simulated)" if is_simulated else message,
        cure=cure,
        facts={**(facts or {}), "is_simulated": is_simulated},
    )


def failed(endpoint: Endpoint, name: str, error: AnalysisError) -> Finding:
    """Return the finding for an error, with its cure."""
    facts = {"error": type(error).__name__, "code": getattr(error, "code", "")}
    return found(endpoint, name, str(error), ok=False, cure=cure_of(error), facts=facts)


def absent(finding: Finding) -> Finding:
    """Return the finding of a door that is not there and that nobody asked for by name."""
    is_missing = finding.facts.get("error") == RouteClosed.__name__
    if finding.ok or not is_missing or finding.facts.get("code") in MODEL_CODES:
        return finding
    return replace(finding, ok=True, message=f"not served here: {finding.message}", cure="")


def unlabeled(endpoint: Endpoint, name: str, verdict: Failed) -> Finding:
    """Return the finding for a chunk that got no label, with its cure."""
    kind = verdict.error.kind
    return found(
        endpoint,
        name,
        f"{kind}: {verdict.error.message}",
        ok=False,
        cure=VERDICT_CURES.get(kind, ANOTHER_MODEL),
        facts={"error": str(kind), "attempts": verdict.attempts},
    )


def cure_of(error: AnalysisError) -> str:
    """Return what a person can do about an error."""
    match error:
        case AccountClosed():
            return KEY_CURE
        case RouteClosed() if error.code in MODEL_CODES:
            return ANOTHER_MODEL
        case RouteClosed():
            return ROUTE_CURE
        case RateLimited():
            return WAIT_CURE
        case TransportError():
            return WAY_CURE
        case RequestRejected():
            return f"{ANOTHER_MODEL} {ROUTE_CURE}"
        case ConfigurationError():
            return "Put the named setting right."
        case _:
            return ANOTHER_MODEL
