"""What a run may cost that nobody was asked about."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.entry import analyze_file, estimate_file
from analysis.hooks import Hooks, Meter
from analysis.labels.label_set import LabelSet
from analysis.pipeline.inputs import open_inputs
from analysis.pipeline.places import RunPaths
from analysis.pipeline.report import RunSummary
from analysis.pipeline.run import RunChoices, TableRun
from analysis.prices import price_table
from analysis.records import Usage
from analysis.run_course import NO_ROOM, drive
from analysis.run_options import RunOptions
from analysis.semantic_function_hybrid import HybridSemanticAnalyzer
from analysis.settings import DEFAULT_MODELS, SETTINGS
from analysis.simulator.answerer import Answerer, digest_answerer
from tests.commands.running import Paid, column, paid_service, table

LUNA = Answerer(name="gpt-6-luna", label=digest_answerer(LabelSet.load("ten_functions").keys).label)
"""Labels of a model that has a price: a service that does not say it is a simulated one."""

BROKEN = {"malformed": 0.6}
"""Of every five answers three have to be asked for again."""


def labelled(path: Path, service: Paid, *, above: float = 1.2, **options: Any) -> RunSummary:
    """Label a table, with the limit for a yes at so many times its estimate."""
    cost_usd = estimate_file(path, route="rest").routes[0].cost_usd
    assert cost_usd is not None
    knobs = replace(SETTINGS, confirm_above_usd=above * cost_usd)
    given: dict[str, Any] = {
        "api_key": "k",
        "base_url": service.base_url,
        "route": "rest",
        "settings": knobs,
    }
    return analyze_file(path, **given | options)


def test_a_run_that_costs_more_than_anybody_was_asked_about_stops_and_goes_on(
    tmp_path: Path,
) -> None:
    """At the limit for a yes it ends like at a cap, and a yes resumes it."""
    path = table(tmp_path, 300)
    with paid_service(answerer=LUNA, faults=BROKEN) as service:
        stopped = labelled(path, service)
        assert 4 == stopped.exit_code
        assert 0 < stopped.labeled < 300
        assert "nobody was asked: add --yes (yes=True) to go on, or --budget" in stopped.stopped
        ended = labelled(path, service, yes=True)
        assert ("", stopped.labeled) == (ended.stopped, ended.reused)


def test_with_a_yes_or_a_budget_a_run_goes_on(tmp_path: Path) -> None:
    """The user has said how far to go."""
    given: tuple[dict[str, Any], ...] = ({"yes": True}, {"budget": 9.0})
    with paid_service(answerer=LUNA, faults=BROKEN) as service:
        for name, options in enumerate(given):
            path = table(tmp_path, 60, name=f"{name}.csv")
            assert "" == labelled(path, service, **options).stopped


def test_a_service_that_says_it_is_simulated_is_no_reason_to_stop(tmp_path: Path) -> None:
    """Nothing is paid there, whatever its tokens would cost; its failed rows name no model."""
    with paid_service(faults=BROKEN) as service:
        summary = labelled(table(tmp_path, 300), service)
    assert ("", True) == (summary.stopped, summary.simulated)


def test_the_meter_tells_what_all_answers_cost_also_those_that_were_thrown_away(
    tmp_path: Path,
) -> None:
    """By the prices of the model that was asked for; the service has billed each of them."""
    meters: list[Meter] = []
    with paid_service(answerer=LUNA, faults=BROKEN) as service:
        hooks = Hooks(on_meter=meters.append)
        assert "" == labelled(table(tmp_path, 60), service, above=9.0, hooks=hooks).stopped
        paid = list(service.records)
    usage = Usage(
        input_tokens=sum(one["input_tokens"] for one in paid),
        output_tokens=sum(one["output_tokens"] for one in paid),
    )
    assert len(paid) > 6
    assert meters[0].ends_at_usd is not None
    expected = price_table().cost_usd(DEFAULT_MODELS["rest"], usage)
    assert pytest.approx(expected) == meters[0].billed_usd()


def test_a_run_on_this_machine_costs_nothing_and_ends_nowhere(tmp_path: Path) -> None:
    """Simulated amounts are no money."""
    meters: list[Meter] = []
    hooks = Hooks(on_meter=meters.append)
    knobs = replace(SETTINGS, confirm_above_usd=0.0)
    summary = analyze_file(table(tmp_path, 30), local=True, settings=knobs, hooks=hooks)
    assert (30, None) == (summary.labeled, meters[0].ends_at_usd)


class FilledUp(TableRun):
    """A run whose disk is full from its first verdict on."""

    @property
    def is_short(self) -> bool:
        return self._settled > 0


def test_a_full_disk_ends_a_run_in_order_and_the_command_goes_on(tmp_path: Path) -> None:
    """What was in flight is in the ledger and in the partial output; nothing more is sent."""
    path = table(tmp_path, 300)
    analyzer = HybridSemanticAnalyzer(routes="offline", seed=1, max_concurrent=1)
    jobs = open_inputs([path], tmp_path / "out.csv")
    run = FilledUp(
        jobs=jobs,
        paths=RunPaths.of(jobs),
        analyzer=analyzer,
        choices=RunChoices(chunks_per_request=10, record={"fresh": "no"}),
        clock=lambda: 0.0,
    )
    with closing(run):
        summary = drive(run, analyzer, Hooks(), RunOptions(route="offline"))
    assert (5, NO_ROOM) == (summary.exit_code, summary.stopped)
    assert 0 < summary.labeled < 300
    labelled_now = [one for one in column(tmp_path / "out.partial.csv", "semantic_function") if one]
    assert summary.labeled == len(labelled_now)
    again = analyze_file(path, tmp_path / "out.csv", route="offline")
    assert (300, "") == (again.labeled, again.stopped)
