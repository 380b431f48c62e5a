"""How long do REST, Realtime and hybrid take on 1, 10, 30 and 300 chunks, side by side?

The same as `semfn bench`, from a checkout. Without `--live` a simulated service in its own process
answers, with one scripted latency for all routes, so every figure is simulated: it measures the
client, and no model.

    python benchmarks/latency.py             simulated, about two minutes
    python benchmarks/latency.py --live      the endpoint of OPENAI_API_KEY and OPENAI_BASE_URL

Writes performance_results/performance_comparison_<UTC time>.json and, with matplotlib, a PNG.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run the command with the results folder of the checkout."""
    sys.path.insert(0, str(ROOT))
    from analysis.commands.bench import bench

    bench(
        prog_name="python benchmarks/latency.py",
        default_map={"results": str(ROOT / "performance_results")},
    )


if __name__ == "__main__":
    main()
