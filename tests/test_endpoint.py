"""An address or key that cannot be used is refused before anything is sent, without quoting it."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.endpoint import EMBEDDED, NO_KEY, VARIABLES, Endpoint
from analysis.errors import ConfigurationError
from analysis.semantic_function import SemanticRestAnalyzer
from analysis.semantic_function_realtime import SemanticRealtimeAnalyzer

KEY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the variables of whoever runs the tests."""
    for name in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)


def test_a_key_alone_goes_to_openai() -> None:
    """The default address is used."""
    found = Endpoint.find(api_key=KEY)
    assert ("https://api.openai.com/v1", KEY, "api.openai.com") == (
        found.base_url,
        found.api_key,
        found.host,
    )


def test_an_address_alone_needs_no_key() -> None:
    """Services of one's own often have none; something is sent in its place."""
    found = Endpoint.find(base_url="http://127.0.0.1:8000/v1/")
    assert ("http://127.0.0.1:8000/v1", NO_KEY, "127.0.0.1:8000") == (
        found.base_url,
        found.api_key,
        found.host,
    )


def test_without_key_and_address_both_cures_are_named() -> None:
    """Nothing is labelled by rules unless someone asked for it."""
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY.*OPENAI_BASE_URL.*--local"):
        Endpoint.find(api_key="", base_url="")


def test_arguments_beat_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables count where there is no argument."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-variable")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://variable.example/v1")
    found = Endpoint.find()
    assert ("sk-variable", "variable.example") == (found.api_key, found.host)
    found = Endpoint.find(api_key=KEY, base_url="https://argument.example/v1")
    assert (KEY, "argument.example") == (found.api_key, found.host)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://gateway.example/v1", "gateway.example"),
        ("https://gateway.example:8443/v1", "gateway.example:8443"),
        ("HTTPS://Gateway.Example/v1", "gateway.example"),
        ("http://localhost:1234", "localhost:1234"),
        ("http://127.0.0.2/v1", "127.0.0.2"),
        ("http://[::1]:9000/v1", "[::1]:9000"),
        ("https://[2001:db8::1]/v1", "[2001:db8::1]"),
    ],
)
def test_addresses_that_may_be_used(address: str, host: str) -> None:
    """https:// anywhere, http:// on this machine."""
    assert host == Endpoint.find(api_key=KEY, base_url=address).host


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://gateway.example/v1", "unprotected"),
        ("http://localhost.example/v1", "unprotected"),
        ("http://0.0.0.0:80/v1", "unprotected"),
        ("ftp://gateway.example/v1", "must begin with"),
        ("wss://gateway.example/v1", "must begin with"),
        ("ws://127.0.0.1:80/v1", "WebSocket is made from it"),
        ("gateway.example/v1", "must begin with"),
        ("https://api.openai.com", "api.openai.com/v1.$"),
        ("https://eu.api.openai.com/", "must end with /v1"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1.$"),
        ("https://gateway.example/v1/responses/", "Leave /responses out"),
        ("https://gateway.example/realtime", "ends with an endpoint"),
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1.$"),
        ("https://r.services.ai.azure.com/models/x", "must end with /openai/v1"),
        ("https://r.openai.azure.com/openai/deployments/d", "must end with /openai/v1"),
        ("https://r.openai.azure.com/openai", "or set OPENAI_API_VERSION"),
        ("https:///v1", "must begin with"),
        ("https://gateway.example:port/v1", "cannot be read"),
        ("https://gateway.example:99999/v1", "cannot be read"),
        ("https://[::1/v1", "cannot be read"),
        ("https://gate way.example/v1", "a space or a character"),
        ("https://gateway.example/v1\n", "a space or a character"),
        ("https://gäteway.example/v1", "a space or a character"),
    ],
)
def test_addresses_that_may_not_be_used(address: str, words: str) -> None:
    """Each is refused with what is wrong about it."""
    with pytest.raises(ConfigurationError, match=words):
        Endpoint.find(api_key=KEY, base_url=address)


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{KEY}@gateway.example/v1",
        f"https://{KEY}@gateway.example/v1",
        f"ftp://user:{KEY}@gateway.example/v1",
        f"https://user:{KEY}@[bad/v1",
        f"https://gateway.example/v1?key={KEY}",
        f"https://gateway.example/v1#{KEY}",
        "http://127.0.0.1@gateway.example/v1",
    ],
)
def test_an_address_may_hold_no_secret_and_the_message_does_not_repeat_it(address: str) -> None:
    """Also when something else is wrong with it, too."""
    with pytest.raises(ConfigurationError, match="may hold no user name") as caught:
        Endpoint.find(base_url=address)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-a b", "sk-a\n", "sk-ключ", "\tsk-a"])
