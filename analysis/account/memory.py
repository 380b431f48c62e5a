"""Learned limits between runs: one small JSON file per account, by model and route.

io: reads and writes the state folder. Whoever sets up an analyzer loads before the first request
and saves at the end. A file that cannot be read or written is told once and never stops a run.

    {"version": 1, "limits": [{"model": "m", "route": "rest", "at": "2026-11-21T16:00:00+00:00",
     "requests": {"per_minute": 5000.0, "window_s": null, "guard": 0.0}, "tokens": null,
     "latency_s": 0.8}]}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from analysis.account.identity import lock_of, replace_file
from analysis.control.learned import Learned, LearnedLimit
from analysis.control.sharing import Known
from analysis.settings import SETTINGS, Settings

VERSION = 1

FOLDER = "limits"
"""Below the state folder."""

LARGEST_BYTES = 1 << 20
"""A file of ours has some hundred bytes for each model and route."""

_MOST = 1e15
"""No limit, time or share is larger."""

AHEAD = timedelta(days=1)
"""An entry from further ahead was dated by a wrong clock."""

FRESH = timedelta(days=1)
"""What was saved within it need not be dated anew."""

Notify: TypeAlias = Callable[[str, str, Mapping[str, str | float]], None]
"""Told (name, message, fields) of a run event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    model: str
    route: str
    at: datetime
    known: Known

    @classmethod
    def from_dict(cls, found: object) -> _Entry:
        """Read an entry.

        Raises:
            ValueError: If it is something else.
        """
        if not isinstance(found, Mapping):
            raise ValueError("an entry is not an object")  # noqa: TRY004
        model, route, at = (found.get(name) for name in ("model", "route", "at"))
        if not (isinstance(model, str) and isinstance(route, str) and isinstance(at, str)):
            raise ValueError("an entry lacks model, route or date")  # noqa: TRY004
        dated = datetime.fromisoformat(at)
        if dated.tzinfo is None:
            raise ValueError(f"date {at!r} has no time zone")
        return cls(model=model, route=route, at=dated, known=_known(found))

    def to_dict(self) -> dict[str, object]:
        """Return it as plain values."""
        at = self.at.isoformat(timespec="seconds")
        known = asdict(self.known.limits) | {"latency_s": self.known.latency_s}
        return {"model": self.model, "route": self.route, "at": at} | known


class LimitsMemory:
    """The files of all accounts below one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], datetime],
        notify: Notify,
        settings: Settings = SETTINGS,
    ) -> None:
        """Set it up; nothing is read yet.

        Args:
            folder: `limits/` in it holds the files; made when something is saved.
            now: Returns the time of day in UTC.
            notify: Told when a file is of no use.
            settings: Knobs.
        """
        self._folder = folder / FOLDER
        self._now = now
        self._notify = notify
        self._days = timedelta(days=settings.learned_limits_days)

    def load(self, account: str, model: str, route: str) -> Known | None:
        """Return what was learned within the last `learned_limits_days`, or None.

        Args:
            account: From `identity.account_name`.
            model: As asked for.
            route: Its name.
        """
        for entry in self._read(self._path(account)):
            if (entry.model, entry.route) == (model, route):
                return entry.known
        return None

    def save(self, account: str, known: Mapping[tuple[str, str], Known]) -> bool:
        """Keep what a run learned, by (model, route); return whether that worked.

        What other runs learned on other models and routes stays, unless it is too old. Limits that
        were saved within a day are not written again.
        """
        path, now = self._path(account), self._now()
        if self._is_fresh(path, known, now):
            return True
        try:
            with lock_of(path):
                kept = [e for e in self._read(path) if (e.model, e.route) not in known]
                kept += [
                    _Entry(model=model, route=route, at=now, known=one)
                    for (model, route), one in known.items()
                ]
                kept.sort(key=lambda entry: (entry.model, entry.route))
                content = {"version": VERSION, "limits": [entry.to_dict() for entry in kept]}
                replace_file(path, json.dumps(content, indent=1).encode())
                self._forget_others(path, now)
        except OSError as error:
            self._tell(path, f"cannot be written ({error}); the next run learns them anew")
            return False
        return True

    def _path(self, account: str) -> Path:
        return self._folder / f"{account}.json"

    def _is_fresh(self, path: Path, known: Mapping[tuple[str, str], Known], now: datetime) -> bool:
        """Tell whether the file holds these limits, of today; a latency alone is no news."""
        fresh = {
            (entry.model, entry.route): entry.known.limits
            for entry in self._read(path, is_quiet=True)
            if abs(now - entry.at) < FRESH
        }
        return all(fresh.get(key) == one.limits for key, one in known.items())

    def _forget_others(self, path: Path, now: datetime) -> None:
        """Delete the files of accounts that were not saved for so long that nothing counts."""
        oldest = (now - self._days).timestamp()
        for other in path.parent.iterdir():
            if other.name.split(".")[0] != path.stem and other.stat().st_mtime < oldest:
                other.unlink(missing_ok=True)

    def _read(self, path: Path, *, is_quiet: bool = False) -> list[_Entry]:
        """Return the entries that are not too old; none from a broken file."""
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST_BYTES + 1)
            found = _entries(content)
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            if not is_quiet:
                self._tell(path, f"cannot be read ({error}); they are learned anew")
            return []
        now = self._now()
        return [entry for entry in found if -AHEAD <= now - entry.at <= self._days]

    def _tell(self, path: Path, what: str) -> None:
        self._notify("notice", f"The learned limits in {path} {what}.", {})


def _entries(content: bytes) -> list[_Entry]:
    """Read a file's content.

    Raises:
        ValueError: If it is not ours, or of a newer version.
    """
    if len(content) > LARGEST_BYTES:
        raise ValueError("it is too large")
    found = json.loads(content)
    if not isinstance(found, Mapping) or found.get("version") != VERSION:
        raise ValueError(f"it is not of version {VERSION}")
    entries = found.get("limits")
    if not isinstance(entries, list):
        raise ValueError("it holds no list")  # noqa: TRY004
    return [_Entry.from_dict(entry) for entry in entries]


def _known(found: Mapping[str, object]) -> Known:
    return Known(
        limits=Learned(requests=_limit(found, "requests"), tokens=_limit(found, "tokens")),
        latency_s=_number(found, "latency_s"),
    )


def _limit(found: Mapping[str, object], name: str) -> LearnedLimit | None:
    fields = found.get(name)
    if fields is None:
        return None
    if not isinstance(fields, Mapping):
        raise ValueError(f"{name} is not an object")  # noqa: TRY004
    return LearnedLimit(
        per_minute=_number(fields, "per_minute") or 0.0,  # which it refuses
        window_s=_number(fields, "window_s"),
        guard=_number(fields, "guard") or 0.0,
    )


def _number(fields: Mapping[str, object], name: str) -> float | None:
    """Return a finite number from 0, or None."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        raise ValueError(f"{name} is no number from 0 to {_MOST:g}")
    return float(value)
