"""A proof: the protocol carried out, and one document with all figures.

io. `commands.prove` calls `prepare`, prints the digest, and then calls `carry_out`. A part that is
stopped by its route does not stop the others; a used-up budget and Ctrl-C stop all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from analysis import __version__
from analysis.analyzer import Estimate
from analysis.audit.arms import AGAIN, Arm, are_same, shared_requests
from analysis.audit.asking import Asked, Progress, ask_all, estimated, left_of
from analysis.audit.audited import bill_of
from analysis.audit.kept import Store, source_of
from analysis.audit.protocol import Protocol
from analysis.bench.figures import Percentiles
from analysis.connections import TIER_ROUTES
from analysis.endpoint import EMBEDDED, Endpoint
from analysis.entry import local_service
from analysis.evaluation.reasked import changed
from analysis.labels.label_set import LabelSet
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.prices import PriceTable
from analysis.records import Chunk, StopCause
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer as Hybrid
from analysis.settings import SETTINGS, Settings

PROOF_VERSION = 2
"""Moves when a field of the document changes its meaning or goes."""

Tell = Callable[[str], None]
_OWN_STOPS = (StopCause.BUDGET, StopCause.INTERRUPTED, StopCause.TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Arms that one analyzer asks.

    Attributes:
        name: The label set, or the route whose latency is measured.
        is_route: Which of the two.
        analyzer: Asks them.
        arms: In order.
    """

    name: str
    is_route: bool
    analyzer: Hybrid
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof that is ready to begin.

    Attributes:
        protocol: With the digest of the texts.
        parts: In order.
        budget_usd: For all of it.
        endpoint: Host as runs name it.
        is_local: The local service answers.
        store: Keeps the answers, or None.
    """

    protocol: Protocol
    parts: tuple[Part, ...]
    budget_usd: float
    endpoint: str
    is_local: bool
    store: Store | None = None

    def estimates(self) -> list[Estimate]:
        """Return what is left to ask of each arm; nothing is sent."""
        return [
            estimated(arm, part.analyzer, None, self.store)
            for part in self.parts
            for arm in part.arms
        ]

    @property
    def same_arms(self) -> tuple[tuple[str, str], ...]:
        """Pack sizes that cut these texts into the same requests, so that they compare nothing."""
        arms = [arm for arm in self.parts[0].arms if arm.name != AGAIN]
        return tuple(
            (one.name, two.name) for one, two in combinations(arms, 2) if are_same(one, two)
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the arms in the store."""
        return tuple(
            source_of(arm, part.analyzer, None) for part in self.parts for arm in part.arms
        )


@dataclass(slots=True, kw_only=True)
class Progressed:
    """What was asked so far.

    Attributes:
        asked: Part -> its arms.
        stop_cause: Who or what ended all of it early, or None.
        stopped: The same for people.
        is_service_missing: Some part was stopped by its service.
    """

    asked: list[tuple[Part, list[Asked]]] = field(default_factory=list)
    stop_cause: StopCause | None = None
    stopped: str = ""
    is_service_missing: bool = False

    @property
    def arms(self) -> list[Asked]:
        """All arms that were asked."""
        return [one for _, found in self.asked for one in found]


def prepare(
    held: contextlib.ExitStack,
    *,
    protocol: Protocol,
    chunks: Sequence[Chunk],
    budget_usd: float,
    is_local: bool,
    prices: PriceTable | None = None,
    store: Store | None = None,
    settings: Settings = SETTINGS,
) -> Proof:
    """Make the analyzers of a proof; nothing is sent.

    Args:
        held: Ends the local services.
        protocol: What to ask.
        chunks: The texts, see `protocol.chosen`.
        budget_usd: For all of it.
        is_local: Ask the local service.
        prices: What tokens cost; by default the table of the package.
        store: Keeps the answers.
        settings: Knobs of the analyzers.

    Raises:
        ConfigurationError: If there is no endpoint, a model has no price, or a label set is none.
    """
    endpoints: dict[str, Endpoint] = {}

    def endpoint_for(label_set: str) -> Endpoint:
        if not is_local:
            return endpoints.setdefault("", endpoints.get("") or Endpoint.find())
        if label_set not in endpoints:
            base_url = held.enter_context(local_service(label_set=label_set))
            endpoints[label_set] = Endpoint.find(api_key="local", base_url=base_url, host=EMBEDDED)
        return endpoints[label_set]

    def analyzer_for(label_set: str, routes: tuple[str, ...], most: int | None = None) -> Hybrid:
        named = dict(protocol.models or ())
        return Hybrid(
            endpoint=endpoint_for(label_set),
            routes=routes,
            model={route: named[route] for route in routes if route in named},
            label_set=label_set,
            max_concurrent=most,
            service_tier=None if TIER_ROUTES.isdisjoint(routes) else protocol.service_tier,
            prices=prices,
            settings=settings,
        )

    whole = tuple(chunks)
    parts = []
    for name in protocol.label_sets:
        arms = [_arm(f"k={size}", whole, size) for size in protocol.pack_sizes]
        arms.append(_arm(AGAIN, whole, protocol.repeated))
        analyzer = analyzer_for(name, protocol.pack_routes)
        parts.append(Part(name=name, is_route=False, analyzer=analyzer, arms=tuple(arms)))
    for route in protocol.routes:
        analyzer = analyzer_for(protocol.route_label_set, (route,), most=1)
        arm = _arm(route, whole[: protocol.route_chunks], 1)
        parts.append(Part(name=route, is_route=True, analyzer=analyzer, arms=(arm,)))
    for part in parts:
        part.analyzer.check_budget(budget_usd)
    return Proof(
        protocol=protocol.of(chunks),
        parts=tuple(parts),
        budget_usd=budget_usd,
        endpoint=next(iter(endpoints.values())).host,
        is_local=is_local,
        store=store,
    )


