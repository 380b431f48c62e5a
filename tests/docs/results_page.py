"""Makes the page of the results of a run from the summary's own description."""

from __future__ import annotations

import inspect
import re

from analysis.pipeline.report import SUMMARY_VERSION, RunSummary

_HEAD = """# Results of a run

{note}
`semfn run --json` prints one JSON object, and the same stands in `OUTPUT.run-results.json`.
A run with several outputs has one `run-results.json` in their folder.
This is version {version} (`summary_version`), which moves when a field changes its meaning or goes.
New fields may come without that.

| field | holds |
| --- | --- |
"""
_TAIL = """| `failed` | Rows without a label that should have one: neither empty nor not reached. |
| `summary_version` | The version of this form. |

The exit codes are those of [`semfn run`](commands.md).
[What goes wrong](failures.md) says what to do about each.
"""


def results_page(note: str) -> str:
    """Return the page."""
    described = attributes(inspect.getdoc(RunSummary) or "")
    rows = [
        f"| `{name}` | {described.get(name, _UNTOLD.get(name, ''))} |\n"
        for name in RunSummary.__slots__
    ]
    return _HEAD.format(note=note, version=SUMMARY_VERSION) + "".join(rows) + _TAIL


_UNTOLD = {
    "run_id": "Of this run, also in the ledger.",
    "started_at": "UTC, ISO 8601.",
    "ended_at": "UTC, ISO 8601.",
    "requests": "State of a request -> requests of this run.",
    "estimate": "What was estimated for the rows to do.",
}


def attributes(doc: str) -> dict[str, str]:
    """Return name -> description of the attributes in a docstring."""
    listed = doc.split("Attributes:\n", 1)[1]
    joined = re.sub(r"\n {8}(?=\S)", " ", listed)
    found = re.findall(r"^ {4}(\w+): (.+)$", joined, flags=re.MULTILINE)
    return {name: text.replace("|", "\\|") for name, text in found}
