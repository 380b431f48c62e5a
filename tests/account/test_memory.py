"""Learned limits come back by account, model and route, for a while; a broken file is no matter."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.account.memory import LARGEST_BYTES, LimitsMemory
from analysis.control.learned import Learned, LearnedLimit
from analysis.control.sharing import Known
from analysis.settings import SETTINGS

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KNOWN = Known(
    limits=Learned(
        requests=LearnedLimit(per_minute=500.0, window_s=1.0, guard=0.015),
        tokens=LearnedLimit(per_minute=200_000.0),
    ),
    latency_s=0.8,
)
NOTHING = Learned()
KEYS = ("m", "rest")


class Desk:
    """A memory with a calendar that the test turns, and what it was told."""

    def __init__(self, folder: Path) -> None:
        self.today = START
        self.notices: list[str] = []
        self.memory = LimitsMemory(folder, now=lambda: self.today, notify=self._hear)

    def _hear(self, name: str, message: str, fields: Mapping[str, str | float]) -> None:
        assert "notice" == name
        self.notices.append(message)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    """For the same account, model and route, also in another process."""
    desk = Desk(tmp_path)
    assert None is desk.memory.load("abc", *KEYS)
    assert desk.memory.save("abc", {KEYS: KNOWN})
    assert KNOWN == Desk(tmp_path).memory.load("abc", *KEYS)
    assert None is desk.memory.load("abd", *KEYS)
    assert None is desk.memory.load("abc", "m", "realtime")
    assert None is desk.memory.load("abc", "n", "rest")
    assert [] == desk.notices


def test_the_file_is_small_dated_and_holds_no_key(tmp_path: Path) -> None:
    """Whoever opens it can read it."""
    Desk(tmp_path).memory.save("abc", {KEYS: Known(limits=NOTHING, latency_s=0.5)})
    expected = {
        "version": 1,
        "limits": [
            {
                "model": "m",
                "route": "rest",
                "at": "2026-11-21T12:00:00+00:00",
                "requests": None,
                "tokens": None,
                "latency_s": 0.5,
            }
        ],
    }
    path = tmp_path / "limits" / "abc.json"
    assert expected == json.loads(path.read_text())
    if os.name == "posix":
        assert 0o600 == path.stat().st_mode & 0o777


def test_other_entries_stay_and_old_ones_go(tmp_path: Path) -> None:
    """A later run replaces its own entries and leaves out what is too old."""
    desk = Desk(tmp_path)
    desk.memory.save("abc", {("old", "rest"): KNOWN})
    desk.today = START + timedelta(days=20)
    desk.memory.save("abc", {KEYS: Known(limits=NOTHING, latency_s=9.0), ("n", "rest"): KNOWN})
    desk.today = START + timedelta(days=SETTINGS.learned_limits_days, seconds=1)
    desk.memory.save("abc", {KEYS: KNOWN})
    assert KNOWN == desk.memory.load("abc", *KEYS)
    assert KNOWN == desk.memory.load("abc", "n", "rest")
    kept = json.loads((tmp_path / "limits" / "abc.json").read_text())["limits"]
    assert ["m", "n"] == [entry["model"] for entry in kept]


def test_the_same_limits_are_not_written_again_on_the_same_day(tmp_path: Path) -> None:
    """Another latency is no reason, another limit is one, and so is another day."""
    desk, path = Desk(tmp_path), tmp_path / "limits" / "abc.json"
    desk.memory.save("abc", {KEYS: KNOWN})
    first = path.read_bytes()
    desk.today = START + timedelta(hours=23)
    assert desk.memory.save("abc", {KEYS: replace(KNOWN, latency_s=7.0)})
    assert first == path.read_bytes()
    assert desk.memory.save("abc", {KEYS: replace(KNOWN, limits=NOTHING)})
    assert first != path.read_bytes()
    second = path.read_bytes()
    desk.today = START + timedelta(hours=48)
    assert desk.memory.save("abc", {KEYS: replace(KNOWN, limits=NOTHING)})
    assert second != path.read_bytes()


def test_files_that_are_too_old_are_deleted(tmp_path: Path) -> None:
    """Those of other accounts, such as services of tests, when something is saved."""
    desk, folder = Desk(tmp_path), tmp_path / "limits"
    for account in ("old", "new"):
        desk.memory.save(account, {KEYS: KNOWN})
        os.utime(folder / f"{account}.json", (START.timestamp(), START.timestamp()))
    for path in folder.glob("old*"):
        before = (START - timedelta(days=31)).timestamp()
        os.utime(path, (before, before))
    desk.memory.save("abc", {KEYS: KNOWN})
    assert {"abc", "new"} == {path.name.split(".")[0] for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("days", "is_known"), [(30.0, True), (30.1, False), (-0.9, True), (-1.1, False)]
)
def test_entries_are_believed_for_a_while(tmp_path: Path, days: float, is_known: bool) -> None:
    """Not longer than the setting, and not if they come from a future."""
    desk = Desk(tmp_path)
    desk.memory.save("abc", {KEYS: KNOWN})
    desk.today = START + timedelta(days=days)
    assert is_known is (desk.memory.load("abc", *KEYS) is not None)
    assert [] == desk.notices


FIELDS = ("requests", "tokens", "latency_s", "per_minute", "window_s", "guard", "x")
ENTRY = {"model": "m", "route": "rest", "at": "2026-11-21T12:00:00+00:00"}


WRONG_FIELDS: tuple[dict[str, object], ...] = (
    {"latency_s": -1},
    {"latency_s": 0},
    {"latency_s": "soon"},
    {"latency_s": 10**400},
    {"requests": 5},
    {"requests": {}},
    {"requests": {"per_minute": 0}},
    {"requests": {"per_minute": True}},
    {"requests": {"per_minute": float("nan")}},
    {"tokens": {"per_minute": float("inf")}},
    {"tokens": {"per_minute": 60, "guard": 1.5}},
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (LARGEST_BYTES + 1),
        b"[]",
        b'{"version": 2, "limits": []}',
        b'{"version": 1, "limits": {}}',
        b'{"version": 1, "limits": [5]}',
        json.dumps({"version": 1, "limits": [{**ENTRY, "at": "yesterday"}]}).encode(),
        json.dumps({"version": 1, "limits": [{**ENTRY, "at": "2026-11-21T12:00:00"}]}).encode(),
        json.dumps({"version": 1, "limits": [{**ENTRY, "route": None}]}).encode(),
        *(json.dumps({"version": 1, "limits": [ENTRY | wrong]}).encode() for wrong in WRONG_FIELDS),
    ],
)
def test_a_broken_file_is_told_and_replaced(tmp_path: Path, content: bytes) -> None:
    """It counts as empty; the next save puts a good one in its place."""
    desk, path = Desk(tmp_path), tmp_path / "limits" / "abc.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert None is desk.memory.load("abc", *KEYS)
    (notice,) = desk.notices
    assert "cannot be read" in notice
    assert str(path) in notice
    assert desk.memory.save("abc", {KEYS: KNOWN})
    assert KNOWN == desk.memory.load("abc", *KEYS)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The run ends as it would without."""
    (tmp_path / "limits").write_bytes(b"a file in place of the folder")
    desk = Desk(tmp_path)
    assert not desk.memory.save("abc", {KEYS: KNOWN})
    (notice,) = desk.notices
    assert "cannot be written" in notice


