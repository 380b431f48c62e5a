"""All that has to hold in every run, as one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.simulation.chunk_invariants import (
    a_copy_is_the_only_second_request,
    a_declined_chunk_is_not_asked_there_again,
    a_label_that_was_paid_is_kept,
    a_verdict_belongs_to_its_chunk,
    attempts_are_bounded,
    copies_are_few,
    every_chunk_ends_once,
    nobody_waits_for_all_others,
    nothing_is_sent_after_a_stop,
)
from tests.simulation.pace_invariants import (
    limits_hold_in_every_window,
    no_bucket_overflows,
    nothing_idles,
    refusals_are_few,
    time_is_used,
    what_is_drawn_is_what_was_used,
)
from tests.simulation.route_invariants import (
    a_route_that_speaks_is_not_silent,
    a_wait_that_was_asked_for_is_kept,
    another_model_gets_only_what_the_rules_allow,
    in_flight_stays_below_its_limit,
    no_hold_is_broken,
    nothing_goes_to_a_shut_route_but_probes,
    nothing_is_left_at_the_end,
    waits_lead_somewhere,
)
from tests.simulation.scenario import Scenario, Trace

Invariant = Callable[[Scenario, Trace], int]

INVARIANTS: tuple[Invariant, ...] = (
    every_chunk_ends_once,
    a_verdict_belongs_to_its_chunk,
    a_label_that_was_paid_is_kept,
    a_copy_is_the_only_second_request,
    copies_are_few,
    attempts_are_bounded,
    nobody_waits_for_all_others,
    nothing_is_sent_after_a_stop,
    a_declined_chunk_is_not_asked_there_again,
    in_flight_stays_below_its_limit,
    nothing_is_left_at_the_end,
    nothing_goes_to_a_shut_route_but_probes,
    a_route_that_speaks_is_not_silent,
    no_hold_is_broken,
    a_wait_that_was_asked_for_is_kept,
    another_model_gets_only_what_the_rules_allow,
    waits_lead_somewhere,
    what_is_drawn_is_what_was_used,
    no_bucket_overflows,
    limits_hold_in_every_window,
    nothing_idles,
    refusals_are_few,
    time_is_used,
)


def name_of(invariant: Invariant) -> str:
    """Return the name under which an invariant is reported."""
    return getattr(invariant, "__name__", repr(invariant))


def check_all(
    scenario: Scenario, trace: Trace, *, but: frozenset[Invariant] = frozenset()
) -> Counter[str]:
    """Check every invariant; return how many facts each of them looked at.

    Args:
        scenario: Of the run.
        trace: Of the run.
        but: Those that are left out.
    """
    counts: Counter[str] = Counter()
    for invariant in INVARIANTS:
        if invariant in but:
            continue
        try:
            counts[name_of(invariant)] += invariant(scenario, trace)
        except AssertionError as error:
            error.add_note(f"broken: {name_of(invariant)}")
            raise
    return counts
