"""Makes docs/reference/routes.md: what each route can and cannot; `reference_pages` writes it.

The words and the tests that show them stand in `routes.toml`; models, numbers and service tiers
come from the code. `test_code_blocks.py` finds a test that does not exist.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from analysis.connections import TIER_ROUTES
from analysis.settings import DEFAULT_MODELS, ROUTES, SETTINGS, TEMPERATURE_RANGE, Settings
from analysis.transport import decisions, rest
from analysis.wire.decisions import SAFETY_IDENTIFIER_SIZE
from analysis.wire.lanes import LANES
from analysis.wire.lifetime import ROTATE_FROM, ROTATE_TO
from analysis.wire.silence import SilenceWatch

SOURCE = Path(__file__).with_name("routes.toml")
COLUMNS = {
    "realtime": "`realtime`",
    "responses-ws": "`responses-ws`",
    "responses": "`rest`, Responses API",
    "chat": "`rest`, chat completions",
    "decisions": "`decisions`",
    "offline": "`offline`",
}
NOT_APPLICABLE = "not applicable"
INTRO = """\
What each route can and cannot; how to choose: [choose a route](../howto/choose-a-route.md).
`rest` asks over the Responses API, and over chat completions where a server has no such address.
A cell begins with `yes` or `no` where the question has such an answer, and is `not applicable` \
where it does not arise.
The number behind a cell is that of the test that shows it; the tests stand at the end.
They run against the local service or a scripted server: nothing here was measured at a real \
endpoint.
"""


def routes_page(note: str) -> str:
    """Return the page; `note` says how it is made."""
    groups = tomllib.loads(SOURCE.read_text(encoding="utf-8"))["group"]
    filled = facts()
    numbers: dict[str, int] = {}
    parts = [f"# Routes\n\n{note}\n{INTRO}"]
    for group in groups:
        parts.append(f"## {group['title']}\n")
        parts.append(f"| | {' | '.join(COLUMNS.values())} |")
        parts.append("| --- " * (len(COLUMNS) + 1) + "|")
        parts += [line_of(row, filled, numbers) for row in group["row"]]
        parts.append("")
    parts.append("## Tests\n")
    parts += [f"{number}. `tests/{test}`" for test, number in numbers.items()]
    return "\n".join(parts) + "\n"


def line_of(row: dict[str, str], filled: dict[str, Any], numbers: dict[str, int]) -> str:
    """Return a line of a table; tests that are met for the first time get the next number."""
    if unknown := row.keys() - COLUMNS.keys() - {"what"}:
        raise ValueError(f"Row {row['what']!r} has a cell for {', '.join(sorted(unknown))}.")
    cells = [row["what"]]
    for column in COLUMNS:
        text, _, test = row.get(column, NOT_APPLICABLE).partition(" | ")
        number = f" ({numbers.setdefault(test, len(numbers) + 1)})" if test else ""
        cells.append(text.format_map(filled) + number)
    return f"| {' | '.join(cells)} |"


def facts() -> dict[str, Any]:
    """Return what the cells of `routes.toml` take from the code, by name."""
    most = next(one for one in fields(Settings) if one.name == "chunks_per_request")
    found: dict[str, Any] = {
        "lanes": LANES,
        "path_responses": rest.PATHS[rest.RESPONSES],
        "path_chat": rest.PATHS[rest.CHAT],
        "path_decisions": decisions.PATH,
        "rotation": f"{60 * ROTATE_FROM:.0f} to {60 * ROTATE_TO:.0f} minutes",
        "second_label": SETTINGS.second_label_probability,
        "chunks_most": most.metadata["high"],
        "temperature": "{} to {}".format(*TEMPERATURE_RANGE),
        "silence_s": f"{SETTINGS.silence_s:g}",
        "ping_s": f"{SilenceWatch(SETTINGS.silence_s).ping_s:g}",
        "timeout_s": f"{SETTINGS.timeout_s:g}",
        "other_model_s": f"{SETTINGS.other_model_after_s:g}",
        "identifier_characters": SAFETY_IDENTIFIER_SIZE,
    }
    for route in ROUTES:
        name = route.replace("-", "_")
        model = DEFAULT_MODELS[route]
        same = [other for other in ROUTES if DEFAULT_MODELS[other] == model and other != route]
        found[f"model_{name}"] = model
        found[f"same_{name}"] = ", ".join(f"`{other}`" for other in same) or "none"
        found[f"in_flight_{name}"] = getattr(SETTINGS, f"{name}_in_flight")
        found[f"tier_{name}"] = "yes" if route in TIER_ROUTES else "no"
    return found