def test_a_key_that_was_copied_badly_is_refused_unquoted(key: str) -> None:
    """A header with it would fail later, in a message that shows it."""
    with pytest.raises(ConfigurationError, match="Copy it again") as caught:
        Endpoint.find(api_key=key)
    assert key not in str(caught.value)


def test_the_account_is_equal_for_equal_key_and_host_only() -> None:
    """It tells nothing about the key, and neither does the representation."""
    one = Endpoint.find(api_key=KEY, base_url="https://a.example/v1")
    same = Endpoint.find(api_key=KEY, base_url="https://a.example/other")
    others = [
        Endpoint.find(api_key=KEY, base_url="https://b.example/v1"),
        Endpoint.find(api_key=KEY + "x", base_url="https://a.example/v1"),
        Endpoint.none(),
    ]
    assert one.account == same.account
    assert 4 == len({one.account, *(other.account for other in others)})
    assert KEY not in repr(one) + one.account


def test_limits_are_those_of_key_organization_and_project() -> None:
    """A service in this process, and none at all, have no limits that others may use."""
    found = Endpoint.find(api_key=KEY)
    others = [
        Endpoint.find(api_key=KEY, organization="org-1"),
        Endpoint.find(api_key=KEY, project="org-1"),
        Endpoint.find(api_key=f"{KEY}1"),
    ]
    assert 4 == len({found.identity, *(other.identity for other in others)})
    assert found.has_limits
    assert not Endpoint.none().has_limits
    assert not Endpoint.find(api_key=KEY, host=EMBEDDED).has_limits


def test_the_local_service_has_a_name_of_its_own() -> None:
    """Its port differs from run to run, the name in ledgers does not."""
    found = Endpoint.find(api_key="local", base_url="http://127.0.0.1:5000/v1", host=EMBEDDED)
    assert "embedded" == found.host


@pytest.mark.parametrize(
    ("address", "auth"),
    [
        ("https://api.openai.com/v1", "bearer"),
        ("https://eu.api.openai.com/v1", "bearer"),
        ("https://r.openai.azure.com/openai/v1", "api-key"),
        ("https://r.cognitiveservices.azure.com/openai/v1", "api-key"),
        ("https://r.services.ai.azure.com/api/projects/p/openai/v1", "api-key"),
        ("https://openai.azure.com.example/v1", "bearer"),
    ],
)
def test_the_key_goes_where_the_host_wants_it(
    monkeypatch: pytest.MonkeyPatch, address: str, auth: str
) -> None:
    """By its name; a variable and an argument beat that, for tokens of Entra ID and gateways."""
    assert auth == Endpoint.find(api_key=KEY, base_url=address).auth
    monkeypatch.setenv("SEMFN_AUTH", "api-key")
    assert "api-key" == Endpoint.find(api_key=KEY, base_url=address).auth
    assert "bearer" == Endpoint.find(api_key=KEY, base_url=address, auth="bearer").auth


