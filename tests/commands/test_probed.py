"""The options of `check` name an endpoint and models."""

from __future__ import annotations

import pytest

from analysis.commands.probed import endpoint_finding, endpoint_of, models_of
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.errors import ConfigurationError
from analysis.settings import DEFAULT_MODELS


def test_the_local_service_lives_as_long_as_it_is_held() -> None:
    """Its endpoint is marked, and the line says simulated."""
    with endpoint_of({"local": True, "base_url": None}) as endpoint:
        assert EMBEDDED == endpoint.host
        assert "(simulated)" in endpoint_finding(endpoint).message


def test_an_address_is_taken_as_it_is() -> None:
    """The key of it is not shown."""
    address = "http://127.0.0.1:9/v1"
    with endpoint_of({"local": False, "base_url": address}) as endpoint:
        assert address == endpoint.base_url


def test_without_need_there_is_no_endpoint() -> None:
    """The offline route sends nothing."""
    with endpoint_of({"local": False, "base_url": None}, is_needed=False) as endpoint:
        assert Endpoint.none() == endpoint


def test_two_endpoints_at_once_are_refused() -> None:
    """One of the options has to go."""
    options = {"local": True, "base_url": "http://127.0.0.1:9/v1"}
    with pytest.raises(ConfigurationError, match="exclude each other"), endpoint_of(options):
        raise AssertionError("there is no endpoint")


def test_models_are_the_defaults_and_what_is_named() -> None:
    """A route that is not probed cannot be named."""
    assert DEFAULT_MODELS | {"rest": "m"} == models_of(("rest=m",), ("rest",))
    with pytest.raises(ConfigurationError, match="Write ROUTE=NAME"):
        models_of(("realtime=m",), ("rest",))
