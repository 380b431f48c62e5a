"""A transport that gives requests each other's answers, to show that such a thing is found.

Tests put it around a real transport.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from analysis.records import ChoiceReply, Reply, Request, TextReply
from analysis.transport import Transport

Exchange = Callable[[Request, Reply, Request, Reply], tuple[Reply, Reply]]


class Crossing:
    """A transport in which the first answers are exchanged between pairs of requests.

    Attributes:
        left: Under `answers`, how many are still to be exchanged, by all that share this counter.
        exchanged: Ids of the chunks whose request got another's answer.
    """

    def __init__(self, inner: Transport, *, left: Counter[str], exchange: Exchange) -> None:
        """Put a crossing around a transport.

        Args:
            inner: Asked for every answer.
            left: See the class.
            exchange: Makes of two requests and their replies what each of them gets.
        """
        self.route = inner.route
        self.left = left
        self.exchanged: list[str] = []
        self._inner = inner
        self._exchange = exchange
        self._first: tuple[Request, Reply, asyncio.Future[Reply]] | None = None

    async def open(self) -> None:
        """Open the route behind."""
        await self._inner.open()

    async def close(self) -> None:
        """Close the route behind."""
        await self._inner.close()

    async def ask(self, request: Request) -> Reply:
        """Ask, and exchange the answer with that of the next request."""
        reply = await self._inner.ask(request)
        if not self.left["answers"]:
            return reply
        self.left["answers"] -= 1
        self.exchanged += [item.chunk.id for item in request.pack.items]
        if self._first is None:
            waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            self._first = (request, reply, waiting)
            return await waiting
        other, earlier, waiting = self._first
        self._first = None
        for_other, for_this = self._exchange(other, earlier, request, reply)
        waiting.set_result(for_other)
        return for_this


def whole(_: Request, one: Reply, __: Request, other: Reply) -> tuple[Reply, Reply]:
    """Exchange the answers as they are."""
    return other, one


def labels_only(asked: Request, one: Reply, also: Request, other: Reply) -> tuple[Reply, Reply]:
    """Exchange the labels alone: each answer keeps its own ids and is well-formed.

    Chunk by chunk; both requests should have as many.
    """
    return _relabelled(asked, one, other), _relabelled(also, other, one)


def _relabelled(request: Request, reply: Reply, other: Reply) -> Reply:
    """Return a reply with the labels of another one."""
    short_ids = request.ask.tickets
    match reply:
        case TextReply():
            assert isinstance(other, TextReply)
            labels = [item["labels"] for item in json.loads(other.text)["answers"]]
            pairs = zip(short_ids, labels, strict=True)
            answers = [{"id": short_id, "labels": given} for short_id, given in pairs]
            return replace(reply, text=json.dumps({"answers": answers}))
        case ChoiceReply():
            assert isinstance(other, ChoiceReply)
            return replace(reply, choices=dict(zip(short_ids, other.choices.values(), strict=True)))
        case _:
            assert_never(reply)
