"""The figures of a result document as PNG.

io. The command `bench` calls it. Needs the extra `plot`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from analysis.errors import ConfigurationError

COLOURS = {"rest": "#4477aa", "realtime": "#ee6677", "hybrid": "#228833"}
"""Told apart with the common kinds of colour blindness. Source: Paul Tol, "bright" scheme."""

MARKS = {"rest": "o", "realtime": "s", "hybrid": "^"}

SHIFTS = {"rest": 0.94, "realtime": 1.0, "hybrid": 1.06}
"""Factors on the job size, so that bars of one size stand beside each other."""


def draw(
    document: Mapping[str, Any],
    target: Path,
    *,
    load: Callable[[str], ModuleType] = import_module,
) -> None:
    """Write totals and latencies per job size as a PNG; works without a screen.

    Args:
        document: As `report.make_document` returns it.
        target: Path of the PNG.
        load: Imports a module.

    Raises:
        ConfigurationError: If matplotlib is not installed.
        OSError: If the file cannot be written.
    """
    try:
        figures = load("matplotlib.figure")
        agg = load("matplotlib.backends.backend_agg")
    except ImportError as error:
        raise ConfigurationError(
            "No plot was made, since matplotlib is not installed: pip install semfn[plot]"
        ) from error
    figure = figures.Figure(figsize=(11, 4.8), layout="constrained")
    agg.FigureCanvasAgg(figure)
    totals, latencies = figure.subplots(1, 2)
    for name in COLOURS:
        mine = [cell for cell in document["cells"] if cell["analyzer"] == name]
        _draw_totals(totals, name, mine)
        _draw_latencies(latencies, name, [cell for cell in mine if cell["latency_ms"]])
    for axes, title, unit in (
        (totals, "Total time of a job: median, min to max", "seconds"),
        (latencies, "Latency per chunk: p50, up to p99", "milliseconds"),
    ):
        axes.set(title=title, xlabel="chunks in the job", ylabel=unit, xscale="log", yscale="log")
        sizes = document["setting"]["sizes"]
        axes.set_xticks(sizes, labels=[str(size) for size in sizes])
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
        axes.legend()
    figure.suptitle(_heading(document), fontsize=10)
    figure.savefig(target, dpi=150, format="png")


def _draw_totals(axes: Any, name: str, cells: list[Mapping[str, Any]]) -> None:
    middle = [cell["total_s"]["median"] for cell in cells]
    low = [cell["total_s"]["median"] - cell["total_s"]["min"] for cell in cells]
    high = [cell["total_s"]["max"] - cell["total_s"]["median"] for cell in cells]
    _draw(axes, name, [cell["size"] for cell in cells], middle, [low, high])


def _draw_latencies(axes: Any, name: str, cells: list[Mapping[str, Any]]) -> None:
    middle = [cell["latency_ms"]["p50"] for cell in cells]
    high = [cell["latency_ms"]["p99"] - cell["latency_ms"]["p50"] for cell in cells]
    _draw(axes, name, [cell["size"] for cell in cells], middle, [[0.0] * len(high), high])


def _draw(
    axes: Any, name: str, sizes: list[int], middle: list[float], spans: list[list[float]]
) -> None:
    style = {"color": COLOURS[name], "marker": MARKS[name], "capsize": 3, "label": name}
    places = [size * SHIFTS[name] for size in sizes]
    axes.errorbar(places, middle, yerr=spans, **style)


def _heading(document: Mapping[str, Any]) -> str:
    if document["profile"] is None:
        mark = "simulated" if document["simulated"] else "measured"
        return f"{mark} at {document['endpoint']}, {document['at']}"
    return (
        f"simulated: the same scripted latency for all routes, median "
        f"{document['profile']['median_ms']:g} ms, sigma {document['profile']['sigma']:g}, "
        f"{document['setting']['rounds']} rounds"
    )
