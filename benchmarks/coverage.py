"""How often do the intervals of an audit hold the true share, where chunks change together?

Simulated audits: whole requests of ten chunks are drawn, and each request has a rate of its own
around the true one (beta distribution), so that chunks of a request are correlated. No label and no
model is in it. Beside the intervals that `semfn evaluate --audit` and `semfn prove` print stand
those that take chunks for independent ones.

    python benchmarks/coverage.py [--draws 2000] [--seed 1]

Writes `performance_results/coverage_<UTC time>.json`; the same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis.evaluation.grouped import (  # noqa: E402 (the checkout comes first)
    grouped_share,
    paired_difference,
)

PACK = 10
REQUESTS = (10, 30, 100)
RATES = (0.01, 0.02, 0.05, 0.2)
CORRELATIONS = (0.0, 0.05, 0.1, 0.3, 0.5)
PAIRS = ((0.05, 0.05), (0.1, 0.0), (0.15, 0.05))
"""Rates of an arm and of the repetition."""

Hits = NDArray[np.int64]


def hits(rng: np.random.Generator, shape: tuple[int, int], rate: float, correlation: float) -> Hits:
    """Return the chunks that change in each request, shape (draws, requests).

    Args:
        rng: Chance.
        shape: Draws and requests.
        rate: Of changes, 0 to 1.
        correlation: Of two chunks of a request, 0 to 1.
    """
    if rate == 0 or correlation == 0:
        return rng.binomial(PACK, rate, size=shape)
    scale = (1 - correlation) / correlation
    return rng.binomial(PACK, rng.beta(rate * scale, (1 - rate) * scale, size=shape))


DIFFERENCE_CELLS = tuple(
    (requests, pair, *both)
    for requests, pair, both in product(
        REQUESTS, PAIRS, (*((one, one) for one in CORRELATIONS), (0.0, 0.3))
    )
)
"""Requests, rates of the arm and of the repetition, and the correlation in each."""


def shares(
    rng: np.random.Generator,
    draws: int,
    cells: Sequence[tuple[int, float, float]] = tuple(product(REQUESTS, RATES, CORRELATIONS)),
) -> Iterator[dict[str, Any]]:
    """Yield coverage and mean width of the intervals of a share, one row per cell.

    Args:
        rng: Chance.
        draws: Simulated audits in each cell.
        cells: Requests, rate and correlation.
    """
    for requests, rate, correlation in cells:
        found = [
            grouped_share([(int(one), PACK) for one in drawn])
            for drawn in hits(rng, (draws, requests), rate, correlation)
        ]
        held = sum(one.low <= rate <= one.high for one in found)
        by_rows = sum(one.low_by_rows <= rate <= one.high_by_rows for one in found)
        yield {
            "requests": requests,
            "rate": rate,
            "correlation": correlation,
            "coverage": held / draws,
            "coverage_by_rows": by_rows / draws,
            "width": round(sum(one.high - one.low for one in found) / draws, 4),
        }


def differences(
    rng: np.random.Generator,
    draws: int,
    cells: Sequence[tuple[int, tuple[float, float], float, float]] = DIFFERENCE_CELLS,
) -> Iterator[dict[str, Any]]:
    """Yield coverage of the difference beyond noise, and how often its test says p < 0.05.

    Args:
        rng: Chance.
        draws: Simulated audits in each cell.
        cells: Requests, rates of the arm and of the repetition, and the correlation in each.
    """
    for requests, (arm, again), one, two in cells:
        shape = (draws, requests)
        both = hits(rng, shape, arm, one), hits(rng, shape, again, two)
        found = [
            paired_difference([(int(a), int(b), PACK) for a, b in zip(*drawn, strict=True)])
            for drawn in zip(*both, strict=True)
        ]
        held = sum(each.low <= arm - again <= each.high for each in found)
        yield {
            "requests": requests,
            "arm": arm,
            "again": again,
            "correlation_arm": one,
            "correlation_again": two,
            "coverage": held / draws,
            "p_below_0.05": sum(each.p_value < 0.05 for each in found) / draws,
        }


def main() -> None:
    """Print the worst cells and write all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=2_000, help="simulated audits in each cell")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    found = {
        "question": (__doc__ or "").splitlines()[0],
        "simulated": True,
        "draws": options.draws,
        "seed": options.seed,
        "pack": PACK,
        "level": 0.95,
        "shares": list(shares(rng, options.draws)),
        "differences": list(differences(rng, options.draws // 4)),
    }
    for name in ("shares", "differences"):
        worst = min(found[name], key=lambda row: row["coverage"])
        print(f"{name}: least coverage {worst}")
    target = ROOT / "performance_results" / f"coverage_{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
