"""The forms of Azure as the vendor's SDK sees them, and the ways into a Realtime connection."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI
from openai.types.chat import ChatCompletion
from openai.types.realtime import ClientSecretCreateResponse
from openai.types.responses import Response
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from analysis.simulator.profile import PROFILE
from analysis.simulator.server import LocalService, start_in_thread
from analysis.simulator.service import Service
from tests.conformance.counted import checked
from tests.simulator.beta_shapes import beta_events
from tests.simulator.examples import body, chat, message, pack, server_events, service

VERSION = "2025-04-01-preview"


def root(local: LocalService) -> str:
    """Return the address of the service without its path."""
    return local.base_url.removesuffix("/v1")


def azure(endpoint: str) -> AsyncAzureOpenAI:
    """Return the SDK's client for the dated form; of its own accord it would ask for wss."""
    return AsyncAzureOpenAI(
        azure_endpoint=endpoint,
        api_version=VERSION,
        api_key="k",
        max_retries=0,
        websocket_base_url=endpoint.replace("http", "ws") + "/openai",
    )


@pytest.mark.asyncio
async def test_dated_form_is_served() -> None:
    """Chat goes to the deployment in the path, Responses to the one in the body."""
    async with (
        LocalService(service(api_key="k")) as local,
        azure(root(local)) as sdk,
    ):
        answer = await sdk.chat.completions.create(**chat(model="my-own"))
        response = await sdk.responses.create(**body(model="my-own"))
        models = [model.id async for model in sdk.models.list()]
    ChatCompletion.model_validate(answer.to_dict(), strict=True)
    Response.model_validate(response.to_dict(), strict=True)
    assert ("digest-labels", True) == (answer.model, "gpt-6-luna" in models)
    checked("azure dated", "to service", 2)
    checked("azure dated", "to client", 3)


def test_deployment_of_the_client_and_tokens() -> None:
    """The sync client may name its deployment once, and use a token instead of a key."""
    with start_in_thread(service(api_key="token")) as base_url:
        endpoint = base_url.removesuffix("/v1")
        sdk = AzureOpenAI(
            azure_endpoint=endpoint,
            azure_deployment="my-own",
            api_version=VERSION,
            azure_ad_token="token",
            max_retries=0,
        )
        with sdk:
            answer = sdk.chat.completions.create(**chat())
    assert "digest-labels" == answer.model
    checked("azure dated", "to service")
    checked("azure dated", "to client")


@pytest.mark.asyncio
async def test_v1_form_is_served() -> None:
    """The plain client does with the base URL of Azure what it does elsewhere."""
    async with (
        LocalService(service(api_key="k")) as local,
        AsyncOpenAI(base_url=f"{root(local)}/openai/v1", api_key="k", max_retries=0) as sdk,
    ):
        response = await sdk.responses.create(**body(model="my-own"))
        answer = await sdk.chat.completions.create(**chat(model="my-own"))
        async with sdk.realtime.connect(model="my-own") as connection:
            created = await connection.recv()
            await connection.session.update(
                session={"type": "realtime", "output_modalities": ["text"]}
            )
            await connection.conversation.item.create(item=message(pack("one")))  # type: ignore[arg-type]
            await connection.response.create()
            frames = [created]
            while frames[-1].type != "response.done":
                frames.append(await connection.recv())
    for frame in frames:
        server_events.validate_python(frame.to_dict(), strict=True)
    Response.model_validate(response.to_dict(), strict=True)
    ChatCompletion.model_validate(answer.to_dict(), strict=True)
    assert "response.output_text.delta" in {frame.type for frame in frames}
    checked("azure v1", "to service", 5)
    checked("azure v1", "to client", len(frames) + 2)


