"""Behaviour of the plan of outages."""

from __future__ import annotations

import pytest

from analysis.errors import ConfigurationError
from analysis.simulator.outages import Outage, Outages, parse
from analysis.simulator.profile import ROUTES


def test_options_are_read() -> None:
    """`ROUTE=START:SECONDS`, in the order in which they come."""
    assert (
        Outage(route="realtime", start_s=2.0, duration_s=5.5),
        Outage(route="chat", start_s=0.0, duration_s=1.0),
    ) == parse(["realtime=2:5.5", "chat=0:1"])


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ("realtime", "ROUTE=START:SECONDS"),
        ("realtime=2", "ROUTE=START:SECONDS"),
        ("realtime=2:", "ROUTE=START:SECONDS"),
        ("boom=1:2", ", ".join(ROUTES)),
        ("chat=-1:2", "at least 0"),
        ("chat=1:0", "above 0"),
        ("chat=nan:1", "at least 0"),
        ("chat=1:inf", "above 0"),
    ],
)
def test_wrong_options_are_refused(option: str, part: str) -> None:
    """The message says what is needed."""
    with pytest.raises(ConfigurationError, match=part):
        parse([option])


def test_outage_holds_its_start_and_not_its_end() -> None:
    """Several outages of one route are one plan; other routes are not touched."""
    plan = Outages(parse(["chat=5:1", "chat=1:2", "chat=2:2"]))
    ages = (0.9, 1.0, 3.9, 4.0, 5.0, 6.0)
    assert [False, True, True, False, True, False] == [plan.is_out("chat", age) for age in ages]
    assert [1.0, 2.0, 5.0, None] == [plan.next_start_s("chat", age) for age in (0.0, 1.0, 2.5, 5.0)]
    assert (False, None) == (plan.is_out("models", 1.0), plan.next_start_s("models", 0.0))
