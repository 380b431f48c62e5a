"""Short regimes and runs for the tests of the score."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.score.constants import ALL_REGIMES, Faults, Regime
from benchmarks.score.market import Fate, Market
from benchmarks.score.stage import Run, Stage

QUIET = Faults(hang=0.0, server_error=0.0, bad_chunk=0.0)
BY_NAME = {regime.name: regime for regime in ALL_REGIMES}


class Watched(Market):
    """A market that keeps what it was asked.

    Attributes:
        asked: (when, chunks, fate) per request.
    """

    def __init__(self, regime: Regime, seed: int) -> None:
        super().__init__(regime, seed)
        self.asked: list[tuple[float, int, Fate]] = []

    def ask(self, way: str, chunks: int, now: float) -> Fate:
        """Answer as ever, and keep it."""
        fate = super().ask(way, chunks, now)
        self.asked.append((now, chunks, fate))
        return fate


def watched(stage: Stage) -> Watched:
    """Return the market of a stage that was made with a watched one."""
    assert isinstance(stage.market, Watched)
    return stage.market


def short(name: str, *, chunks: int, is_quiet: bool = False) -> Regime:
    """Return a regime with fewer chunks, and with nothing going wrong if `is_quiet`."""
    regime = replace(BY_NAME[name], chunks=chunks)
    return replace(regime, faults=QUIET, outage=None) if is_quiet else regime


def made(**changes: object) -> Run:
    """Return a run with plain figures and some of them changed."""
    plain = Run(
        seed=0,
        window_s=60.0,
        is_silent=False,
        makespan_s=11.0,
        bound_s=10.0,
        bound_ten_s=11.0,
        own_bound_s=10.0,
        is_complete=True,
        requests=100,
        limited=1,
        paid_tokens=1_020,
        twice_tokens=51,
        cancelled=0,
        late=0,
        fewest_tokens=1_000.0,
        lost=0,
        doubled=0,
        trace=0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
