"""A finding says what was found and what to do."""

from __future__ import annotations

import json

import pytest

from analysis.check.findings import (
    ANOTHER_MODEL,
    KEY_CURE,
    ROUTE_CURE,
    WAIT_CURE,
    WAY_CURE,
    Finding,
    cure_of,
    failed,
    found,
    unlabeled,
)
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import (
    AccountClosed,
    AnalysisError,
    AnswerDefect,
    ConfigurationError,
    RateLimited,
    RequestRejected,
    RouteClosed,
    TransportError,
)
from analysis.records import ErrorDetail, Failed, FailureKind

REMOTE = Endpoint.find(api_key="secret-key", base_url="https://example.org/v1")
LOCAL = Endpoint.find(api_key="local", base_url="http://127.0.0.1:1/v1", host=EMBEDDED)


def test_a_failed_finding_needs_a_cure() -> None:
    """Without one it cannot be made."""
    with pytest.raises(ValueError, match="'door' names no cure"):
        Finding(name="door", ok=False, message="shut")


def test_what_the_local_service_said_is_marked() -> None:
    """In the message and in the facts; what another service said is not."""
    marked, plain = found(LOCAL, "door", "open"), found(REMOTE, "door", "open")
    assert ["open (simulated)", "open"] == [marked.message, plain.message]
    assert [True, False] == [marked.facts["is_simulated"], plain.facts["is_simulated"]]


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (AccountClosed("no"), KEY_CURE),
        (RouteClosed("no", code="invalid_model"), ANOTHER_MODEL),
        (RouteClosed("no", code="404"), ROUTE_CURE),
        (RateLimited("no"), WAIT_CURE),
        (TransportError("no"), WAY_CURE),
        (RequestRejected("no"), f"{ANOTHER_MODEL} {ROUTE_CURE}"),
        (ConfigurationError("no"), "Put the named setting right."),
        (AnswerDefect("no", defect="not_json"), ANOTHER_MODEL),
    ],
)
def test_every_error_has_its_cure(error: AnalysisError, cure: str) -> None:
    """The cure follows from the kind of the error, and from its code where that tells more."""
    assert cure == cure_of(error)
    assert cure == failed(REMOTE, "door", error).cure


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_kind_of_verdict_has_a_cure(kind: FailureKind) -> None:
    """A chunk without label is a failed finding that names the kind."""
    verdict = Failed(chunk_id="1", error=ErrorDetail(kind=kind, message="why"))
    finding = unlabeled(REMOTE, "round trip rest", verdict)
    assert (False, f"{kind}: why") == (finding.ok, finding.message)
    assert finding.cure


def test_a_finding_is_plain_values() -> None:
    """Its dictionary goes through JSON and comes back the same."""
    finding = failed(REMOTE, "key", AccountClosed("refused", code="invalid_api_key"))
    plain = finding.to_dict()
    assert plain == json.loads(json.dumps(plain))
    assert "secret-key" not in json.dumps(plain)
