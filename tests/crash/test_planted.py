"""Bugs planted on purpose are found by the checks; the long form is `planted.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.bugs import BUGS
from tests.crash.kill import simulated_service
from tests.crash.planted import PLANTED, SLOW, Planted, faults_of, without_power
from tests.crash.tracing import why_not


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Serve digest labels in a process of its own; give its address and its payment log."""
    log = tmp_path_factory.mktemp("service") / "payments.jsonl"
    log.touch()
    with simulated_service(log, SLOW, 1) as base_url:
        yield base_url, log


@pytest.mark.parametrize(
    "planted", [one for one in PLANTED if one.is_quick], ids=lambda one: str(one.bug)
)
def test_a_planted_bug_is_found(
    tmp_path: Path, service: tuple[str, Path], planted: Planted
) -> None:
    """The check finds fault with the program that has the bug, at its third kill at the latest.

    On a busy machine a kill may come when nothing is in flight, or after the end.
    """
    if planted.check is without_power and why_not():
        pytest.skip(why_not())
    base_url, log = service
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    assert any(faults_of(planted, planted.bug, folder, base_url, log) for folder in folders)


def test_each_bug_is_planted_once() -> None:
    """What can be planted is planted, by the long form at least; there are more than twelve."""
    assert sorted(BUGS.keys() - {"none"}) == sorted(planted.bug for planted in PLANTED)
    assert 12 < len(PLANTED)
