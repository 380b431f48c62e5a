"""How Ctrl-C reaches a run of plain Python, and whose signals it is."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

from analysis.entry import analyze_file
from analysis.hooks import Hooks
from analysis.interrupts import INTERRUPTED, plain_signals
from analysis.records import Verdict
from analysis.simulator.server import start_in_thread
from analysis.simulator.service import Service, digest_answerer
from analysis.telemetry import Event
from tests.commands.running import UNHURRIED, heard_by, paid_service, table


def test_first_ctrl_c_in_a_script_keeps_what_is_paid(tmp_path: Path) -> None:
    """Requests in flight end, and the same call again asks only the rest."""
    seen: list[Verdict] = []

    def interrupt(verdict: Verdict) -> None:
        seen.append(verdict)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGINT)

    with paid_service(latency_ms=200) as service, heard_by(signal.default_int_handler):
        chosen: dict[str, Any] = {"api_key": "k", "base_url": service.base_url}
        chosen["settings"] = UNHURRIED
        path, hooks = table(tmp_path, 60), Hooks(on_verdict=interrupt)
        summary = analyze_file(
            path, hooks=hooks, max_concurrent=4, max_chunks_per_request=2, **chosen
        )
        assert (130, INTERRUPTED) == (summary.exit_code, summary.stopped)
        assert 0 < summary.labeled == service.chunks < 60
        assert {"done": len(service.records)} == summary.requests
        assert 60 == analyze_file(path, max_chunks_per_request=2, **chosen).labeled
        assert 60 == service.chunks


def test_second_ctrl_c_in_a_script_ends_at_once(tmp_path: Path) -> None:
    """Answers that never come are left; what may have been paid is unknown, not open."""
    paid: list[Any] = []

    def payment(record: Any) -> None:
        paid.append(record)
        if len(paid) == 1:
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: to the process, not to this thread

    def again(event: Event) -> None:
        if event.message == INTERRUPTED:
            signal.raise_signal(signal.SIGINT)

    service = Service(digest_answerer(("example",)), payment=payment, faults={"hang": 1.0})
    with start_in_thread(service) as base_url, heard_by(signal.default_int_handler):
        summary = analyze_file(
            table(tmp_path), hooks=Hooks(on_event=again), api_key="k", base_url=base_url
        )
    assert (130, INTERRUPTED, 0) == (summary.exit_code, summary.stopped, summary.labeled)
    assert ["unknown"] == list(summary.requests)
    assert summary.requests["unknown"] == summary.unknown_requests >= 1


def test_ctrl_c_is_taken_over_only_where_python_itself_would_hear_it() -> None:
    """Neither from a handler of the caller's own, nor in a running loop, nor in another thread."""
    found: list[tuple[signal.Signals, ...]] = []

    async def cell() -> None:
        found.append(plain_signals())

    with heard_by(signal.SIG_IGN):
        found.append(plain_signals())
    with heard_by(signal.default_int_handler):
        assert (signal.SIGINT,) == plain_signals()
        asyncio.run(cell())
        thread = threading.Thread(target=lambda: found.append(plain_signals()))
        thread.start()
        thread.join()
    assert [(), (), ()] == found
