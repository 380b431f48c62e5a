"""The scenario of each seed: what a run meets goes by turns, how much of it by chance."""

from __future__ import annotations

import random
from dataclasses import replace

from analysis.settings import SETTINGS
from tests.simulation.accounts import Limited
from tests.simulation.scenario import Scenario, Service, Spans

KINDS = 20
FOREVER = 1e9
PLENTY = 10_000_000

CLEAN = Service(name="first", model="m", in_flight=8)


def shaken(chance: random.Random, service: Service) -> Service:
    """Return a service with faults of every kind, in chances that differ from seed to seed."""
    return replace(
        service,
        in_flight=chance.choice([1, 3, 8, 32]),
        drop=chance.choice([0, 0.02, 0.2]),
        server_error=chance.choice([0, 0.05, 0.3]),
        hang=chance.choice([0, 0.01, 0.05]),
        limited=chance.choice([0, 0.02, 0.2]),
        malformed=chance.choice([0, 0.02, 0.3]),
        short=chance.choice([0, 0.02, 0.2]),
        declines=chance.choice([0, 0, 0.02, 0.2]),
        cut=chance.choice([0, 0, 0.05]),
        twice=chance.choice([0, 0.1]),
        streams=chance.random() < 0.5,
    )


def some(chance: random.Random, chunks: int, *, most: int = 3) -> frozenset[int]:
    """Return up to so many chunks."""
    return frozenset(chance.sample(range(chunks), chance.randint(0, min(most, chunks))))


def plain_of(chance: random.Random, seed: int) -> Scenario:
    """Return what all kinds have in common: one or two services with faults, chunks, a pace."""
    chunks = chance.randint(1, 80)
    first = replace(shaken(chance, CLEAN), states_limits=seed % 3 > 0)
    second = shaken(chance, replace(CLEAN, name="second", model=chance.choice(["m", "n"])))
    return Scenario(
        services=(first, second) if chance.random() < 0.7 else (first,),
        chunks=chunks,
        chunks_per_request=chance.choice([1, 2, 5, 10]),
        feed_s=chance.choice([0.0, 0.1, 3.0]),
        refused=some(chance, chunks),
        rejected=some(chance, chunks, most=1),
        settings=replace(
            SETTINGS,
            requests_per_minute=chance.choice([60, 600, 6_000]),
            tokens_per_minute=chance.choice([30_000, 2_000_000]),
        ),
    )


def pair_of(chance: random.Random, plain: Scenario) -> tuple[Service, Service]:
    """Return the first service of a scenario and a second one, also where it has none."""
    first, *rest = plain.services
    second = shaken(chance, replace(CLEAN, name="second", model=chance.choice(["m", "n"])))
    return first, rest[0] if rest else second


