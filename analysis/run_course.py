"""The course of a run: prepared, told, paid for, stopped, written.

io. `entry` hands it a run; the reasons for which a run ends early are turned into `StopKind` here.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from analysis.errors import ConfigurationError, InputError, LedgerError, LocalProtocolError
from analysis.hooks import Hooks, Meter
from analysis.interrupts import (
    INTERRUPTED,
    drained,
    ending_signals,
    plain_signals,
    run_here,
)
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.pipeline.places import RunPaths
from analysis.pipeline.report import RunSummary, StopKind
from analysis.pipeline.run import Plan, TableRun
from analysis.pipeline.sinks import StreamClosed
from analysis.records import StopCause, Verdict
from analysis.run_options import RunOptions
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import SETTINGS, Settings

OUTAGE_CURE = (
    "Check the network and the base URL (OPENAI_BASE_URL), or wait until the service is back."
)
"""What to do about a service that is away; a service that says no names its own cure."""

UNASKED = (
    "{:.2f} USD are used up, and the estimate was below that, so nobody was asked: add --yes "
    "(yes=True) to go on, or --budget (budget=) with what the rest may cost"
)
"""Why a run ends that costs more than its estimate, without a word of its user on money."""

NO_ROOM = "the disk of the ledger is full; what was in flight is recorded. Make room there"
"""Why a run ends whose ledger has used up the room that it kept for its end."""

LOOK_EVERY = 20
"""Verdicts between two looks at what a run has cost."""

NOT_ASKED = "only failed rows were asked again; {:,} rows were never asked"
"""Why a run over failed rows has no whole output."""


def drive(
    run: TableRun,
    analyzer: HybridSemanticAnalyzer,
    hooks: Hooks,
    options: RunOptions,
) -> RunSummary:
    plan = run.prepare()
    agree(plan, run.paths, hooks, options)
    stop: StopKind | None = None
    reason = ""
    meter = Meter(
        billed_usd=partial(_billed_usd, analyzer), ends_at_usd=_ceiling_usd(plan, options)
    )
    if hooks.on_meter is not None:
        hooks.on_meter(meter)
    hooks = replace(hooks, on_verdict=Ceiling(meter, analyzer, hooks.on_verdict).on_verdict)
    try:
        if not run.is_complete(plan):
            stop, reason = _stop_of(run, analyzer, hooks)
        if stop is not None and run.is_complete(plan):
            stop, reason = None, ""
        if stop is None and plan.passed_over:
            stop, reason = StopKind.CAP, NOT_ASKED.format(plan.passed_over)
        return run.finish(plan, stop=stop, reason=reason)
    except InputError as error:
        # It was read before anything was sent, so it has changed since. No output can be derived.
        raise LedgerError(f"{error} What is paid for is kept in the ledger.") from error
    except StreamClosed:
        raise  # the reader of the output went away; the rest of it has no other place
    except LedgerError as error:
        with contextlib.suppress(LedgerError, InputError):  # the same disk may refuse this, too
            if stop is None:
                run.finish(plan, stop=StopKind.DISK, reason=str(error))
                partials = ", ".join(map(str, run.paths.partials))
                error.add_note(f"What is paid for so far: {partials}")
        raise


def agree(plan: Plan, paths: RunPaths, hooks: Hooks, options: RunOptions) -> None:
    """Have the caller's hook agree to what is to be done; without one, refuse what needs a yes.

    Raises:
        ConfigurationError: Names what is in the way.
    """
    if hooks.on_plan is not None:
        hooks.on_plan(plan, paths)
    elif not (options.yes or options.local or options.budget is not None):
        check_cost(plan, options.settings)


def _stop_of(
    run: TableRun, analyzer: HybridSemanticAnalyzer, hooks: Hooks
) -> tuple[StopKind | None, str]:
    """Do the paid work; return why it ended early, or None."""
    try:
        # Read here: asyncio puts a handler of its own for Ctrl-C, which would cancel paid requests.
        signals = ending_signals() if hooks.handles_signals else plain_signals()
        work = _label(run, analyzer, hooks, signals)
        return run_here(work, on_interrupt=lambda: analyzer.stop(INTERRUPTED))
    except KeyboardInterrupt:  # while connections were closed
        return StopKind.INTERRUPTED, INTERRUPTED
    except LocalProtocolError as error:
        return StopKind.DISK, f"{error} Please report this."


def _until_full(
    run: TableRun, analyzer: HybridSemanticAnalyzer, pass_on: Callable[[Verdict], None] | None
) -> Callable[[Verdict], None]:
    """Return what passes verdicts on and has the run send nothing more once the disk is full."""

    def on_verdict(verdict: Verdict) -> None:
        if pass_on is not None:
            pass_on(verdict)
        if run.is_short:
            analyzer.stop(NO_ROOM)

    return on_verdict


async def _label(
    run: TableRun,
    analyzer: HybridSemanticAnalyzer,
    hooks: Hooks,
    signals: Sequence[signal.Signals],
) -> tuple[StopKind | None, str]:
    async with analyzer:
        try:
            with drained(analyzer, signals) if signals else contextlib.nullcontext():
                await run.label(_until_full(run, analyzer, hooks.on_verdict))
        except asyncio.CancelledError:
            return StopKind.INTERRUPTED, INTERRUPTED
        if run.is_short:
            return StopKind.DISK, NO_ROOM
        reason = analyzer.stop_reason
        if reason is None:
            return None, ""
        match analyzer.stop_cause:
            case StopCause.INTERRUPTED:
                return StopKind.INTERRUPTED, reason
            case StopCause.BUDGET | StopCause.TIME:
                return StopKind.CAP, reason
            case StopCause.FAILURES:
                return StopKind.FAILURES, reason
        routes = analyzer.statistics()["routes"].values()
        if any(route["closed_because"] == reason for route in routes):
            return StopKind.SERVICE, reason  # the service's own no, which names its cure
        return StopKind.SERVICE, f"{reason.rstrip('.')}. {OUTAGE_CURE}"


def _billed_usd(analyzer: HybridSemanticAnalyzer) -> float | None:
    found: float | None = analyzer.statistics().get("billed_usd")
    return found


def _ceiling_usd(plan: Plan, options: RunOptions) -> float | None:
    """Return what a run may cost that nobody was asked about, since its estimate was low enough.

    None where somebody was asked or has said how far to go, and where the cost is not known.
    """
    limit, cost = options.settings.confirm_above_usd, plan.estimate.cost_usd
    if options.yes or options.local or options.budget is not None or plan.simulated:
        return None
    return None if cost is None or cost > limit else limit


class Ceiling:
    """Stops a run at the amount of money above which its user would have been asked."""

    def __init__(
        self,
        meter: Meter,
        analyzer: HybridSemanticAnalyzer,
        on_verdict: Callable[[Verdict], None] | None,
    ) -> None:
        """Pass each verdict on to `on_verdict`."""
        self._meter = meter
        self._analyzer = analyzer
        self._pass_on = on_verdict
        self._heard = 0
        self._is_simulated = False

    def on_verdict(self, verdict: Verdict) -> None:
        """Look at what the run has cost, at its first verdict and every so many."""
        if self._pass_on is not None:
            self._pass_on(verdict)
        self._is_simulated |= verdict.model in SIMULATED_MODELS
        limit = self._meter.ends_at_usd
        if limit is None or self._is_simulated:  # no figure of it is money
            return
        self._heard += 1
        if self._heard % LOOK_EVERY == 1 and (self._meter.billed_usd() or 0.0) >= limit:
            self._analyzer.stop(UNASKED.format(limit), StopCause.BUDGET)


def check_cost(plan: Plan, settings: Settings = SETTINGS) -> None:
    """Refuse a run whose estimated cost needs a yes.

    Raises:
        ConfigurationError: Names the figure and the cure.
    """
    cost = plan.estimate.cost_usd
    if cost is not None and cost > settings.confirm_above_usd:
        raise ConfigurationError(
            f"The run is estimated at {cost:.2f} USD, above {settings.confirm_above_usd:.2f} USD. "
            "Pass --yes (yes=True) to go on, --budget to cap it, or --limit to label fewer rows "
            "first."
        )
