"""The offline route: an answerer that is called in the process.

io by its place among the transports, though it touches no network. dispatch calls it; whoever
starts the run hands in the answerer, such as the rule labeller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from analysis.errors import LocalProtocolError
from analysis.records import Request, TextReply

Labeller: TypeAlias = Callable[[Sequence[str], str | None], Sequence[Sequence[str]]]
"""Takes the texts of one request, in order, and their topic; returns the labels of each."""

PlacedLabeller: TypeAlias = Callable[
    [Sequence[str], str | None, str | None], Sequence[Sequence[str]]
]
"""As `Labeller`; takes also where the texts stand in their document: `12-21 of 80`, or None."""


class _Chunk(msgspec.Struct):
    id: str
    text: str


class _Content(msgspec.Struct):
    chunks: list[_Chunk]
    topic: str | None = None
    position: str | None = None


_content = msgspec.json.Decoder(_Content).decode


class OfflineTransport:
    """Answers requests by calling a function; every reply says so by its model.

    Args:
        label: Called in the calling thread, once for each request.
        model: Reported as the model of every reply.
        label_placed: Called instead of `label` for requests that say where their texts stand.
    """

    route = "offline"

    def __init__(
        self,
        label: Labeller,
        model: str = "offline-rules",
        *,
        label_placed: PlacedLabeller | None = None,
    ) -> None:
        self._label = label
        self._label_placed = label_placed
        self._model = model

    async def open(self) -> None:
        """Do nothing: there is nothing to connect."""

    async def ask(self, request: Request) -> TextReply:
        """Return labels for the chunks of the request, in the shape of its schema.

        Raises:
            LocalProtocolError: If the ask is not of the shape that this route reads, or the
                labeller did not return one list of labels for each text.
        """
        list_name, labels_name = _names(request.ask.schema)
        try:
            content = _content(request.ask.content)
        except msgspec.MsgspecError as error:
            raise LocalProtocolError(f"The content of an ask is not readable: {error}") from error
        texts = [chunk.text for chunk in content.chunks]
        if content.position is None or self._label_placed is None:
            found = self._label(texts, content.topic)
        else:
            found = self._label_placed(texts, content.topic, content.position)
        if len(found) != len(content.chunks):
            raise LocalProtocolError(
                f"The labeller answered {len(content.chunks)} texts with {len(found)} answers."
            )
        answers = [
            {"id": chunk.id, labels_name: list(labels)}
            for chunk, labels in zip(content.chunks, found, strict=True)
        ]
        return TextReply(text=msgspec.json.encode({list_name: answers}).decode(), model=self._model)

    async def close(self) -> None:
        """Do nothing: there is nothing to end."""


def _names(schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of the list in the answer and of the labels in each of its items."""
    list_name = _array_property(schema)
    return list_name, _array_property(schema["properties"][list_name]["items"])


def _array_property(schema: Mapping[str, Any]) -> str:
    arrays = [
        name for name, field in schema.get("properties", {}).items() if field.get("type") == "array"
    ]
    if len(arrays) != 1:
        raise LocalProtocolError(
            f"The offline route needs one array in each level of the schema, not {len(arrays)}."
        )
    return str(arrays[0])
