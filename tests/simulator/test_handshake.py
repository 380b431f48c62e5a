"""Behaviour of the opening request of a Realtime connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.simulator.addresses import find_address
from analysis.simulator.handshake import (
    Handshake,
    check_azure,
    check_handshake,
    dialect_of,
    read_handshake,
)
from analysis.simulator.profile import PROFILE
from analysis.simulator.refusals import Refusal
from tests.simulator.examples import connect, events, kinds, send, service


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
    check_handshake(service(dialect="beta"), handshake, now=0.0)


def test_old_models_are_there_on_a_beta_server_only() -> None:
    """The preview models are gone at a GA server."""
    handshake = Handshake(model="gpt-4o-realtime-preview", key="k")
    check_handshake(service(dialect="beta"), handshake, now=0.0)
    with pytest.raises(Refusal, match="is not supported in realtime mode"):
        check_handshake(service(), handshake, now=0.0)


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
        check_handshake(service(dialect="beta", api_key="key-1"), handshake, now=0.0)
    assert code == caught.value.code


def test_all_subprotocols_of_browsers_are_taken() -> None:
    """Organization and project may be named there, too."""
    offered = (
        "realtime, openai-insecure-api-key.k, openai-organization.o, openai-project.p, "
        "openai-beta.realtime-v1"
    )
    handshake = read_handshake({"model": "m"}, {"sec-websocket-protocol": offered})
    assert ("m", "k", True) == _fields(handshake)


AZURE = {
    "v1": ("/openai/v1/realtime", {"model": "my-deployment"}),
    "dated": (
        "/openai/realtime",
        {"api-version": "2025-04-01-preview", "deployment": "my-deployment"},
    ),
}


def azure(form: str, **query: str) -> Handshake:
    """Return what an opening at an address of Azure says."""
    path, fixed = AZURE[form]
    full = {name: text for name, text in {**fixed, **query}.items() if text}
    return read_handshake(full, {"api-key": "k"}, find_address(path, full))


@pytest.mark.parametrize(("form", "dialect"), [("v1", "ga"), ("dated", "beta")])
@pytest.mark.parametrize("own", ["ga", "beta"])
def test_address_chooses_the_dialect(form: str, dialect: str, own: str) -> None:
    """Azure's forms have a dialect each, whatever the service speaks elsewhere."""
    account, handshake = service(dialect=own), azure(form)
    check_azure(account, handshake, now=0.0)
    assert "my-deployment" == handshake.model
    assert service(dialect=dialect).dialect is dialect_of(account, handshake)
    assert service(dialect=own).dialect is dialect_of(account, Handshake(model="m", key="k"))


def test_connection_of_the_dated_form_speaks_beta() -> None:
    """Greeting, update and answer are those of the beta dialect on a GA service."""
    session = connect(service(), model="my-deployment", dialect="beta", is_azure=True)
    greeting = [output for output in session.poll(now=0.0) if isinstance(output, bytes)]
    assert [True, True] == [b"session.created" in greeting[0], b"modalities" in greeting[0]]
    assert b"conversation.created" in greeting[1]
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
    send(session, "session.update", session={"modalities": ["text"]})
    send(session, "conversation.item.create", item=item)
    told = b"".join(o for o in send(session, "response.create") if isinstance(o, bytes))
    assert b'"response.text.delta"' in told
    assert b"output_text" not in told


@pytest.mark.parametrize("form", list(AZURE))
def test_azure_refuses_the_opening(form: str) -> None:
    """A missing model, and one that is no deployment, are a 400 with the code as it is spelled."""
    strict = service(profile=replace(PROFILE, is_any_deployment_good=False))
    field = "model" if form == "v1" else "deployment"
    for account, changes in (
        (service(), {field: ""}),
        (strict, {}),
        (strict, {field: "gpt-6-luna"}),
    ):
        with pytest.raises(Refusal) as caught:
            check_azure(account, azure(form, **changes), now=0.0)
        assert (400, "OpperationNotSupported") == (caught.value.status, caught.value.code)
    check_azure(strict, azure(form, **{field: "gpt-realtime"}), now=0.0)
    with pytest.raises(Refusal) as caught:
        check_azure(service(api_key="other"), azure(form), now=0.0)
    assert 401 == caught.value.status


def test_model_past_its_date_is_gone() -> None:
    """With the switch a model that is shut down is no Realtime model from that day on."""
    day_s = 1_800_403_200.0
    handshake = Handshake(model="gpt-realtime", key="k")
    strict = replace(PROFILE, is_shutdown_enforced=True)
    check_handshake(service(epoch_s=day_s), handshake, now=0.0)
    account = service(epoch_s=day_s, profile=strict)
    check_handshake(account, handshake, now=-1.0)
    with pytest.raises(Refusal) as caught:
        check_handshake(account, handshake, now=0.0)
    assert "invalid_model" == caught.value.code


def test_ephemeral_key_is_good_for_its_time() -> None:
    """It opens Realtime connections until it expires, beside the key of the account."""
    account = service(api_key="key-1")
    account.storage.add_secret("ek_1", 600.0)
    handshake = Handshake(model="gpt-realtime", key="ek_1")
    check_handshake(account, handshake, now=599.0)
    with pytest.raises(Refusal) as caught:
        check_handshake(account, handshake, now=600.0)
    assert "invalid_api_key" == caught.value.code
    session = connect(account, key="ek_1")
    assert ["session.created"] == kinds(session.poll(now=0.0))
    assert [] == events(session.poll(now=1.0))
