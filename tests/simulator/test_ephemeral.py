"""Behaviour of ephemeral keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.realtime import ClientSecretCreateResponse

from analysis.simulator.outcomes import HttpOutcome
from analysis.simulator.service import Service
from tests.simulator.batch_examples import call, told
from tests.simulator.examples import connect, error_of, kinds, service


def create(on: Service, **fields: Any) -> HttpOutcome:
    """Ask for a key at 100 seconds."""
    content = json.dumps(fields).encode() if fields else b""
    return call(on, "POST", "/realtime/client_secrets", content, now=100.0)


def test_key_opens_a_connection() -> None:
    """The SDK's type takes the answer, and the service takes the key for ten minutes."""
    account = service(api_key="key-1", epoch_s=1_790_000_000.0)
    secret = told(create(account))
    ClientSecretCreateResponse.model_validate(secret)
    assert 1_790_000_700 == secret["expires_at"]
    opened = {
        now: connect(account, key=secret["value"], now=now).poll(now=now)[0]
        for now in (100.0, 699.0, 700.0)
    }
    assert ["session.created", "session.created", "error"] == [
        kinds([output])[0] for output in opened.values()
    ]


def test_key_is_of_no_use_elsewhere() -> None:
    """Only Realtime connections take it."""
    account = service(api_key="key-1")
    value = told(create(account))["value"]
    refused = call(account, "GET", "/models", headers={"authorization": f"Bearer {value}"})
    assert (401, "invalid_api_key", None) == error_of(refused)


def test_settings_are_told() -> None:
    """The session in the answer has the settings of the request."""
    session = {"type": "realtime", "output_modalities": ["text"]}
    secret = told(create(service(), session=session, expires_after={"seconds": 10}))
    assert (["text"], 110) == (secret["session"]["output_modalities"], secret["expires_at"])


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"model": "m"}, "unknown_parameter", "model"),
        ({"session": {}}, "missing_required_parameter", "session.type"),
        (
            {"expires_after": {"anchor": "now"}},
            "invalid_value",
            "expires_after.anchor",
        ),
        (
            {"expires_after": {"seconds": 7_201}},
            "integer_above_max_value",
            "expires_after.seconds",
        ),
    ],
)
def test_bad_requests_are_refused(fields: dict[str, Any], code: str, param: str) -> None:
    """Each names its code and its place."""
    assert (400, code, param) == error_of(create(service(), **fields))
    broken = call(service(), "POST", "/realtime/client_secrets", b"{")
    assert (400, None, None) == error_of(broken)