def test_the_dated_form_of_azure_needs_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable counts for such an address only, since it may be meant for other programs."""
    monkeypatch.setenv("OPENAI_API_VERSION", "2025-04-01-preview")
    dated = Endpoint.find(api_key=KEY, base_url="https://r.openai.azure.com/openai")
    plain = Endpoint.find(api_key=KEY, base_url="https://r.openai.azure.com/openai/v1")
    assert ("2025-04-01-preview", None) == (dated.api_version, plain.api_version)
    with pytest.raises(ConfigurationError, match="Leave it out"):
        Endpoint.find(api_key=KEY, api_version="2025-04-01-preview")


def test_everything_reaches_the_transports(monkeypatch: pytest.MonkeyPatch) -> None:
    """From variables, and from arguments, which beat them."""
    names = ("organization", "project", "safety_identifier")
    for name in names:
        monkeypatch.setenv(VARIABLES[name], f"{name}-variable")
    monkeypatch.setenv("SEMFN_KEY_IN_SUBPROTOCOL", "1")
    place = Endpoint.find(api_key=KEY, project="argument").place
    assert ("organization-variable", "argument", "safety_identifier-variable", True) == (
        place.organization,
        place.project,
        place.safety_identifier,
        place.is_key_in_subprotocol,
    )
    assert (KEY, "https://api.openai.com/v1") == (place.api_key, place.base_url)
    is_key_in_subprotocol = Endpoint.find(api_key=KEY, is_key_in_subprotocol=False)
    assert not is_key_in_subprotocol.place.is_key_in_subprotocol


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auth": "basic"}, "bearer or api-key"),
        ({"organization": "org a"}, "OPENAI_ORG_ID"),
        ({"project": "p\n"}, "OPENAI_PROJECT_ID"),
        ({"safety_identifier": "x" * 65}, "65 characters"),
        ({"safety_identifier": "имя"}, "SEMFN_SAFETY_IDENTIFIER"),
        ({"api_key": "sk/with=slash", "is_key_in_subprotocol": True}, "no subprotocol takes"),
    ],
)
def test_values_that_no_request_can_carry_are_refused(options: dict[str, Any], words: str) -> None:
    """Each with what is wrong, and without the key."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        Endpoint.find(**({"api_key": KEY} | options))
    assert "slash" not in str(caught.value)


@pytest.mark.parametrize(("said", "is_on"), [("", False), ("0", False), ("True", True)])
def test_the_switch_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, said: str, is_on: bool
) -> None:
    """What is neither on nor off is refused."""
    monkeypatch.setenv("SEMFN_KEY_IN_SUBPROTOCOL", said)
    assert is_on == Endpoint.find(api_key=KEY).is_key_in_subprotocol
    monkeypatch.setenv("SEMFN_KEY_IN_SUBPROTOCOL", "maybe")
    with pytest.raises(ConfigurationError, match="1 or 0"):
        Endpoint.find(api_key=KEY)


@pytest.mark.parametrize("kind", [SemanticRestAnalyzer, SemanticRealtimeAnalyzer])
def test_analyzers_take_an_endpoint(
    kind: type[SemanticRestAnalyzer] | type[SemanticRealtimeAnalyzer],
) -> None:
    """Then neither key nor address is looked for."""
    endpoint = Endpoint.find(api_key=KEY, base_url="https://gateway.example/v1", auth="api-key")
    assert "gateway.example" == kind(endpoint=endpoint).run_key["endpoint"]


@pytest.mark.parametrize(
    ("base_url", "host", "key_host"),
    [
        ("https://api.openai.com/v1", "api.openai.com", "api.openai.com"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000", "127.0.0.1"),
        ("http://[::1]:8000/v1", "[::1]:8000", "[::1]"),
        ("http://[::1]/v1", "[::1]", "[::1]"),
    ],
)
def test_keys_of_rows_have_the_host_without_its_port(
    base_url: str, host: str, key_host: str
) -> None:
    """One service may be reached over several; messages name the port."""
    endpoint = Endpoint.find(api_key="k", base_url=base_url)
    assert (host, key_host) == (endpoint.host, endpoint.key_host)