def test_what_others_save_meanwhile_stays(tmp_path: Path) -> None:
    """Reading and writing are one step under a lock."""
    desk = Desk(tmp_path)
    desk.memory.save("abc", {KEYS: KNOWN})
    Desk(tmp_path).memory.save("abc", {("n", "rest"): KNOWN})
    assert KNOWN == desk.memory.load("abc", *KEYS)
    assert KNOWN == desk.memory.load("abc", "n", "rest")


positive = st.floats(min_value=1e-3, max_value=1e12)
limits = st.builds(
    LearnedLimit,
    per_minute=positive,
    window_s=st.none() | positive,
    guard=st.floats(min_value=0.0, max_value=0.99),
)
known = st.builds(
    Known,
    limits=st.builds(Learned, requests=st.none() | limits, tokens=st.none() | limits),
    latency_s=st.none() | positive,
)


@settings(max_examples=25, deadline=None)
@given(known)
def test_any_numbers_come_back_as_they_were(one: Known) -> None:
    """Through the text of the file."""
    with TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        assert desk.memory.save("abc", {KEYS: one})
        assert one == desk.memory.load("abc", *KEYS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(FIELDS), inner),
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_any_entry_is_read_or_told(fields: dict[str, object]) -> None:
    """No content of a file ends a run, and what is read can be saved again."""
    with TemporaryDirectory() as folder:
        desk, path = Desk(Path(folder)), Path(folder) / "limits" / "abc.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"version": 1, "limits": [{**ENTRY, **fields}]}))
        found = desk.memory.load("abc", *KEYS)
        assert (found is None) is bool(desk.notices)
        if found is not None:
            assert desk.memory.save("abc", {KEYS: found})
            assert found == desk.memory.load("abc", *KEYS)