def _arm(name: str, chunks: tuple[Chunk, ...], size: int) -> Arm:
    return Arm(name=name, chunks=chunks, chunks_per_request=size)


async def carry_out(
    proof: Proof, *, tell: Tell | None = None, on_verdict: Progress | None = None
) -> Progressed:
    """Ask all parts in order; after a stop of any kind the result has what was asked before."""
    done = Progressed()
    for part in proof.parts:
        if tell is not None:
            tell(f"{'Route' if part.is_route else 'Label set'} {part.name}")
        left = left_of(proof.budget_usd, done.arms)
        found = await ask_all(
            part.arms, part.analyzer, budget_usd=left, on_verdict=on_verdict, store=proof.store
        )
        done.asked.append((part, found))
        cause = found[-1].stop_cause
        if cause is StopCause.SERVICE:
            done.is_service_missing = True
            if tell is not None:
                tell(f"Stopped: {found[-1].stopped}")
        elif cause in _OWN_STOPS:
            done.stop_cause, done.stopped = cause, found[-1].stopped
            break
    if proof.store is not None and not any(one.stopped for one in done.arms):
        proof.store.end(proof.sources)
    return done


def document_of(proof: Proof, done: Progressed) -> dict[str, Any]:
    """Return all figures, ready for JSON; those of the local service say so one by one."""
    models = {model for one in done.arms for _, model in one.origins}
    is_simulated = proof.is_local or bool(models & SIMULATED_MODELS)
    sets = [(part, found) for part, found in done.asked if not part.is_route]
    routes = [(part, found[0]) for part, found in done.asked if part.is_route]
    base = next(
        (found[0] for part, found in sets if part.name == proof.protocol.route_label_set), None
    )
    return {
        "proof_version": PROOF_VERSION,
        "question": "What do packing and routes do to labels, latency and the bill?",
        "simulated": is_simulated,
        "protocol": asdict(proof.protocol),
        "digest": proof.protocol.digest,
        "endpoint": proof.endpoint,
        "semfn": __version__,
        "budget_usd": proof.budget_usd,
        "label_sets": [_set_figures(part, found, is_simulated) for part, found in sets],
        "routes": [_route_figures(part, one, base, is_simulated) for part, one in routes],
        "bill": bill_of(done.arms, is_simulated=is_simulated),
        "ledger": None if proof.store is None else str(proof.store.path),
        "not_asked": [part.name for part in proof.parts[len(done.asked) :]],
        "stopped": done.stopped,
    }


def _set_figures(part: Part, found: Sequence[Asked], is_simulated: bool) -> dict[str, Any]:
    labels = part.analyzer.label_set
    mark = {"simulated": is_simulated}
    return {
        "label_set": _named(labels),
        "prompt": part.analyzer.run_key["prompt"],
        "models": dict(part.analyzer.models),
        "arms": [one.figures() | {"latency": latency_of(one)} | mark for one in found],
        "agreement": [
            {"first": one.arm.name, "second": two.arm.name, "is_noise": are_same(one.arm, two.arm)}
            | {"found": _agreement(one, two)}
            | mark
            for one, two in combinations(found, 2)
            if two.arm.name != AGAIN or one.arm.chunks_per_request == two.arm.chunks_per_request
        ],
        "simulated": is_simulated,
    }


def _agreement(one: Asked, two: Asked) -> dict[str, Any] | None:
    """Return how often two arms agree; their chunks are drawn in the larger requests of the two."""
    requests = shared_requests(one.arm, two.arm)
    return changed(one.labels, two.labels, requests=requests)


def _named(labels: LabelSet) -> dict[str, str]:
    return {"name": labels.name, "version": labels.version, "digest": labels.digest}


def _route_figures(
    part: Part, one: Asked, base: Asked | None, is_simulated: bool
) -> dict[str, Any]:
    found = None if base is None else _agreement(base, one)
    return one.figures() | {
        "model": part.analyzer.models[part.name],
        "latency": latency_of(one),
        "against_packs_of_one": found,
        "simulated": is_simulated,
    }


def latency_of(one: Asked) -> dict[str, Any] | None:
    """Return the latency of requests in milliseconds, counted once for each labelled chunk.

    Returns:
        The fields of `Percentiles`; None where nothing was answered.
    """
    found = Percentiles.of(one.latencies_s)
    return None if found is None else asdict(found)