async def turn(socket: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for one answer by hand and return all frames."""
    frames = [json.loads(await socket.recv())]
    for event in (
        {"type": "session.update", "session": settings},
        {"type": "conversation.item.create", "item": message(pack("one"))},
        {"type": "response.create"},
    ):
        await socket.send(json.dumps(event))
    while frames[-1]["type"] != "response.done":
        frames.append(json.loads(await socket.recv()))
    return frames


@pytest.mark.asyncio
async def test_dated_realtime_speaks_beta() -> None:
    """The address decides, with neither header nor option, on a service that speaks GA."""
    url = f"/openai/realtime?api-version={VERSION}&deployment=my-own"
    async with (
        LocalService(service(api_key="k")) as local,
        connect(
            root(local).replace("http", "ws") + url,
            additional_headers={"api-key": "k"},
            proxy=None,
        ) as socket,
    ):
        frames = await turn(socket, {"modalities": ["text"]})
    beta_events([json.dumps(frame).encode() for frame in frames])
    assert {"conversation.created", "response.text.delta"} <= {frame["type"] for frame in frames}
    checked("azure dated realtime", "to client", len(frames))


@pytest.mark.asyncio
async def test_client_for_azure_opens_realtime() -> None:
    """The SDK builds the dated address itself and is greeted in beta."""
    async with (
        LocalService(service(api_key="k")) as local,
        azure(root(local)) as sdk,
        sdk.realtime.connect(model="my-own") as connection,
    ):
        (greeting,) = beta_events([await connection.recv_bytes()])
    assert ("session.created", True) == (greeting["type"], "modalities" in greeting["session"])
    checked("azure dated realtime", "to client")


@pytest.mark.asyncio
async def test_azure_refuses_the_upgrade() -> None:
    """A name that is no deployment is an HTTP 400 with the code as Azure spells it."""
    account = service(profile=replace(PROFILE, is_any_deployment_good=False))
    async with LocalService(account) as local:
        url = f"{root(local)}/openai/v1/realtime?model=my-own".replace("http", "ws")
        with pytest.raises(InvalidStatus) as caught:
            await connect(url, additional_headers={"api-key": "k"}, proxy=None)
        sdk = AsyncOpenAI(base_url=f"{root(local)}/openai/v1", api_key="k", max_retries=0)
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.create(**body(model="my-own"))
        await sdk.close()
    response = caught.value.response
    assert (400, b"OpperationNotSupported") == (
        response.status_code,
        json.loads(response.body or b"{}")["error"]["code"].encode(),
    )
    checked("azure errors", "to client", 2)


async def greeted(account: Service, protocols: list[str], **options: Any) -> tuple[str | None, str]:
    """Open a connection as a browser does; return the subprotocol and the first frame's type."""
    async with (
        LocalService(account) as local,
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{local.base_url}/realtime?model=gpt-realtime", protocols=protocols, **options
        ) as socket,
    ):
        frame = await socket.receive_json()
        return socket.protocol, frame["type"]


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_browsers_bring_their_key_in_a_subprotocol(dialect: str) -> None:
    """The service selects `realtime` and takes the key from either place."""
    protocols = ["realtime", "openai-insecure-api-key.k", "openai-organization.o"]
    protocols += ["openai-project.p", *(["openai-beta.realtime-v1"] if dialect == "beta" else [])]
    account = service(api_key="k", dialect=dialect)
    assert ("realtime", "session.created") == await greeted(account, protocols)
    headers = {"authorization": "Bearer k"}
    account = service(api_key="k", dialect=dialect)
    assert ("realtime", "session.created") == await greeted(account, ["realtime"], headers=headers)
    assert ("realtime", "error") == await greeted(service(api_key="k"), ["realtime"])


@pytest.mark.asyncio
async def test_ephemeral_keys_open_connections() -> None:
    """The SDK makes one; a client that knows only this key is greeted."""
    async with LocalService(service(api_key="k")) as local:
        async with AsyncOpenAI(base_url=local.base_url, api_key="k", max_retries=0) as sdk:
            raw = await sdk.realtime.client_secrets.with_raw_response.create(
                session={"type": "realtime", "output_modalities": ["text"]},
                expires_after={"anchor": "created_at", "seconds": 60},
            )
        secret = ClientSecretCreateResponse.model_validate(json.loads(raw.content))
        async with (
            AsyncOpenAI(base_url=local.base_url, api_key=secret.value, max_retries=0) as browser,
            browser.realtime.connect(model="gpt-realtime") as connection,
        ):
            greeting = await connection.recv()
    assert "session.created" == greeting.type
    checked("client secrets", "to service")
    checked("client secrets", "to client", 2)
