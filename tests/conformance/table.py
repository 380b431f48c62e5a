"""Plays everything, holds every message against its type, and makes the page of conformance.

io. `python -m tests.conformance.table` writes docs/reference/conformance.md anew; a test holds the
page against a run. Counts may move a little from run to run, where a connection is cut while its
last frames are under way.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from tests.conformance import client_plays, service_plays
from tests.conformance.plays import perform_all
from tests.conformance.suites import ALLOWED, Allowance, Direction, Message, allowance, judge
from tests.conformance.switches import Switch, constants, switches

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "conformance.md"
PACKAGES = ("openai", "websockets", "h11")
OPAQUE = frozenset({"schema", "parameters", "metadata"})
"""Fields whose inside belongs to whoever asks."""
Key: TypeAlias = tuple[str, Direction]


@dataclass(slots=True)
class Score:
    """What one direction of a suite came to.

    Attributes:
        checked: Messages.
        deviating: Messages of these that pass by an allowance only.
        refused: Messages with anything else wrong.
        kinds: How often each kind came.
        fields: Kind -> paths of the fields that messages of this kind had.
    """

    checked: int = 0
    deviating: int = 0
    refused: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    fields: dict[str, set[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Verdicts:
    """What a run of all plays came to.

    Attributes:
        plays: How many were played.
        scores: By suite and direction.
        used: Allowance -> messages that needed it.
        refusals: One line for each thing that was found wrong.
    """

    plays: int = 0
    scores: dict[Key, Score] = field(default_factory=dict)
    used: Counter[Allowance] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)

    def take(self, play: str, said: Iterable[Message]) -> None:
        """Judge what was said in a play."""
        self.plays += 1
        for message in said:
            self._count(play, message)

    def _count(self, play: str, message: Message) -> None:
        score = self.scores.setdefault((message.suite, message.direction), Score())
        score.checked += 1
        score.kinds[message.kind] += 1
        if message.direction == "to service":
            score.fields.setdefault(message.kind, set()).update(fields_of(message.text))
        lines = judge(message)
        if not lines:
            return
        passes = {line: allowance(message, line) for line in lines}
        self.used.update({one for one in passes.values() if one is not None})
        wrong = [line for line, one in passes.items() if one is None]
        score.deviating += not wrong
        score.refused += bool(wrong)
        where = f"{play}, {message.suite} {message.direction}, {message.kind}"
        self.refusals += [f"{where}: {line}" for line in wrong]


def run() -> Verdicts:
    """Play everything and judge it."""
    verdicts = Verdicts()
    for play, said in perform_all(chain(client_plays.plays(), service_plays.plays())):
        verdicts.take(play.name, said)
    verdicts.take("forms of bodies", client_plays.bodies())
    return verdicts


def page(verdicts: Verdicts) -> str:
    """Return the page about a run."""
    parts = (
        _head(verdicts),
        _scores(verdicts),
        _allowances(verdicts),
        _kinds(verdicts),
        _fields(verdicts),
        _guesses(),
    )
    return "\n".join(chain.from_iterable(parts))


def _head(verdicts: Verdicts) -> Iterator[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield "# Conformance\n"
    yield (
        "This page is made by `python -m tests.conformance.table`; a test plays the same and "
        "compares.\n"
    )
    yield f"Packages: {packages}.\n"
    yield (
        f"{verdicts.plays} plays put a relay between a client and the local service on the "
        "loopback interface.\nThe relay keeps the bytes; h11 and websockets take them apart "
        "afterwards.\nWhat the client of this package sends is held against the parameter types "
        "of the SDK, what the service sends against its response types.\nA field that the type "
        "does not have counts as wrong, and so do an absent field, a value outside an enumeration "
        "and a number of another kind.\nThe SDK has no beta types of the Realtime protocol: their "
        "place is taken by `tests/conformance/beta_client_shapes.py` and "
        "`tests/simulator/beta_shapes.py`, written from the protocol notes.\nThe clients of the "
        "SDK itself run against the service in `tests/conformance/test_*_sdk.py`.\nNone of this "
        "was seen on the wire of a vendor.\n"
    )


def _scores(verdicts: Verdicts) -> Iterator[str]:
    yield "## Messages checked\n"
    yield "| suite | direction | checked | of these by a deviation below | refused |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for (suite, direction), score in sorted(verdicts.scores.items()):
        yield (
            f"| {suite} | {direction} | {score.checked:,} | {score.deviating:,} | {score.refused} |"
        )
    yield ""


def _allowances(verdicts: Verdicts) -> Iterator[str]:
    yield "## Deviations that pass\n"
    yield "Sections are those of the protocol notes.\n"
    yield "| suite | what | source | messages |"
    yield "| --- | --- | --- | ---: |"
    for one in ALLOWED:
        suite = "all" if one.suite == ".*" else one.suite.replace(".*", "").replace("|", ", ")
        yield f"| {suite} | {one.what} | {one.source} | {verdicts.used[one]:,} |"
    yield ""


def _kinds(verdicts: Verdicts) -> Iterator[str]:
    yield "## Kinds of messages\n"
    yield "| suite | direction | kinds |"
    yield "| --- | --- | --- |"
    for (suite, direction), score in sorted(verdicts.scores.items()):
        names = ", ".join(f"`{name}`" for name in sorted(score.kinds))
        yield f"| {suite} | {direction} | {names} |"
    yield ""


def _fields(verdicts: Verdicts) -> Iterator[str]:
    yield "## Fields that our client sends\n"
    yield "Of every form of every message; `[]` is any entry of a list.\n"
    yield "| suite | kind | fields |"
    yield "| --- | --- | --- |"
    for (suite, _), score in sorted(verdicts.scores.items()):
        for kind, paths in sorted(score.fields.items()):
            yield f"| {suite} | {kind} | {', '.join(f'`{path}`' for path in sorted(paths))} |"
    yield ""


def fields_of(text: str) -> Iterator[str]:
    """Return the paths of all values in a JSON text; what a schema or `metadata` holds is one."""
    yield from _paths(json.loads(text), "")


def _paths(value: object, path: str) -> Iterator[str]:
    if isinstance(value, dict) and path.rpartition(".")[2] not in OPAQUE:
        for name, one in value.items():
            yield from _paths(one, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for one in value:
            yield from _paths(one, f"{path}[]")
    else:
        yield path


def _guesses() -> Iterator[str]:
    yield "## Guesses\n"
    yield (
        "What no source tells is marked (G) in the notes and in the sources of the service.\n"
        "Wordings of errors that no source gives are guesses, too, and have no switch.\n"
        "These guesses are fields of `analysis.simulator.profile.Profile`:\n"
    )
    yield from _table(switches())
    yield "These are constants:\n"
    yield from _table(constants())


def _table(rows: Iterable[Switch]) -> Iterator[str]:
    yield "| name | value | what |"
    yield "| --- | --- | --- |"
    for row in rows:
        yield f"| `{row.name}` | `{row.value}` | {row.words} |"
    yield ""


if __name__ == "__main__":
    found = run()
    PAGE.write_text(page(found), encoding="utf-8")
    for line in found.refusals:
        print(line)
    total = sum(score.checked for score in found.scores.values())
    print(f"{found.plays} plays, {total:,} messages, {len(found.refusals)} refusals: {PAGE}")
    raise SystemExit(bool(found.refusals))
