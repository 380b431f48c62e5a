"""Settles two requests with the same chunk, and prints the label that the ledger holds.

    python -m tests.crash.late LEDGER

`planted.py` starts it with a bug in the ledger.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.pipeline.ledger_samples import chunk, done, labeled, opened, request


async def settle_twice(path: Path) -> str:
    """Record two answers for a chunk; return its label."""
    one = chunk("c1")
    with opened(path) as ledger:
        for name in ("first", "second"):
            await ledger.intend(request(name, one))
        await ledger.settle(done("first", (one, labeled(one, "example"))))
        await ledger.settle(done("second", (one, labeled(one, "digression"))))
        (verdict,) = ledger.lookup([one])
        assert verdict is not None
        return str(verdict.labels[0])


if __name__ == "__main__":
    print(asyncio.run(settle_twice(Path(sys.argv[1]))))
