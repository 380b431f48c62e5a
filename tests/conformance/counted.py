"""How many frames and bodies the conformance tests have checked, for a table at the end of a run.

The tests call `checked` for what has passed a type of the vendor's SDK, or was taken by the service
when the SDK sent it; `conftest` prints the table.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["to client", "to service"]

_counts: Counter[tuple[str, Direction]] = Counter()


def checked(name: str, direction: Direction, n: int = 1) -> None:
    """Count `n` frames or bodies of the route `name` that were found good."""
    _counts[name, direction] += n


def table() -> list[str]:
    """Return one line per route and direction, sorted."""
    return [f"{name:<24}{direction:<12}{n:>8,}" for (name, direction), n in sorted(_counts.items())]
