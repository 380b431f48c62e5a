"""The offline route."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from analysis.errors import LocalProtocolError
from analysis.records import Usage
from analysis.transport.offline import OfflineTransport

from .examples import SCHEMA, request


def by_length(texts: Sequence[str], topic: str | None) -> list[list[str]]:
    """Label a short text as an example."""
    assert "cycling" == topic
    return [["example"] if len(text) < 5 else ["key_thesis", "example"] for text in texts]


@pytest.mark.asyncio
async def test_an_answer_has_the_shape_of_the_schema() -> None:
    """Ids stand beside the labels of their own text; nothing is billed."""
    transport = OfflineTransport(by_length)
    await transport.open()
    reply = await transport.ask(request("r1", "tiny", "a longer text"))
    await transport.close()
    expected = [
        {"id": "a0", "labels": ["example"]},
        {"id": "a1", "labels": ["key_thesis", "example"]},
    ]
    assert {"answers": expected} == json.loads(reply.text)
    assert ("offline-rules", Usage(), False) == (reply.model, reply.usage, reply.is_cut)


@pytest.mark.asyncio
async def test_property_names_come_from_the_schema() -> None:
    """The route reads the shape as any service would."""
    text = json.dumps(SCHEMA).replace('"answers"', '"found"').replace('"labels"', '"functions"')
    reply = await OfflineTransport(by_length, model="rules").ask(
        request("r1", "tiny", schema=json.loads(text))
    )
    assert {"found": [{"id": "a0", "functions": ["example"]}]} == json.loads(reply.text)


@pytest.mark.parametrize("schema", [{}, {"properties": {"a": {"type": "string"}}}])
@pytest.mark.asyncio
async def test_a_schema_of_another_shape_is_our_own_mistake(schema: dict[str, Any]) -> None:
    """The route says what it needs."""
    with pytest.raises(LocalProtocolError):
        await OfflineTransport(by_length).ask(request("r1", schema=schema))


@pytest.mark.asyncio
async def test_content_of_another_shape_is_our_own_mistake() -> None:
    """The route does not guess what the chunks are."""
    asked = request()
    with pytest.raises(LocalProtocolError):
        await OfflineTransport(by_length).ask(replace(asked, ask=replace(asked.ask, content="x")))


@pytest.mark.asyncio
async def test_a_labeller_that_misses_a_text_is_noticed() -> None:
    """Answers are never shifted onto other texts."""
    transport = OfflineTransport(lambda texts, topic: [["example"]])
    with pytest.raises(LocalProtocolError):
        await transport.ask(request("r1", "one", "two"))


def by_place(texts: Sequence[str], topic: str | None, position: str | None) -> list[list[str]]:
    """Label by where the texts stand."""
    return [[str(position)] for _ in texts]


@pytest.mark.asyncio
async def test_the_place_in_the_document_reaches_a_labeller_that_wants_it() -> None:
    """Without one, and for a labeller without use for it, texts and topic are all."""
    asked = request("r1", "tiny")
    content = json.loads(asked.ask.content) | {"position": "12 of 80"}
    placed = replace(asked, ask=replace(asked.ask, content=json.dumps(content)))
    transport = OfflineTransport(by_length, label_placed=by_place)
    for question, expected in ((asked, "example"), (placed, "12 of 80")):
        answer = json.loads((await transport.ask(question)).text)
        assert [expected] == answer["answers"][0]["labels"]
    plain = json.loads((await OfflineTransport(by_length).ask(placed)).text)
    assert ["example"] == plain["answers"][0]["labels"]
