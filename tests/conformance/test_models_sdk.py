"""Models as the vendor's SDK sees them."""

from __future__ import annotations

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Model

from analysis.simulator.server import LocalService, start_in_thread
from tests.conformance.counted import checked
from tests.simulator.examples import service


@pytest.mark.asyncio
async def test_models_are_listed_and_looked_up() -> None:
    """Every model of the list can be asked for and passes the SDK's strict type."""
    async with (
        LocalService(service()) as local,
        AsyncOpenAI(base_url=local.base_url, api_key="k", max_retries=0) as sdk,
    ):
        listed = [model async for model in sdk.models.list()]
        for model in listed:
            Model.model_validate(model.to_dict(), strict=True)
            assert model == await sdk.models.retrieve(model.id)
        with pytest.raises(openai.NotFoundError) as caught:
            await sdk.models.retrieve("gpt-4")
    assert "model_not_found" == caught.value.code
    dates = {model.id: model.shutdown_date for model in listed}
    assert ("2027-01-14", None) == (dates["gpt-4o-mini"], dates["gpt-6-luna"])
    checked("models", "to client", 2 * len(listed) + 1)


def test_sync_client_names_organization_and_project() -> None:
    """The headers that the SDK sends come back."""
    with (
        start_in_thread(service()) as base_url,
        OpenAI(
            base_url=base_url, api_key="k", organization="org-1", project="proj-1", max_retries=0
        ) as sdk,
    ):
        raw = sdk.models.with_raw_response.list()
    named = (raw.headers["openai-organization"], raw.headers["openai-project"])
    assert ("org-1", "proj-1") == named
    checked("models", "to client")
