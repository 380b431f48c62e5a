"""The ratios of a result document as PNG.

io. `makespan` calls it where matplotlib is installed (the extra `plot`).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any


def draw(document: Mapping[str, Any], target: Path) -> None:
    """Write makespan / bound per regime and contestant; works without a screen.

    The bound is that for packs as large as the contestant may send. A dot is the median, the line
    goes to the worst run, the dash is the goal.

    Raises:
        ImportError: If matplotlib is not installed.
        OSError: If the file cannot be written.
    """
    figures = import_module("matplotlib.figure")
    agg = import_module("matplotlib.backends.backend_agg")
    regimes = document["regimes"]
    figure = figures.Figure(figsize=(2 + 2.2 * len(regimes), 4.8), layout="constrained")
    agg.FigureCanvasAgg(figure)
    axes = figure.subplots()
    listed = [one["contestant"] for regime in regimes for one in regime["contestants"]]
    names = list(dict.fromkeys(listed))
    for place, name in enumerate(names):
        found = [
            (index, one["own_ratio"])
            for index, regime in enumerate(regimes)
            for one in regime["contestants"]
            if one["contestant"] == name
        ]
        shift = (place - (len(names) - 1) / 2) * 0.09
        at = [index + shift for index, _ in found]
        middle = [ratio["median"] for _, ratio in found]
        reach = [ratio["worst"] - ratio["median"] for _, ratio in found]
        axes.errorbar(at, middle, yerr=[[0.0] * len(reach), reach], fmt="o", capsize=3, label=name)
    for index, regime in enumerate(regimes):
        if (goal := regime["goal"]) is not None:
            axes.hlines(goal, index - 0.42, index + 0.42, colors="black", linestyles="dashed")
    axes.set_xticks(range(len(regimes)), labels=[regime["name"] for regime in regimes])
    axes.set(yscale="log", ylabel="makespan / bound: median, up to the worst run")
    axes.set_yticks([1, 1.5, 2, 5, 10, 20, 40, 100, 1_000])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(visible=True, axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", fontsize=8, ncols=len(names))
    axes.set_title(
        f"simulated, {document['seed_set']} seeds, {document['at']}; 40 and more: not complete",
        fontsize=10,
    )
    figure.savefig(target, dpi=130, format="png")
