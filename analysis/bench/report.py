"""From measured jobs to the result document, its file and the table for people.

io: writes the file and reads the machine's name. The command `bench` calls it.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from analysis import __version__
from analysis.bench.figures import cells, cold_starts, ratios, unequal, unequal_between
from analysis.bench.latency import SAMPLE, Measured, Options
from analysis.pipeline.bill import SIMULATED_MODELS
from analysis.settings import SETTINGS
from analysis.simulator.profile import PROFILE
from analysis.transport.carrier import KEEP_ALIVE_S

Document = dict[str, Any]

COLUMNS = (
    *("chunks", "analyzer", "route", "k", "waves", "p50\nms", "p95\nms", "p99\nms"),
    *("total\ns", "ratio", "added\nms", "ok"),
)
"""Of the table; short, so that it fits a terminal of 80 columns."""

QUESTION = "How long do REST, Realtime and hybrid take for small and large jobs, side by side?"

SIMULATED = (
    "simulated: the same scripted latency for all routes; only --live answers how a real endpoint "
    "compares (the 4.4x of the quick reference)"
)
LIVE = (
    "measured at {host}: rest and realtime ask different models there, so a ratio compares route "
    "and model together, as the 4.4x of the quick reference does"
)


def make_document(measured: Measured, *, command: str, now: datetime) -> Document:
    """Return the whole result, ready for JSON.

    Args:
        measured: What was measured.
        command: The command that measures the same again.
        now: Time of the end, UTC.
    """
    options, jobs, bare = measured.options, measured.scripted.jobs, measured.bare
    in_flight = _in_flight(options)
    found = cells(jobs, bare.jobs, expected=measured.expected, in_flight=in_flight)
    models = {model for cell in found for model in cell.models}
    # An address that was set may lead to a simulated service, too; its answers say so.
    is_simulated = not options.is_live or bool(models & SIMULATED_MODELS)
    return {
        "question": QUESTION,
        "simulated": is_simulated,
        "command": command,
        "at": now.isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "endpoint": measured.host or "simulated service, one process per analyzer",
        "profile": None if options.is_live else _profile(options),
        "setting": {
            "sizes": list(options.sizes),
            "rounds": options.rounds,
            "seed": options.seed,
            "chunks_per_request": options.chunks_per_request or "chosen by each analyzer",
            "requests_in_flight": in_flight,
            "models_asked_for": dict(measured.models),
            "texts": f"analysis/samples/{SAMPLE}, from its first row",
            "warm_up_jobs": list(options.warm_up),
        },
        "cells": [asdict(cell) | {"models": list(cell.models)} for cell in found],
        "cold": [asdict(one) for one in cold_starts(measured.scripted.cold, bare.cold)],
        "ratios": [asdict(one) for one in ratios(jobs)],
        "services": [asdict(one) | {"analyzers": list(one.analyzers)} for one in measured.services],
        "failed": sum(cell.asked - cell.labelled for cell in found)
        + sum(job.size - len(job.labelled) for job in (*measured.scripted.cold, *bare.jobs)),
        "unequal_to_digest": _unequal_to_digest(measured),
        "unequal_between_analyzers": unequal_between(jobs),
        "notes": _notes(measured, is_simulated=is_simulated),
    }


def _in_flight(options: Options) -> dict[str, int]:
    own = {"realtime": SETTINGS.realtime_in_flight, "rest": SETTINGS.rest_in_flight}
    return {route: options.max_concurrent or limit for route, limit in own.items()}


def _profile(options: Options) -> Document:
    return {
        "shape": "log-normal, drawn per request in the order of arrival; the same for all routes",
        "median_ms": options.latency_ms,
        "sigma": PROFILE.latency_sigma if options.latency_ms else 0.0,
        "seed": options.seed,
        "faults": "none",
        "limits": "none enforced",
    }


def _unequal_to_digest(measured: Measured) -> int | None:
    """Return how many labels of both series are not the digest's, or None if live."""
    if measured.expected is None:
        return None
    bare = () if measured.bare is measured.scripted else (measured.bare,)
    return sum(
        unequal(job, measured.expected)
        for series in (measured.scripted, *bare)
        for job in (*series.jobs, *series.cold)
    )


