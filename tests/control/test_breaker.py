"""A route opens after failures, is probed after a pause, and closes after an answer."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from analysis.control.breaker import GROWTH, Breaker, Gate
from analysis.settings import SETTINGS


def breaker(seed: int = 1) -> Breaker:
    """Return a fresh breaker."""
    return Breaker(rng=random.Random(seed))


def opened(at: float = 0.0) -> Breaker:
    """Return a breaker that a refused connection opened."""
    found = breaker()
    assert found.on_failure(now=at, is_refused_connection=True)
    return found


def opening_of(found: Breaker) -> float:
    """Return when an open breaker lets a probe through."""
    assert found.opens_at is not None
    return found.opens_at


def test_a_fresh_route_may_be_used() -> None:
    """It is closed, not down, and has not worked yet."""
    found = breaker()
    assert (Gate.PASS, None, None, False) == (
        found.gate(0.0),
        found.opens_at,
        found.down_since,
        found.ever_worked,
    )


def test_failures_in_a_row_open_it() -> None:
    """The last failure of the row opens it, an answer in between begins the row anew."""
    found = breaker()
    for _ in range(SETTINGS.breaker_failures - 1):
        assert not found.on_failure(now=1.0)
    found.on_success()
    opens = [found.on_failure(now=2.0) for _ in range(SETTINGS.breaker_failures)]
    assert [*[False] * (SETTINGS.breaker_failures - 1), True] == opens
    assert 2.0 == found.down_since


def test_half_of_a_full_window_opens_it() -> None:
    """Failures and answers by turns open it when the window is full, and not before."""
    found = breaker()
    opens = []
    for _ in range(SETTINGS.breaker_window // 2):
        found.on_success()
        opens.append(found.on_failure(now=1.0))
    assert [*[False] * (SETTINGS.breaker_window // 2 - 1), True] == opens


def test_less_than_half_of_the_window_does_not_open_it() -> None:
    """Two answers per failure keep it closed."""
    found = breaker()
    for _ in range(100):
        found.on_success()
        found.on_success()
        assert not found.on_failure(now=1.0)


def test_one_refused_connection_opens_it() -> None:
    """Nothing is behind the address, so no further request has to show it."""
    assert 0.0 == opened().down_since


def test_after_its_pause_it_is_half_open() -> None:
    """Shut until the pause of 80 to 120 % of its length is over, then for a probe."""
    found = opened(at=10.0)
    opens_at = opening_of(found)
    assert 10.0 + 0.8 * SETTINGS.breaker_open_s <= opens_at <= 10.0 + 1.2 * SETTINGS.breaker_open_s
    assert (Gate.SHUT, Gate.PROBE) == (found.gate(opens_at - 0.001), found.gate(opens_at))


def test_an_answer_closes_it() -> None:
    """Then it is as new, but is known to have worked."""
    found = opened()
    assert found.on_success()
    assert (Gate.PASS, None, True) == (found.gate(0.1), found.down_since, found.ever_worked)
    assert not found.on_success()


def test_after_closing_old_failures_do_not_count() -> None:
    """The window begins anew: another row of failures is needed."""
    found = opened()
    found.on_success()
    opens = [found.on_failure(now=5.0) for _ in range(SETTINGS.breaker_failures)]
    assert [*[False] * (SETTINGS.breaker_failures - 1), True] == opens


def test_a_probe_that_the_service_refuses_closes_it_without_having_worked() -> None:
    """A rate limit shows that the service is there; it is no answer."""
    found = opened()
    assert found.on_contact()
    assert (Gate.PASS, None, False) == (found.gate(0.1), found.down_since, found.ever_worked)


def test_contact_with_a_closed_route_changes_nothing() -> None:
    """A row of failures is not broken by a refusal."""
    found = breaker()
    for _ in range(SETTINGS.breaker_failures - 1):
        found.on_failure(now=1.0)
    assert not found.on_contact()
    assert found.on_failure(now=1.0)


def test_failed_probes_prolong_the_pause_up_to_its_cap() -> None:
    """Every pause is 1.6 times the one before, within its jitter; down_since stays."""
    found, knobs = opened(), SETTINGS
    for probe in range(1, 10):
        now = opening_of(found)
        assert not found.on_failure(now=now, is_probe=True)
        pause = min(knobs.breaker_open_cap_s, knobs.breaker_open_s * GROWTH**probe)
        assert 0.8 * pause <= opening_of(found) - now <= 1.2 * pause
    assert 0.0 == found.down_since


def test_requests_sent_before_it_opened_do_not_prolong_the_pause() -> None:
    """Neither during the pause nor after it."""
    found = opened()
    opens_at = opening_of(found)
    for now in (0.1, opens_at, opens_at + 50.0):
        assert not found.on_failure(now=now)
        assert not found.on_failure(now=now, is_refused_connection=True)
    assert opens_at == found.opens_at
    assert Gate.PROBE == found.gate(opens_at + 50.0)


def test_a_probe_that_fails_during_a_later_pause_does_not_prolong_it() -> None:
    """An old answer closed the breaker and it opened again while the probe was on its way."""
    found = opened()
    found.on_success()
    found.on_failure(now=9.0, is_refused_connection=True)
    opens_at = opening_of(found)
    found.on_failure(now=9.1, is_probe=True)
    assert opens_at == found.opens_at


@given(
    st.lists(st.tuples(st.sampled_from("afupc"), st.floats(0.0, 20.0))),
    st.integers(1, 6),
    st.integers(2, 12),
)
def test_it_agrees_with_a_slow_obvious_version(
    events: list[tuple[str, float]], row: int, window: int
) -> None:
    """Whether it is down follows from the endings since the last change of state."""
    knobs = replace(SETTINGS, breaker_failures=row, breaker_window=window)
    found = Breaker(rng=random.Random(2), settings=knobs)
    now, down_since, history, streak = 0.0, None, "", 0
    for event, pause in events:
        now += pause
        if event == "a":
            history = "a" if down_since is not None else history + "a"
            down_since, streak = None, 0
            found.on_success()
        elif event == "c":
            if down_since is not None:
                down_since, history, streak = None, "", 0
            found.on_contact()
        else:
            found.on_failure(now=now, is_probe=event == "p", is_refused_connection=event == "u")
            if down_since is None:
                history, streak = history + "f", streak + 1
                recent = history[-window:]
                is_half = len(recent) == window and 2 * recent.count("f") >= window
                if event == "u" or streak >= row or is_half:
                    down_since = now
        assert down_since == found.down_since
        assert (down_since is None) == (found.gate(now) is Gate.PASS)


def test_it_shows_its_state() -> None:
    """The repr names what decides."""
    assert "Breaker(open_until=None, in_a_row=0)" == repr(breaker())


def test_requests_that_were_lost_with_one_socket_are_one_failure() -> None:
    """Of any number; another socket's loss is another failure."""
    found, sockets = breaker(), [object() for _ in range(SETTINGS.breaker_failures)]
    for socket in sockets[:-1]:
        assert [False] * 64 == [found.on_failure(now=1.0, loss=socket) for _ in range(64)]
    assert found.on_failure(now=2.0, loss=sockets[-1])
