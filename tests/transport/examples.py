"""Requests that the tests of this folder share."""

from __future__ import annotations

import json
from typing import Any

from analysis.records import Ask, Chunk, Item, Pack, Request
from analysis.wire.realtime import SessionSettings
from tests.wire.examples import SCHEMA as SCHEMA

SETTINGS = SessionSettings(
    model="gpt-realtime-2.1-mini",
    instructions="Label each chunk.",
    tool_name="set_labels",
    tool_description="Give the labels.",
    tool_parameters=SCHEMA,
)


def request(rid: str = "r1", *texts: str, schema: dict[str, Any] = SCHEMA) -> Request:
    """Return a request for these texts, one by default."""
    texts = texts or (f"text of {rid}",)
    chunks = [{"id": f"a{index}", "text": text} for index, text in enumerate(texts)]
    items = tuple(
        Item(ticket=index, chunk=Chunk(id=f"c{index}", text=text), tokens=4)
        for index, text in enumerate(texts)
    )
    return Request(
        request_id=rid,
        route="realtime",
        model="gpt-6-luna",
        pack=Pack(items=items, topic="cycling"),
        ask=Ask(
            instructions="Label each chunk. Answer with JSON only.",
            content=json.dumps({"topic": "cycling", "chunks": chunks}),
            schema_name="labels",
            schema=schema,
            max_output_tokens=80,
            tickets={f"a{index}": index for index in range(len(texts))},
            estimated_input_tokens=60,
        ),
        attempt=1,
    )
