"""Behaviour of the opening request of a Realtime connection."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.simulator.handshake import Handshake, check_handshake, read_handshake
from analysis.simulator.refusals import Refusal
from tests.simulator.examples import service


def test_handshake_is_read_from_headers_and_subprotocols() -> None:
    """The key comes from the header or from the browser's subprotocol; beta from either, too."""
    query = {"model": "m"}
    browser = {"sec-websocket-protocol": "realtime, openai-insecure-api-key.k"}
    assert ("m", "k", False) == _fields(read_handshake(query, browser))
    assert ("m", "k", False) == _fields(read_handshake(query, {"authorization": "Bearer k"}))
    beta = {"authorization": "Bearer k", "openai-beta": "realtime=v1"}
    assert (None, "k", True) == _fields(read_handshake({}, beta))
    old = {"sec-websocket-protocol": "realtime, openai-beta.realtime-v1"}
    assert ("m", None, True) == _fields(read_handshake(query, old))


def _fields(handshake: Any) -> tuple[Any, ...]:
    return handshake.model, handshake.key, handshake.is_beta


@pytest.mark.parametrize("is_beta", [False, True])
def test_beta_server_lets_both_headers_in(is_beta: bool) -> None:
    """The beta header is accepted and not needed."""
    handshake = Handshake(model="gpt-realtime-mini", key="k", is_beta=is_beta)
    check_handshake(service(dialect="beta"), handshake)


def test_old_models_are_there_on_a_beta_server_only() -> None:
    """The preview models are gone at a GA server."""
    handshake = Handshake(model="gpt-4o-realtime-preview", key="k")
    check_handshake(service(dialect="beta"), handshake)
    with pytest.raises(Refusal, match="is not supported in realtime mode"):
        check_handshake(service(), handshake)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"key": "bad"}, "invalid_api_key"),
        ({"model": None}, "missing_model"),
        ({"model": "gpt-4"}, "invalid_model"),
    ],
)
def test_beta_server_refuses_like_the_other(options: dict[str, Any], code: str) -> None:
    """Key and model are checked in both dialects."""
    handshake = Handshake(**{"model": "gpt-realtime", "key": "key-1", **options})
    with pytest.raises(Refusal) as caught:
        check_handshake(service(dialect="beta", api_key="key-1"), handshake)
    assert code == caught.value.code
