"""Arms are asked one after the other, with what each of them cost.

io: the analyzer sends. `audited` and `proof` call it. With a store, each arm has its own part of a
ledger: what an earlier start of the same command was answered is not asked again, and counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, closing, nullcontext
from dataclasses import dataclass
from typing import Any

from analysis.analyzer import Analyzer, Estimate
from analysis.arguments import one_slice
from analysis.audit.arms import Arm
from analysis.audit.bill import Bill
from analysis.audit.kept import Store
from analysis.evaluation.rows import Labels
from analysis.interrupts import drained
from analysis.records import StopCause, Verdict

LEAST_USD = 1e-9
"""A budget that is used up: nothing fits into it, and the next request says so."""

Progress = Callable[[Verdict], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of an arm.

    Attributes:
        arm: What was asked.
        estimate: What it was expected to take.
        verdicts: Chunk id -> verdict; chunks that were not reached are missing.
        bill: What it took, over all starts.
        kept: Chunks that an earlier start had labelled.
        billed_usd: The same in US dollars, None if that is not known.
        spent_usd: What counts against the budget: what this start was billed, and what requests
            without an ending may have cost; None without a budget.
        stopped: Why not all of it was asked, or empty.
        stop_cause: Who or what stopped it, or None.
    """

    arm: Arm
    estimate: Estimate
    verdicts: Mapping[str, Verdict]
    bill: Bill
    billed_usd: float | None
    spent_usd: float | None
    stopped: str
    stop_cause: StopCause | None
    kept: int = 0

    @property
    def labels(self) -> dict[str, Labels]:
        """Chunk id -> labels, of the chunks that have one."""
        return {name: one.labels for name, one in self.verdicts.items() if one.labels}

    @property
    def latencies_s(self) -> list[float]:
        """Seconds of the request of each labelled chunk."""
        found = (one.latency_s for one in self.verdicts.values() if one.labels)
        return [latency for latency in found if latency is not None]

    @property
    def origins(self) -> Counter[tuple[str, str]]:
        """(route, model) -> labelled chunks."""
        labelled = (one for one in self.verdicts.values() if one.labels)
        return Counter((one.route or "", one.model or "") for one in labelled)

    def figures(self) -> dict[str, Any]:
        """Return counts and bill, ready for JSON."""
        sent, billed = self.estimate, self.bill.total
        failed = Counter(str(one.error.kind) for one in self.verdicts.values() if one.error)
        return {
            "name": self.arm.name,
            "chunks_per_request": self.arm.chunks_per_request,
            "chunks": len(self.arm.chunks),
            "labelled": len(self.labels),
            "labelled_before": self.kept,
            "not_labelled": dict(sorted(failed.items())),
            "by_route": [
                {"route": route, "model": model, "labelled": count}
                for (route, model), count in self.origins.most_common()
            ],
            "requests": self.bill.requests,
            "requests_without_ending": self.bill.unknown,
            "estimated": {
                "requests": sent.requests,
                "input_tokens": sent.input_tokens,
                "output_tokens": sent.output_tokens,
                "cost_usd": sent.cost_usd,
            },
            "billed": billed.to_dict() | {"cost_usd": self.billed_usd},
            "stopped": self.stopped,
        }


def estimated(
    arm: Arm, analyzer: Analyzer, topic: str | None, store: Store | None = None
) -> Estimate:
    """Return what an arm takes over the first route, with a store what is left of it."""
    tally = analyzer.tally(topic=topic, chunks_per_request=arm.chunks_per_request)
    tally.add(arm.chunks, None if store is None else store.wanted(arm, analyzer, topic))
    return tally.estimate()


async def ask(
    arm: Arm,
    analyzer: Analyzer,
    *,
    topic: str | None = None,
    budget_usd: float | None = None,
    on_verdict: Progress | None = None,
    store: Store | None = None,
) -> Asked:
    """Ask all chunks of an arm; a stop of any kind ends it early and is told in the result.

    Args:
        arm: What to ask.
        analyzer: Open; one serves all arms of the same prompt, model and routes.
        topic: Of chunks without one of their own.
        budget_usd: What this arm may cost.
        on_verdict: Called with each verdict.
        store: Keeps the answers.

    Raises:
        LedgerError: If the store cannot be used.
    """
    verdicts: dict[str, Verdict] = {}
    bill, kept = Bill(), 0
    held = nullcontext(None) if store is None else closing(store.open(arm, analyzer, topic))
    with held as own:
        if own is not None:
            kept = sum(bool(one.labels) for one in own.held(arm.chunks).values())
        found = analyzer.run(
            one_slice(arm.chunks),
            topic=topic,
            chunks_per_request=arm.chunks_per_request,
            journal=own or bill,
            budget_usd=budget_usd,
        )
        async with aclosing(found) as results:  # type: ignore[type-var]
            async for chunk, verdict in results:
                verdicts[chunk.id] = verdict
                if on_verdict is not None:
                    on_verdict(verdict)
        if own is not None:
            verdicts, bill = own.held(arm.chunks) | verdicts, own.bill()
    purse = analyzer.statistics()["budget"]
    return Asked(
        arm=arm,
        estimate=estimated(arm, analyzer, topic),
        verdicts=verdicts,
        bill=bill,
        kept=kept,
        billed_usd=bill.usd(analyzer.prices, analyzer.facts),
        spent_usd=None if purse is None else purse["spent_usd"],
        stopped=analyzer.stop_reason or "",
        stop_cause=analyzer.stop_cause,
    )


async def ask_all(
    arms: Sequence[Arm],
    analyzer: Analyzer,
    *,
    topic: str | None = None,
    budget_usd: float | None = None,
    on_verdict: Progress | None = None,
    store: Store | None = None,
) -> list[Asked]:
    """Ask arms one after the other, up to the first that was stopped; closes the analyzer.

    Ctrl-C lets requests in flight end, as in a run.

    Args:
        arms: At least one.
        analyzer: New; its connections serve all arms.
        topic: Of chunks without one of their own.
        budget_usd: What all arms together may cost, above 0.
        on_verdict: Called with each verdict.
        store: Keeps the answers.
    """
    asked: list[Asked] = []
    async with analyzer:
        with drained(analyzer):
            for arm in arms:
                left = left_of(budget_usd, asked)
                one = await ask(
                    arm,
                    analyzer,
                    topic=topic,
                    budget_usd=left,
                    on_verdict=on_verdict,
                    store=store,
                )
                asked.append(one)
                if one.stopped:
                    break
    return asked


def left_of(budget_usd: float | None, asked: Sequence[Asked]) -> float | None:
    """Return what a budget has left after some arms, never nothing at all; None without one."""
    if budget_usd is None:
        return None
    return max(LEAST_USD, budget_usd - sum(one.spent_usd or 0.0 for one in asked))
