"""A proof asks what the protocol says, and tells what it found, also when it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from analysis.audit.proof import Progressed, Proof, carry_out, document_of, prepare
from analysis.audit.protocol import Protocol, chosen, sample_chunks
from analysis.errors import ConfigurationError
from analysis.records import StopCause
from analysis.simulator.service import Answerer
from tests.commands.running import Paid, paid_service

SMALL = Protocol(
    label_sets=("ten_functions", "sci_abstract"),
    chunks=24,
    pack_sizes=(1, 8),
    repeated=8,
    routes=("rest", "decisions"),
    route_chunks=4,
)


def proved(
    protocol: Protocol = SMALL, *, budget_usd: float = 1.0, is_local: bool = True
) -> tuple[Proof, Progressed, dict[str, Any]]:
    """Carry out a protocol over the shipped texts."""
    with contextlib.ExitStack() as held:
        proof = prepare(
            held,
            protocol=protocol,
            chunks=chosen(sample_chunks(), protocol),
            budget_usd=budget_usd,
            is_local=is_local,
        )
        done = asyncio.run(carry_out(proof))
    return proof, done, document_of(proof, done)


def use(paid: Paid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the proof find a service as it finds a real one."""
    for name, value in paid.environment().items():
        monkeypatch.setenv(name, str(value))


def places(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every part of the document that holds figures."""
    sets = document["label_sets"]
    inside = [one for each in sets for one in (*each["arms"], *each["agreement"])]
    return [document, *sets, *inside, *document["routes"], document["bill"]]


def test_without_key_and_without_local_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is missing never makes a simulated proof."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        proved(is_local=False)


def test_every_figure_of_the_local_service_says_simulated() -> None:
    """Each arm, pair, route and the bill, not only the whole."""
    _, done, document = proved()
    assert (None, False) == (done.stop_cause, done.is_service_missing)
    found = places(document)
    assert 2 * (1 + 3 + 2) + 2 + 2 == len(found)
    assert [True] * len(found) == [one["simulated"] for one in found]


def test_what_the_protocol_says_is_asked_and_compared() -> None:
    """Pack sizes, the repetition that is noise, routes, and the bill beside the estimate."""
    proof, _, document = proved()
    assert proof.protocol.digest == document["digest"]
    assert SMALL.digest != document["digest"]
    first = document["label_sets"][0]
    assert [("k=1", 1, 24), ("k=8", 8, 24), ("again", 8, 24)] == [
        (arm["name"], arm["chunks_per_request"], arm["labelled"]) for arm in first["arms"]
    ]
    assert [("k=1", "k=8", False), ("k=8", "again", True)] == [
        (pair["first"], pair["second"], pair["is_noise"]) for pair in first["agreement"]
    ]
    assert [1.0, 1.0] == [pair["found"]["same"]["share"] for pair in first["agreement"]]
    assert [("rest", 4), ("decisions", 4)] == [
        (route["name"], route["latency"]["samples"]) for route in document["routes"]
    ]
    assert 4 == document["routes"][1]["against_packs_of_one"]["rows"]
    bill = document["bill"]
    assert 0.8 < bill["billed_input_tokens"] / bill["estimated_input_tokens"] < 1.2
    assert 8 == bill["arms"]


def test_a_model_that_looks_at_its_pack_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agreement of packs with single chunks falls; that of the repetition does not."""

    def label(texts: Sequence[str], topic: str | None) -> list[tuple[str]]:
        return [("noise" if place == 0 else "example",) for place, _ in enumerate(texts)]

    protocol = Protocol(
        label_sets=("ten_functions",), chunks=24, pack_sizes=(1, 8), repeated=8, routes=()
    )
    with paid_service(answerer=Answerer(name="gpt-6-luna", label=label)) as paid:
        use(paid, monkeypatch)
        _, _, document = proved(protocol, is_local=False)
    packs, noise = document["label_sets"][0]["agreement"]
    assert (False, 1.0) == (document["simulated"], noise["found"]["same"]["share"])
    assert packs["found"]["same"]["share"] < 0.5
    bill = document["bill"]
    assert bill["billed_usd"] == pytest.approx(
        bill["estimated_usd"] * bill["billed_to_estimated"], rel=1e-3
    )


def test_a_budget_ends_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not begun is named, and what was asked has its figures."""
    with paid_service() as paid:
        use(paid, monkeypatch)
        _, done, document = proved(budget_usd=0.001, is_local=False)
    assert StopCause.BUDGET == done.stop_cause
    assert "budget" in document["stopped"]
    assert ["sci_abstract", "rest", "decisions"] == document["not_asked"]
    arms = document["label_sets"][0]["arms"]
    assert 0 < arms[0]["labelled"] < 24
    assert document["label_sets"][0]["agreement"] == []


def test_a_route_that_a_server_lacks_stops_only_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are asked; the exit code tells of it."""
    with paid_service(endpoints=("responses",)) as paid:
        use(paid, monkeypatch)
        # The service knows the labels of this set only.
        _, done, document = proved(replace(SMALL, label_sets=("ten_functions",)), is_local=False)
    assert (None, True) == (done.stop_cause, done.is_service_missing)
    rest, decisions = document["routes"]
    assert (4, 0) == (rest["labelled"], decisions["labelled"])
    assert (None, None) == (decisions["latency"], decisions["against_packs_of_one"])
    assert decisions["stopped"]
