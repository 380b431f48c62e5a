"""What is told of kept answers, before and after; and where they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.audit.kept import Store
from analysis.commands.kept import going_on_lines, kept_lines, store_of
from analysis.errors import ConfigurationError
from tests.pipeline.ledger_samples import answer, chunk, labeled, opened


def store(path: Path, *, is_fresh: bool = False) -> Store:
    """Return a store."""
    return Store(path=path, started_at="2026-11-21T12:00:00+00:00", is_fresh=is_fresh)


def test_a_ledger_is_the_named_one_or_the_default() -> None:
    """Where answers cost nothing there is none, and none may be named."""
    plain = {"ledger": None, "fresh": False}
    found = store_of(plain, Path("default"), is_free=False)
    assert found is not None
    assert (Path("default"), False) == (found.path, found.is_fresh)
    named = store_of({"ledger": Path("own"), "fresh": True}, Path("default"), is_free=False)
    assert named is not None
    assert (Path("own"), True) == (named.path, named.is_fresh)
    assert store_of(plain, Path("default"), is_free=True) is None
    with pytest.raises(ConfigurationError, match="--ledger is about answers"):
        store_of({"ledger": Path("own"), "fresh": False}, Path("default"), is_free=True)


@pytest.mark.asyncio
async def test_what_is_kept_is_told_with_its_time(tmp_path: Path) -> None:
    """All of it, a part of it, or nothing that concerns these arms."""
    path, one = tmp_path / "own.sqlite", chunk("1")
    assert [] == kept_lines(None, ["arm"], requests=3)
    assert [] == kept_lines(store(path), ["arm"], requests=3)
    with opened(path) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
    assert [] == kept_lines(store(path), ["another"], requests=3)
    assert [] == kept_lines(store(path, is_fresh=True), ["in.csv"], requests=3)
    (part,) = kept_lines(store(path), ["in.csv"], requests=3)
    assert part.startswith("Answers up to 20")
    assert part.endswith("own.sqlite and are not asked again.")
    (all_of_it,) = kept_lines(store(path), ["in.csv"], requests=0)
    assert all_of_it.startswith("Nothing to ask: all answers are in ")
    assert all_of_it.endswith("Pass --fresh to ask again.")


@pytest.mark.asyncio
async def test_that_a_fresh_start_goes_on_is_told(tmp_path: Path) -> None:
    """In place of the words on kept answers, as long as the earlier one has no end."""
    path, one = tmp_path / "own.sqlite", chunk("1")
    with opened(path, run_facts={"fresh": "yes"}) as ledger:
        await answer(ledger, "r1", (one, labeled(one)))
    (line,) = kept_lines(store(path, is_fresh=True), ["in.csv"], requests=3)
    assert line.startswith("An earlier start with --fresh was stopped.")
    assert kept_lines(store(path), ["in.csv"], requests=3)[0].startswith("Answers up to 20")
    store(path).end(["in.csv"])
    assert [] == kept_lines(store(path, is_fresh=True), ["in.csv"], requests=3)


def test_a_stop_tells_how_to_go_on() -> None:
    """Not after an end, and not where nothing is kept."""
    assert [] == going_on_lines(None, is_stopped=True)
    assert [] == going_on_lines(store(Path("x")), is_stopped=False)
    (line,) = going_on_lines(store(Path("x.sqlite")), is_stopped=True)
    assert "The answers are in x.sqlite; the same command asks only what is missing." == line