def _notes(measured: Measured, *, is_simulated: bool) -> list[str]:
    notes = [
        SIMULATED if is_simulated else LIVE.format(host=measured.host),
        "Percentiles are by nearest rank: with fewer than 20 samples p95 is the largest value, "
        "with fewer than 100 p99 is.",
        "A chunk's latency is that of its request, from send to last event; chunks of one request "
        "share it. Time in the client's queue is in the total, not in the latency.",
        "The hybrid analyzer sends small jobs over realtime and large ones over rest; its cells "
        "name the route.",
        f"REST sockets idle for {KEEP_ALIVE_S:g} s are closed by the client; a later job opens "
        "them anew, and that time counts.",
        "A cold start is a new analyzer up to its first verdict, with all modules loaded.",
    ]
    if not measured.options.is_live:
        notes += [
            "Every analyzer has a service of its own with the same seed: the n-th request of each "
            "meets the same latency, so ratios carry no luck of the draw.",
            "With one latency for all routes a ratio shows what the client does: requests at once "
            "(waves), packing, overhead. It cannot show which route a vendor serves faster.",
            "Overhead is the latency of the same jobs at latency 0: client, loopback and the "
            "simulated service's own work. In jobs of many requests it holds the wait for the "
            "others, since all are sent at once; totals of that series can hold waits of the "
            "client's pacing.",
        ]
    else:
        notes.append(
            "Overhead, digest check and scripted profile need the simulated service; labels that "
            "differ between analyzers are no fault here, since their models differ."
        )
    return notes


def machine() -> Document:
    """Return what the figures were measured on."""
    return {
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
    }


def is_good(document: Mapping[str, Any]) -> bool:
    """Return whether every chunk was labelled and, if simulated, as its digest says."""
    unequal_labels = 0
    if document["unequal_to_digest"] is not None:
        unequal_labels = document["unequal_to_digest"] + document["unequal_between_analyzers"]
    return document["failed"] == 0 and unequal_labels == 0


def write(document: Mapping[str, Any], folder: Path, now: datetime) -> Path:
    """Write the document below `folder` and return its path.

    Raises:
        OSError: If it cannot be written.
    """
    target = folder / f"performance_comparison_{now:%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return target


def make_table(document: Mapping[str, Any]) -> Table:
    """Return the figures as a table of one line per cell."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in COLUMNS:
        is_text = name in ("analyzer", "route")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    quotient = {(one["size"], one["name"]): one["of_medians"] for one in document["ratios"]}
    for cell in document["cells"]:
        latency, overhead = cell["latency_ms"], cell["overhead_ms"]
        ratio = quotient.get((cell["size"], f"rest/{cell['analyzer']}"))
        table.add_row(
            str(cell["size"]),
            cell["analyzer"],
            ",".join(cell["routes"]) or "-",
            str(cell["chunks_per_request"]),
            str(cell["waves"] or "-"),
            *(f"{latency[name]:.1f}" if latency else "-" for name in ("p50", "p95", "p99")),
            f"{cell['total_s']['median']:.3f}",
            "" if ratio is None else f"{ratio:.2f}",
            f"{overhead['p50']:.1f}" if overhead else "-",
            f"{cell['success']:.0%}",
        )
    return table


def closing_lines(document: Mapping[str, Any]) -> list[str]:
    """Return what stands below the table."""
    cold = ", ".join(
        f"{one['analyzer']} {one['total_s']['median']:.3f} s" for one in document["cold"]
    )
    rounds = document["setting"]["rounds"]
    lines = [
        f"Medians over {rounds} rounds; k: chunks in one request; waves: requests of a job by "
        "requests at once; ratio: total of rest by this total; added: p50 at latency 0.",
        f"Cold start with one chunk: {cold}.",
        f"Failed chunks: {document['failed']}.",
    ]
    if document["unequal_to_digest"] is not None:
        lines[-1] += (
            f" Labels unequal to the digest of their text: {document['unequal_to_digest']}; "
            f"unequal between analyzers: {document['unequal_between_analyzers']}."
        )
    if document["services"]:
        lines.append(_service_line(document["services"]))
    return [*lines, document["notes"][0]]


def _service_line(services: Sequence[Mapping[str, Any]]) -> str:
    requests = sum(one["paid_requests"] for one in services)
    cpu_s = sum(one["cpu_s"] for one in services)
    share = max(one["core_share"] for one in services)
    return (
        f"Simulated services: {1_000 * cpu_s / requests:.2f} ms of processor time for each of "
        f"{requests} requests, at most {share:.0%} of a core."
    )