def scenario_of(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    chance = random.Random(f"scenario {seed}")
    plain = plain_of(chance, seed)
    kind = seed % KINDS
    if kind < 10:
        return with_failing_services(chance, plain, kind)
    if kind < 15:
        return with_odd_times(chance, plain, kind)
    return with_limits(chance, plain, kind)


def with_failing_services(chance: random.Random, plain: Scenario, kind: int) -> Scenario:
    """Return a scenario in which services go, for a while or for good."""
    begin = chance.uniform(0, 5)
    first, second = pair_of(chance, plain)
    match kind:
        case 0:  # one chunk breaks the way
            return replace(plain, deadly=some(chance, plain.chunks, most=1))
        case 1:  # the first route was never there
            return replace(plain, services=(replace(first, away=((0.0, FOREVER),)), second))
        case 2:  # an outage of the first route
            away = replace(first, away=((begin, begin + 60.0),))
            return replace(plain, services=(away, second), chunks=80, feed_s=3.0)
        case 3:  # the money ends, for one route or for both
            account = chance.choice(["key", "other"])
            closed = replace(first, closed_from=begin)
            return replace(plain, services=(closed, replace(second, account=account)))
        case 4:  # everything vanishes, for good or for 90 s
            return replace(
                plain,
                services=both(first, second, away=((begin, begin + chance.choice([90, FOREVER])),)),
                feed_s=1.0,
            )
        case 5:  # the second route is away while chunks need it
            away = replace(second, away=((0.0, chance.choice([20.0, FOREVER])),))
            return replace(plain, services=(first, away))
        case 6:  # from some time on rate limits are all that comes
            return replace(plain, services=(replace(first, limited_from=begin), second))
        case 7:  # somebody stops it
            return replace(plain, stop_at=begin)
        case 8:  # three routes, the first two of one model
            third = shaken(chance, replace(CLEAN, name="third", model="n", account="other"))
            spans = ((begin, begin + chance.choice([20.0, 200.0])),)
            two = both(first, replace(second, model="m"), away=spans)
            return replace(plain, services=(*two, third), feed_s=1.0)
        case _:
            return plain


def with_odd_times(chance: random.Random, plain: Scenario, kind: int) -> Scenario:
    """Return a scenario in which something takes unusually long."""
    begin = chance.uniform(0, 5)
    first, second = pair_of(chance, plain)
    match kind:
        case 10:  # one route falls silent, or both do
            quiet = ((begin, begin + chance.choice([30.0, 90.0])),)
            if chance.random() < 0.5:
                return replace(plain, services=both(first, second, silent=quiet), feed_s=1.0)
            return replace(plain, services=(replace(first, silent=quiet), second), feed_s=1.0)
        case 11:  # answers take ten times as long for a minute
            slow = replace(first, slow=((begin, begin + 60.0),), streams=True)
            return replace(plain, services=(slow, second), chunks=80, feed_s=1.0)
        case 12:  # a 429 asks for an hour
            account = chance.choice(["key", "other"])
            hour = replace(first, hour_from=begin)
            return replace(plain, services=(hour, replace(second, account=account)), feed_s=1.0)
        case 13:  # the machine sleeps for eight hours
            return replace(plain, suspended_at=begin, feed_s=0.5)
        case _:  # a reader goes away
            return replace(plain, withdraw_at=begin)


def both(
    first: Service, second: Service, *, away: Spans = (), silent: Spans = ()
) -> tuple[Service, Service]:
    """Return two services with the same spans."""
    return (
        replace(first, away=away, silent=silent),
        replace(second, away=away, silent=silent),
    )


def with_limits(chance: random.Random, plain: Scenario, kind: int) -> Scenario:
    """Return a scenario with an account that keeps limits of its own."""
    first, second = pair_of(chance, plain)
    limits = Limited(
        rpm=chance.choice([60, 600]),
        tpm=chance.choice([30_000, PLENTY]),
        window_s=chance.choice([None, 1.0, 10.0, 60.0]),
        fill=chance.uniform(0, 1),
    )
    shared = replace(plain, settings=SETTINGS, chunks=chance.randint(1, 300))
    two = (first, replace(second, model="m"))[: chance.choice([1, 2])]
    match kind:
        case 15:  # nothing else fails, limits are told
            calm = replace(CLEAN, in_flight=32)
            return replace(
                shared,
                services=(calm,),
                limits=replace(limits, rpm=chance.choice([60, 300]), fill=chance.uniform(0.3, 1)),
                feed_s=0.0,
                chunks=chance.choice([20, 600, 1_500]),
                chunks_per_request=10,
                refused=frozenset(),
                rejected=frozenset(),
            )
        case 16:  # statements are false or missing
            lie = chance.choice(["absent", "negative", "zero", "full", "unit"])
            spoken = replace(limits, lie=lie, is_named=chance.random() < 0.7)
            return replace(shared, services=two, limits=spoken)
        case 17:  # so are the times to wait
            waits = chance.choice(["absent", "zero", "short", "long"])
            wrong = tuple(replace(service, waits=waits) for service in two)
            return replace(shared, services=wrong, limits=limits)
        case 18:  # limits change in mid-run, or somebody else draws on them
            changed = replace(limits, lowered_at=10.0) if chance.random() < 0.5 else limits
            return replace(shared, services=two, limits=replace(changed, others=0.5))
        case _:  # a chunk is larger than a minute's limit
            heavy = some(chance, plain.chunks, most=2)
            return replace(plain, heavy=heavy)
