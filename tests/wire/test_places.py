"""Addresses, headers and subprotocols of a service, in its plain and its dated form."""

from __future__ import annotations

import pytest

from analysis.wire.places import Place

OPENAI = Place(base_url="https://api.openai.com/v1", api_key="secret")
DATED = Place(
    base_url="https://r.openai.azure.com/openai",
    api_key="secret",
    auth="api-key",
    api_version="2025-04-01-preview",
)


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("https://api.openai.com/v1", "wss://api.openai.com/v1/realtime?model=gpt-x"),
        ("http://127.0.0.1:8080/v1", "ws://127.0.0.1:8080/v1/realtime?model=gpt-x"),
        ("nonsense", "nonsense:///realtime?model=gpt-x"),
    ],
)
def test_the_socket_stands_below_the_base_url(base_url: str, address: str) -> None:
    """An address without a scheme stays one that no library opens."""
    assert address == Place(base_url=base_url, api_key="k").socket_address("realtime", "gpt-x")


def test_a_model_is_quoted_in_an_address() -> None:
    """A name with a slash or an ampersand stays one value."""
    address = OPENAI.socket_address("realtime", "a/b&c=d")
    assert "wss://api.openai.com/v1/realtime?model=a%2Fb%26c%3Dd" == address


def test_a_model_that_stands_in_the_body_is_not_in_the_address() -> None:
    """The Responses API over WebSocket has no query."""
    assert "wss://api.openai.com/v1/responses" == OPENAI.socket_address("responses", None)


def test_the_dated_form_names_version_and_deployment() -> None:
    """Azure's older addresses, as its own client builds them."""
    assert (
        "wss://r.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=d",
        "/deployments/d/chat/completions",
        "/responses",
        {"api-version": "2025-04-01-preview"},
    ) == (
        DATED.socket_address("realtime", "d"),
        DATED.path("/chat/completions", "d"),
        DATED.path("/responses", "d"),
        DATED.query,
    )


def test_the_key_goes_into_one_header() -> None:
    """Bearer or api-key, never both."""
    assert {"Authorization": "Bearer secret"} == OPENAI.socket_headers()
    assert {"api-key": "secret"} == DATED.socket_headers()


def test_organisation_project_and_user_are_named_where_set() -> None:
    """Empty ones are not sent."""
    place = Place(
        base_url="https://h/v1", api_key="k", organization="org", project="p", safety_identifier="u"
    )
    assert {
        "Authorization": "Bearer k",
        "OpenAI-Organization": "org",
        "OpenAI-Project": "p",
        "OpenAI-Safety-Identifier": "u",
    } == place.socket_headers()


def test_a_key_in_the_subprotocol_is_in_no_header() -> None:
    """For networks that strip headers from the handshake, as browsers do."""
    place = Place(
        base_url="https://h/v1",
        api_key="k",
        organization="o",
        project="p",
        is_key_in_subprotocol=True,
    )
    offered = ("realtime", "openai-insecure-api-key.k", "openai-organization.o", "openai-project.p")
    assert ({}, offered) == (place.socket_headers(), place.subprotocols())


def test_messages_name_the_host_and_never_the_key() -> None:
    """What cannot be read as an address is named as it was given."""
    assert ("api.openai.com", "odd") == (OPENAI.host, Place(base_url="odd", api_key="k").host)
    assert "secret" not in repr(OPENAI)
