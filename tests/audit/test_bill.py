"""A bill adds up what requests took, and has no sum where a price is missing."""

from __future__ import annotations

import pytest

from analysis.audit.bill import Bill
from analysis.prices import price_table
from analysis.records import Ask, Chunk, Ending, Item, Pack, Request, Settlement, Usage

pytestmark = pytest.mark.asyncio


def request(name: str) -> Request:
    """Return a request with one chunk."""
    chunk = Chunk(id="1", text="One.")
    ask = Ask(
        instructions="",
        content="",
        schema_name="s",
        schema={},
        max_output_tokens=1,
        tickets={"a": 1},
        estimated_input_tokens=1,
    )
    pack = Pack(items=(Item(ticket=1, chunk=chunk, tokens=1),))
    return Request(request_id=name, route="rest", model="gpt-6-luna", pack=pack, ask=ask, attempt=1)


async def test_a_bill_adds_up_what_each_request_took() -> None:
    """An answer, a refusal without tokens, one whose ending nobody knows; none that never left."""
    bill = Bill()
    endings = [(Ending.DONE, 1_000_000), (Ending.REFUSED, 0), (Ending.UNKNOWN, 0)]
    endings.append((Ending.UNSENT, 0))
    for number, (ending, tokens) in enumerate(endings):
        await bill.intend(request(str(number)))
        usage = Usage(input_tokens=tokens)
        await bill.settle(Settlement(request_id=str(number), ending=ending, usage=usage))
    assert (3, 1, 1_000_000) == (bill.requests, bill.unknown, bill.total.input_tokens)
    prices = price_table()
    price = prices.price_of("gpt-6-luna")
    assert price is not None
    assert prices.cost_usd("gpt-6-luna", bill.total, requests=1) == bill.usd(prices, {})
    other = Settlement(
        request_id="9", ending=Ending.DONE, usage=Usage(input_tokens=1), model="unheard-of"
    )
    await bill.intend(request("9"))
    await bill.settle(other)
    assert bill.usd(prices, {}) is None
