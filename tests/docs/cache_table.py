"""The table of docs/explanation/money.md on what a cached prompt costs: `python -m` prints it.

Prices from the package's table, tokens from `prompt_tokens.toml`; a test holds the page against it.
"""

from __future__ import annotations

import tomllib

from analysis.prices import price_table
from analysis.records import Usage
from tests.docs.prompt_tokens import TARGET

MODEL = "gpt-6-luna"
SETS = ("ten_functions", "sci_abstract")
SIZES = (1, 10, 20)
HITS = (0.0, 0.5, 1.0)
CHUNKS = 10_000
TEXT_TOKENS = 100
ANSWER_FRAME_TOKENS = 4


def table() -> str:
    """Return the table: dollars for `CHUNKS` chunks, the growth in tokens, the break-even."""
    lines = [
        "| set | chunks in a request | without | with, 0 % hits | 50 % | 100 % | tokens "
        "| as cheap at |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in SETS:
        for size in SIZES:
            plain = _dollars(name, size, None)
            shown = [_dollars(name, size, hits) for hits in HITS]
            cells = [f"{amount:.2f}" for amount in (plain, *shown)]
            more = _tokens(name, size, is_shown=True) / _tokens(name, size, is_shown=False) - 1
            even = (shown[0] - plain) / (shown[0] - shown[-1])
            cells += [f"+{more:.0%}".replace("%", " %"), f"{even:.0%}".replace("%", " %")]
            lines.append(f"| `{name}` | {size} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _told(name: str, *, is_shown: bool) -> int:
    counts = tomllib.loads(TARGET.read_text(encoding="utf-8"))[name]
    return int(counts["shown"] if is_shown else counts["instructions"] + counts["schema"])


def _beside(name: str, size: int) -> tuple[float, float]:
    """Return input beside what is told once, and output, of one request."""
    counts = tomllib.loads(TARGET.read_text(encoding="utf-8"))[name]
    asked = size * (TEXT_TOKENS + float(counts["envelope"]))
    return asked, size * float(counts["answer"]) + ANSWER_FRAME_TOKENS


def _tokens(name: str, size: int, *, is_shown: bool) -> float:
    return _told(name, is_shown=is_shown) + sum(_beside(name, size))


def _dollars(name: str, size: int, hits: float | None) -> float:
    """Return the price of all requests; `hits`: share of them that read, None without examples."""
    told, (beside, answer) = _told(name, is_shown=hits is not None), _beside(name, size)
    requests = CHUNKS // size
    usage = Usage(
        input_tokens=round(requests * (told + beside)),
        cached_tokens=0 if hits is None else round(requests * hits) * told,
        written_tokens=0 if hits is None else round(requests * (1 - hits)) * told,
        output_tokens=round(requests * answer),
    )
    cost = price_table().cost_usd(MODEL, usage, requests=requests)
    assert cost is not None
    return cost


if __name__ == "__main__":
    print(table(), end="")
