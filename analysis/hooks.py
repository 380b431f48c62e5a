"""What a caller may hear of a run, and the streams of its `-`.

Pure. The doors take it, the run tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from analysis.pipeline.places import RunPaths
from analysis.pipeline.run import Plan
from analysis.records import Verdict
from analysis.telemetry import Sink


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What a run has cost, and where it ends.

    Attributes:
        billed_usd: Tells the US dollars that were billed so far; None where a price is not known.
        ends_at_usd: So much is the most for a run whose user has said nothing about money; or None.
    """

    billed_usd: Callable[[], float | None]
    ends_at_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        done: Chunks of this run with a verdict, `failed` ones included.
        total: Chunks that this run is to ask about: neither those that have a label before it nor
            empty and too long ones.
        failed: Chunks that ended without a label.
        seconds: Since the run began to send.
        cost_usd: Billed so far, looked at now and then; None where no price is known or labels are
            simulated.
        route: Of the last verdict; None before the first one.
        simulated: Labels come from the local service or from rules.
        line: The same in words.
    """

    done: int
    total: int
    failed: int
    seconds: float
    cost_usd: float | None
    route: str | None
    simulated: bool
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a caller wants to hear of a run.

    Attributes:
        on_notes: Told once what was assumed about the input, line by line.
        on_plan: Told what is to be done before anything is sent; may raise ConfigurationError.
        on_meter: Given what tells the cost so far, before anything is sent.
        on_verdict: Told each verdict of this run.
        on_event: Told what happens on the way.
        handles_signals: Stop cleanly on Ctrl-C and SIGTERM; only in the main thread.
        stdin: What an input of `-` reads.
        stdout: What an output of `-` is written to, at the end.
    """

    on_notes: Callable[[Sequence[str]], None] | None = None
    on_plan: Callable[[Plan, RunPaths], None] | None = None
    on_meter: Callable[[Meter], None] | None = None
    on_verdict: Callable[[Verdict], None] | None = None
    on_event: Sink | None = None
    handles_signals: bool = False
    stdin: BinaryIO | None = None
    stdout: BinaryIO | None = None
