"""A disk that loses power: what can be on it after any call of a recorded process.

`power.py` feeds it the calls of a trace. What a file holds is durable once the file was synced, and
which names a folder has once the folder was synced. The rest may be there, not be there, or be
there in part; a rename happens whole or not at all. SQLite's index of the WAL (`-shm`) is written
through memory, which no trace shows, and is made anew after a crash; here it holds what calls
wrote.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from tests.crash.tracing import Call

SECTOR = 512
"""Bytes that a disk writes whole or not at all."""


class Content(StrEnum):
    """What becomes of bytes that were written and not synced."""

    KEPT = "kept"
    LOST = "lost"
    TORN = "torn"


class Names(StrEnum):
    """What becomes of changes of a folder that was not synced."""

    KEPT = "kept"
    LOST = "lost"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Bytes at an offset, or with `data` None the new size of a file."""

    offset: int
    data: bytes | None


@dataclass(slots=True)
class Node:
    """A file without its name: its changes, of which the first `durable` are on the disk."""

    changes: list[Change] = field(default_factory=list)
    durable: int = 0


@dataclass(slots=True, kw_only=True)
class Naming:
    """One change of a folder: `name` now means `node`, or nothing, and `gone` does not exist."""

    name: str
    node: Node | None
    gone: str = ""
    is_durable: bool = False


class Disk:
    """The files below a folder while a process works on them.

    Args:
        before: Path -> bytes of files that were there and durable.
    """

    def __init__(self, before: dict[str, bytes]) -> None:
        self.names: dict[str, Node] = {}
        self._first: dict[str, Node] = {}
        self._namings: list[Naming] = []
        self._places: dict[int, int] = {}
        for name, data in before.items():
            node = Node([Change(offset=0, data=data)], durable=1)
            self.names[name] = self._first[name] = node

    def apply(self, call: Call) -> None:
        """Take the effect of a call that ended."""
        if call.result is None or call.result < 0 or not call.paths:
            return
        path = call.paths[0]
        match call.name:
            case "openat":
                self._open(path, call)
            case "write":
                place = self._places.get(call.descriptor, 0)
                self._change(path, Change(offset=place, data=call.strings[0]))
                self._places[call.descriptor] = place + call.result
            case "pwrite64":
                self._change(path, Change(offset=call.last_number, data=call.strings[0]))
            case "ftruncate":
                self._change(path, Change(offset=call.last_number, data=None))
            case "fsync" | "fdatasync":
                self._sync(path)
            case "rename":
                self._rename(*call.paths)
            case "unlink":
                self._name(Naming(name=path, node=None))

    def content(self, name: str) -> bytes:
        """Return what a file holds for the process itself; empty if there is none."""
        node = self.names.get(name)
        return b"" if node is None else _written(node.changes)

    def after_power_loss(
        self, content: Content, names: Names, rng: random.Random
    ) -> dict[str, bytes]:
        """Return the files, path -> bytes, that a next start may find."""
        found = dict(self._first)
        waiting = [naming for naming in self._namings if not naming.is_durable]
        kept = {Names.KEPT: len(waiting), Names.LOST: 0, Names.PREFIX: rng.randint(0, len(waiting))}
        lasting = waiting[: kept[names]]
        for naming in self._namings:
            if naming.is_durable or any(naming is other for other in lasting):
                _enter(found, naming)
        states: dict[int, bytes] = {}
        for node in found.values():
            if id(node) not in states:
                states[id(node)] = _left(node, content, rng)
        return {name: states[id(node)] for name, node in found.items()}

    def _open(self, path: str, call: Call) -> None:
        if "O_APPEND" in call.rest:
            self._places[call.result or 0] = len(self.content(path))
        else:
            self._places[call.result or 0] = 0
        if path not in self.names and "O_CREAT" in call.rest:
            self._name(Naming(name=path, node=Node()))
        elif path in self.names and "O_TRUNC" in call.rest:
            self._change(path, Change(offset=0, data=None))

    def _change(self, path: str, change: Change) -> None:
        if path in self.names:
            self.names[path].changes.append(change)

    def _sync(self, path: str) -> None:
        if path in self.names:
            self.names[path].durable = len(self.names[path].changes)
        for naming in self._namings:
            if str(PurePosixPath(naming.name).parent) == path:
                naming.is_durable = True

    def _rename(self, old: str, new: str) -> None:
        if old in self.names:
            self._name(Naming(name=new, node=self.names[old], gone=old))

    def _name(self, naming: Naming) -> None:
        self._namings.append(naming)
        _enter(self.names, naming)


def _enter(names: dict[str, Node], naming: Naming) -> None:
    names.pop(naming.gone, None)
    if naming.node is None:
        names.pop(naming.name, None)
    else:
        names[naming.name] = naming.node


def _left(node: Node, content: Content, rng: random.Random) -> bytes:
    """Return what is left of a file."""
    durable, waiting = node.changes[: node.durable], node.changes[node.durable :]
    match content:
        case Content.KEPT:
            return _written(node.changes)
        case Content.LOST:
            return _written(durable)
        case Content.TORN:
            survivors = [part for change in waiting for part in _torn(change, rng)]
            return _written([*durable, *survivors])


def _torn(change: Change, rng: random.Random) -> list[Change]:
    """Return the parts of a change that reached the disk: all, none, or some sectors."""
    fate = rng.choice(("whole", "none", "sectors"))
    if fate == "none":
        return []
    if fate == "whole" or change.data is None:
        return [change]
    parts, place = [], 0
    while place < len(change.data):
        size = SECTOR - (change.offset + place) % SECTOR
        if rng.random() < 0.5:
            data = change.data[place : place + size]
            parts.append(Change(offset=change.offset + place, data=data))
        place += size
    return parts


def _written(changes: Sequence[Change]) -> bytes:
    """Return the bytes of a file after its changes."""
    found = bytearray()
    for change in changes:
        if change.data is None:
            del found[change.offset :]
            found.extend(bytes(change.offset - len(found)))
        else:
            found.extend(bytes(max(0, change.offset - len(found))))
            found[change.offset : change.offset + len(change.data)] = change.data
    return bytes(found)
