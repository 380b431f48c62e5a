"""Behaviour of the forms of URLs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.simulator.addresses import Address, find_address, served_model
from analysis.simulator.profile import PROFILE
from analysis.simulator.refusals import Refusal
from tests.simulator.examples import service

VERSION = {"api-version": "2025-04-01-preview"}


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1/responses", {}, Address(path="/v1/responses")),
        ("/v1/models", VERSION, Address(path="/v1/models")),
        (
            "/openai/v1/chat/completions",
            {},
            Address(path="/v1/chat/completions", is_azure=True, dialect="ga"),
        ),
        (
            "/openai/responses",
            VERSION,
            Address(path="/v1/responses", is_azure=True, dialect="beta"),
        ),
        (
            "/openai/deployments/my own/chat/completions",
            VERSION,
            Address(
                path="/v1/chat/completions", is_azure=True, dialect="beta", deployment="my own"
            ),
        ),
        (
            "/openai/realtime",
            {**VERSION, "deployment": "d"},
            Address(path="/v1/realtime", is_azure=True, dialect="beta", deployment="d"),
        ),
        ("/openai/responses", {}, Address(path="/openai/responses")),
        ("/openai", VERSION, Address(path="/openai")),
    ],
)
def test_urls_are_read(path: str, query: dict[str, str], expected: Address) -> None:
    """The dated form needs its version; without one the address is unknown."""
    assert expected == find_address(path, query)


def test_any_name_is_a_deployment() -> None:
    """A known model stands for itself, another name for the model of the service."""
    names = ["gpt-6-luna", "gpt-realtime", "digest-labels", "my-own"]
    assert [*names[:3], "digest-labels"] == [served_model(service(), name) for name in names]


def test_deployments_can_be_checked() -> None:
    """With the switch off only the names of models are deployments."""
    account = service(profile=replace(PROFILE, is_any_deployment_good=False))
    assert "gpt-6-luna" == served_model(account, "gpt-6-luna")
    with pytest.raises(Refusal) as caught:
        served_model(account, "my-own")
    assert (404, "DeploymentNotFound") == (caught.value.status, caught.value.code)
