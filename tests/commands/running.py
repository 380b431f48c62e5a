"""The real command in this process, tables for it, and a service that notes what was paid."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from analysis.__main__ import main
from analysis.labels.label_set import LabelSet
from analysis.settings import SETTINGS
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Answerer, Service, digest_answerer

HEADER = ("id", "text", "topic")
LONGEST_S = 240.0
"""Real seconds for a command in a process of its own; on a busy machine one took 44."""
UNHURRIED = replace(SETTINGS, hedge_share=0.0, hedge_extra=0, silence_calls=1_000)
"""Knobs under which a request is paid once: none is sent again since a busy machine is late."""
NO_ENDPOINT = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None}


@dataclass(frozen=True, slots=True)
class Paid:
    """A running service: where it is, and the payment records so far."""

    base_url: str
    service: Service
    records: list[dict[str, Any]]

    @property
    def chunks(self) -> int:
        """How many chunks were paid, each time counted."""
        return sum(record["chunks"] for record in self.records)

    def use_up_requests(self, count: int) -> None:
        """Take so many requests from the account's limit, as another program would."""
        for _ in range(count):
            self.service.limits.admit("gpt-6-luna", 1, time.monotonic())

    def environment(self, key: str = "right") -> dict[str, str | None]:
        """Return the variables that lead the command to this service."""
        return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": self.base_url}


@contextlib.contextmanager
def paid_service(*, answerer: Answerer | None = None, **options: Any) -> Iterator[Paid]:
    """Serve digest labels, or those of `answerer`, in a thread; options as those of `Service`."""
    records: list[dict[str, Any]] = []
    model = answerer or digest_answerer(LabelSet.load("ten_functions").keys)
    service = Service(model, payment=records.append, **options)
    with start_in_thread(service) as base_url:
        yield Paid(base_url, service, records)


@contextlib.contextmanager
def heard_by(handler: Any) -> Iterator[None]:
    """Have Ctrl-C call this; a shell starts programs in the background with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
        assert handler is signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def semfn(*arguments: object, env: dict[str, str | None] | None = None) -> Result:
    """Give a command with `UNHURRIED` knobs; without `env` there is neither key nor base URL."""
    runner = CliRunner(env=NO_ENDPOINT if env is None else env)
    given = [str(argument) for argument in arguments]
    return runner.invoke(main, given, prog_name="semfn", obj=UNHURRIED)


def table(folder: Path, rows: int = 30, name: str = "chunks.csv") -> Path:
    """Write a table of so many rows, each with a text of its own."""
    cells = [(f"c{number}", f"Text number {number}.", "Trains") for number in range(1, rows + 1)]
    return written(folder, [HEADER, *cells], name)


def written(folder: Path, rows: Sequence[Sequence[str]], name: str = "chunks.csv") -> Path:
    """Write rows, the header first, and return the path."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return path


def raw(folder: Path, data: bytes, name: str = "chunks.csv") -> Path:
    """Write bytes and return the path."""
    path = folder / name
    path.write_bytes(data)
    return path


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def column(path: Path, name: str) -> list[str]:
    """Return one column of a table."""
    return [row[name] for row in read(path)]


def assert_refused(result: Result, folder: Path, *parts: str, files: Sequence[str]) -> None:
    """Assert exit 2 with one error on stderr that has these parts, and no new file."""
    assert 2 == result.exit_code, result.output
    assert "" == result.stdout
    error = result.stderr[result.stderr.index("Error: ") :]
    assert [part for part in parts if part not in error] == [], error
    assert "Traceback" not in result.output
    assert 1 == error.rstrip("\n").count("\n") + 1, error
    assert sorted(files) == sorted(os.listdir(folder))
