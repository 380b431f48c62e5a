"""Who plays: the package's scheduler in several settings, and the designs of common scripts.

Pure. `makespan` asks for the runs. Each entrant is judged by the bound for packs as large as it may
send.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from analysis.control.planner import Budgets, JobSize, Way, plan
from analysis.control.sharing import Known
from analysis.control.sizes import Packing
from analysis.settings import SETTINGS, Settings
from benchmarks.score import constants
from benchmarks.score.constants import Regime
from benchmarks.score.naive import PAUSE_S, WORKERS, TokenBucket, Workers
from benchmarks.score.ours import Ours
from benchmarks.score.stage import Contestant, Run, Stage

Make: TypeAlias = Callable[[Stage, Regime, int], Contestant]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """One design.

    Attributes:
        play: Plays one run of a regime by seed.
        largest_pack: Most chunks that it may put into a request.
        is_ours: It is the package's; goals stand beside its figures.
        is_warm: It knows the limits from a run before.
        most_seeds: It needs no more runs of a regime, unless that asks for more.
        only_in: Regimes that it plays; None: all.
    """

    play: Callable[[Regime, int], Run]
    largest_pack: int = constants.LARGEST_PACK
    is_ours: bool = False
    is_warm: bool = False
    most_seeds: int = len(constants.UNSEEN_SEEDS)
    only_in: tuple[str, ...] | None = None

    def plays(self, regime: Regime) -> bool:
        """Tell whether it plays this regime."""
        return self.only_in is None or regime.name in self.only_in

    def runs(self, regime: Regime, seeds: Sequence[int]) -> list[Run]:
        """Play a regime with as many of these seeds as it needs."""
        most = max(self.most_seeds, regime.least_seeds)
        return [self.play(regime, seed) for seed in seeds[:most]]


def settings_for(regime: Regime, *, is_told: bool = False) -> Settings:
    """Return the settings for a regime, those of a user who has entered the limits if told."""
    settings = replace(SETTINGS, timeout_s=regime.timeout_s)
    if not is_told:
        return settings
    return replace(settings, requests_per_minute=regime.rpm, tokens_per_minute=regime.tpm)


def planned(regime: Regime, settings: Settings, known: Known | None = None) -> Packing:
    """Return the packing that the package's planner chooses for the job of a regime.

    It knows the sizes, and of limits and latency what the settings hold, as `labelling` has it;
    or the limits that an earlier run has learned.
    """
    sizes = regime.sizes
    job = JobSize(
        stretches=((regime.chunks, 1),),
        chunk_tokens=sizes.chunk,
        item_tokens=sizes.extra_per_chunk,
        request_tokens=sizes.instruction,
        answer_tokens=sizes.output_per_chunk,
        request_answer_tokens=sizes.output_per_request,
        largest_answer_tokens=sizes.output_cap_per_chunk,
    )
    base_s, chunk_s = settings.latency_prior_s, settings.latency_prior_per_chunk_s
    ways = [Way(in_flight=way.in_flight, base_s=base_s, chunk_s=chunk_s) for way in regime.ways]
    budgets = None if known is None else Budgets.learned(known.limits, settings)
    found = plan(job, budgets or Budgets.assumed(settings), ways, settings=settings)
    return Packing(plan=found, job=job, ways=tuple(ways), budgets=budgets)


def play_planned(regime: Regime, seed: int, settings: Settings | None = None) -> Run:
    """Play with packs as planned, by default knowing nothing of the limits."""
    stage, settings = Stage(regime, seed), settings or settings_for(regime)
    pack = planned(regime, settings)
    return stage.run(Ours(stage, seed=seed, pack=pack, settings=settings))


def play_told(regime: Regime, seed: int) -> Run:
    """Play as a user who has entered the limits of the account."""
    return play_planned(regime, seed, settings_for(regime, is_told=True))


def play_warm(regime: Regime, seed: int) -> Run:
    """Play the same account again with what a first run leaves to the next one."""
    cold, settings = Stage(regime, seed), settings_for(regime)
    first = Ours(cold, seed=seed, pack=planned(regime, settings), settings=settings)
    cold.run(first)
    stage, known = Stage(regime, seed), first.learned()
    pack = planned(regime, settings, known.get(regime.ways[0].name))
    return stage.run(Ours(stage, seed=seed, pack=pack, settings=settings, known=known))


def play_largest(regime: Regime, seed: int) -> Run:
    """Play with packs as large as they may be, and small jobs one by one."""
    stage, settings = Stage(regime, seed), settings_for(regime)
    pack = 1 if regime.chunks <= settings.small_job else constants.LARGEST_PACK
    return stage.run(Ours(stage, seed=seed, pack=pack, settings=settings))


def play_files(regime: Regime, seed: int) -> Run:
    """Play with packs as file runs cut them by default: ten chunks of all but small jobs."""
    stage = Stage(regime, seed, largest_pack=SETTINGS.chunks_per_request)
    return stage.run(Ours(stage, seed=seed, settings=settings_for(regime)))


def play_alone(regime: Regime, seed: int) -> Run:
    """Play with every chunk in a request of its own."""
    stage = Stage(regime, seed, largest_pack=1)
    return stage.run(Ours(stage, seed=seed, pack=1, settings=settings_for(regime)))


def script(make: Make) -> Entrant:
    """Return a design that knows nothing of the package; its figures need no more precision."""

    def play(regime: Regime, seed: int) -> Run:
        stage = Stage(regime, seed)
        return stage.run(make(stage, regime, seed))

    return Entrant(play=play, most_seeds=10)


ENTRANTS = {
    "ours": Entrant(play=play_planned, is_ours=True),
    "ours-twenty": Entrant(play=play_largest, is_ours=True),
    "ours-file": Entrant(play=play_files, largest_pack=SETTINGS.chunks_per_request, is_ours=True),
    "ours-alone": Entrant(
        play=play_alone,
        largest_pack=1,
        is_ours=True,
        only_in=(constants.PLAIN.name,),
    ),
    "ours-told": Entrant(play=play_told, is_ours=True),
    "ours-warm": Entrant(play=play_warm, is_ours=True, is_warm=True),
    "one-session-pause": script(
        lambda stage, regime, seed: Workers(stage, workers=1, pause_s=PAUSE_S)
    ),
    "semaphore-backoff": script(
        lambda stage, regime, seed: Workers(stage, workers=WORKERS, pause_s=0.0)
    ),
    "token-bucket-k1": script(lambda stage, regime, seed: TokenBucket(stage, pack=1)),
    "token-bucket-k10": script(lambda stage, regime, seed: TokenBucket(stage, pack=10)),
}
