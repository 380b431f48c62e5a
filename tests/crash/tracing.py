"""What a process does to files, seen and disturbed by strace.

`points.py` kills at a call, `test_full_disk.py` lets one fail, `power.py` replays what was written.
Calls are counted for each thread by itself, as strace does it.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

CALLS = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate")
"""The calls that make, fill, sync, cut, name and remove files, as CPython and SQLite use them."""

LONGEST_STRING = 1 << 20

_LINE = re.compile(r"(?P<thread>\d+)\s+(?P<name>\w+)\((?P<rest>.*)", re.DOTALL)
_RESUMED = re.compile(r"(?P<thread>\d+)\s+<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_ENDING = re.compile(r"\)\s+= (?P<result>-?\d+|\?)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OPENED = re.compile(r"(?:(?P<number>\d+)|AT_FDCWD)<(?P<path>(?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a process.

    Attributes:
        thread: Id of the thread.
        name: Such as `pwrite64`.
        begun: Place in the order in which calls began.
        rest: Arguments as strace writes them, strings and paths in hex.
        result: What it returned; None where the process ended inside of it.
    """

    thread: int
    name: str
    begun: int
    rest: str
    result: int | None = None

    @property
    def paths(self) -> list[str]:
        """Files that it names: the one behind its descriptor, or those among its arguments."""
        if self.name not in ("openat", "rename", "unlink"):
            return [_bytes(found["path"]).decode() for found in [_OPENED.match(self.rest)] if found]
        return [data.decode(errors="surrogateescape") for data in self.strings]

    @property
    def strings(self) -> list[bytes]:
        """Its arguments that are strings."""
        return [_bytes(text) for text in _STRING.findall(self.rest)]

    @property
    def descriptor(self) -> int:
        """The descriptor that it is given; -1 where there is none."""
        found = _OPENED.match(self.rest)
        return int(found["number"]) if found and found["number"] else -1

    @property
    def last_number(self) -> int:
        """Its last argument: the offset of `pwrite64`, the size of `ftruncate`."""
        return int(self.rest.split(")")[0].rsplit(",", 1)[1])

    @property
    def may_change(self) -> bool:
        """Tell whether files can be another after it."""
        return self.name != "openat" or "O_CREAT" in self.rest or "O_TRUNC" in self.rest


@functools.cache
def why_not() -> str:
    """Return why nothing can be traced on this machine; empty if it can."""
    if sys.platform != "linux":
        return "strace is a program for Linux"
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    return "" if tried.returncode == 0 else "ptrace is refused on this machine"


def recording(log: Path, command: Sequence[str]) -> list[str]:
    """Return the command that does a command and notes its calls with all that they write."""
    return [
        *("strace", "-f", "-qq", "-y", "-xx", "-s", str(LONGEST_STRING), "-o", str(log)),
        *("-e", f"trace={','.join(CALLS)}", *command),
    ]


def disturbed(
    log: Path, command: Sequence[str], *, call: str, path: str, nth: str, what: str
) -> list[str]:
    """Return the command that does a command and disturbs one of its calls.

    Args:
        log: Where its calls are noted.
        command: What is traced.
        call: Name of the call.
        path: The only file whose calls count; empty for all.
        nth: From 1 in each thread; `5+` for all from the fifth on.
        what: `signal=SIGKILL`, `error=EIO` and so on.
    """
    return [
        *("strace", "-f", "-qq", "-y", "-xx", "-s", "0", "-o", str(log)),
        *(("-P", path) if path else ()),
        *("-e", f"trace={call}", "-e", f"inject={call}:{what}:when={nth}", *command),
    ]


def calls_of(log: Path) -> list[Call]:
    """Return the calls of a log in the order in which they ended; those that never did are last."""
    return list(_ended(log))


def _ended(log: Path) -> Iterator[Call]:
    open_calls: dict[int, Call] = {}
    for begun, line in enumerate(log.read_text(encoding="ascii").splitlines()):
        if found := _RESUMED.match(line):
            call = open_calls.pop(int(found["thread"]))
            call = replace(call, rest=call.rest + found["rest"])
        elif found := _LINE.match(line):
            call = Call(
                thread=int(found["thread"]), name=found["name"], begun=begun, rest=found["rest"]
            )
        else:
            continue  # a signal, or the end of a thread
        ending = _ENDING.search(call.rest)
        if ending is None or ending["result"] == "?":
            open_calls[call.thread] = replace(call, rest=call.rest.removesuffix(_UNFINISHED))
        else:
            yield replace(call, result=int(ending["result"]))
    yield from open_calls.values()


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
